"""The split model: power, causality, and one image at a time against many."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, DataError
from common.phy.constellation import qam
from common.phy.layout import Layout, pilot_sequence
from scrx.decoding.decoder import decode, load_decoder
from sctx.modulate import modulate
from sctx.pipeline import TransmitChain
from tests.model.pairs import LAYOUT, tiny_pair


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> TransmitChain:
    return TransmitChain(tiny_pair(tmp_path_factory.mktemp("pair")))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)


@given(
    scale=st.floats(0.01, 100.0),
    order=st.sampled_from([4, 16, 64]),
    increments=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    seed=st.integers(0, 2**20),
)
def test_every_increment_of_every_image_has_unit_power(
    scale: float, order: int, increments: list[int], seed: int
) -> None:
    layout = Layout(tuple(increments))
    features = scale * torch.randn(3, 2 * layout.max_symbols, generator=torch.Generator().manual_seed(seed))
    symbols = modulate(features, layout, order).symbols
    assert symbols.dtype == torch.complex64
    for part in torch.split(symbols, list(increments), -1):
        assert part.abs().square().mean(-1).numpy() == pytest.approx(np.ones(3), abs=1e-5)


def test_symbols_lie_on_the_constellation_up_to_one_factor_per_increment() -> None:
    layout = Layout((3, 5))
    features = 2 * torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
    sent = modulate(features, layout, 16).symbols.numpy()
    points = qam(16)
    for row in sent:
        for part in np.split(row, [3]):
            scales = np.abs(points)[:, None] / np.abs(part)[None]
            close = [np.abs(part * s - points[:, None]).min(0).max() for s in np.unique(scales.round(5))]
            assert min(close) < 1e-3


def test_an_earlier_increment_does_not_depend_on_later_ones() -> None:
    features = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[:, 2:6] += 1.0  # real parts of increment 1
    other[:, 8:] -= 1.0  # imaginary parts of increment 1
    first, second = (modulate(x, LAYOUT, 16).symbols for x in (features, other))
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2:], second[:, 2:])


def test_gradient_passes_through_rounding() -> None:
    features = torch.randn(4, 12, requires_grad=True, generator=torch.Generator().manual_seed(0))
    modulate(features, LAYOUT, 16).symbols.real.sum().backward()
    assert features.grad is not None
    assert features.grad.abs().max() > 0


def test_one_image_gets_the_features_and_symbols_it_gets_among_many(chain: TransmitChain, images: np.ndarray) -> None:
    many = chain.encode(images)
    alone = torch.cat([chain.encode(image[None]) for image in images])
    assert (many - alone).abs().max() <= 1e-5
    together = chain.modulate(many, 7.0)
    single = np.concatenate([chain.modulate(row[None], 7.0) for row in alone])
    # A value that close to a boundary may round either way; elsewhere the symbols are equal.
    assert (np.abs(together - single).max(1) < 1e-5).mean() > 0.99


def test_one_packet_gets_the_logits_it_gets_among_many(chain: TransmitChain) -> None:
    decoder = load_decoder(chain.manifest)
    random = torch.Generator().manual_seed(1)
    symbols = torch.randn(32, 6, dtype=torch.complex64, generator=random)
    gamma = 30 * torch.rand(32, 6, generator=random)
    with torch.inference_mode():
        _, many = decoder(symbols, gamma)
        alone = [decoder(x[None], g[None])[1]["classify"] for x, g in zip(symbols, gamma, strict=True)]
    assert (many["classify"] - torch.cat(alone)).abs().max() <= 1e-4


def test_the_report_changes_the_symbols_and_no_report_is_none_or_nan(chain: TransmitChain, images: np.ndarray) -> None:
    features = chain.encode(images)
    assert not np.array_equal(chain.modulate(features, -5.0), chain.modulate(features, 20.0))
    assert np.array_equal(chain.modulate(features, None), chain.modulate(features, float("nan")))
    each = np.where(np.arange(32) < 16, -5.0, 20.0).astype(np.float32)
    mixed = chain.modulate(features, each)
    assert np.allclose(mixed[:16], chain.modulate(features[:16], -5.0), atol=1e-5)
    assert np.allclose(mixed[16:], chain.modulate(features[16:], 20.0), atol=1e-5)


def test_a_pair_without_adaptive_module_ignores_the_report(tmp_path: Path, images: np.ndarray) -> None:
    chain = TransmitChain(tiny_pair(tmp_path, adaptive=False))
    features = chain.encode(images)
    assert np.array_equal(chain.modulate(features, -5.0), chain.modulate(features, 20.0))


def test_a_frame_is_pilots_then_the_increments_asked_for(chain: TransmitChain, images: np.ndarray) -> None:
    symbols = chain.modulate(chain.encode(images[:1]), 5.0)[0]
    pilots = pilot_sequence(4)
    assert np.array_equal(chain.frame(symbols, 0, 1), np.concatenate((pilots, symbols)))
    assert np.array_equal(chain.frame(symbols, 1, 1), np.concatenate((pilots, symbols[2:])))
    assert chain.frame(symbols, 0, 0).dtype == np.complex64


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 8, 8), (1, 8, 8, 3), (1, 9, 8, 1)])
def test_images_of_another_shape_are_refused(chain: TransmitChain, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="uint8"):
        chain.encode(np.zeros(shape, np.uint8))


def test_answers_per_task(chain: TransmitChain) -> None:
    decoder = load_decoder(chain.manifest)
    symbols, gamma = torch.zeros(2, 6, dtype=torch.complex64), torch.zeros(2, 6)
    rows = decode(decoder, symbols, gamma, chain.manifest.labels, ("classify", "embedding"), top=3)
    assert set(rows[0]) == {"classify", "embedding"}
    answer = rows[0]["classify"]
    assert answer["name"] == str(answer["index"])
    assert 0.1 <= answer["confidence"] <= 1.0
    assert answer["top"][0][0] == answer["index"]
    assert len(answer["top"]) == 3
    assert len(rows[1]["embedding"]["vector"]) == 8
    with pytest.raises(ConfigError, match="unknown task"):
        decode(decoder, symbols, gamma, chain.manifest.labels, ("caption",))
