"""The split model: power, causality, and one image at a time against many."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, DataError
from common.phy.constellation import levels, qam
from common.phy.layout import Layout, pilot_sequence
from scrx.decoding.answerer import Answerer
from scrx.decoding.tasks import confidence_of
from sctx.modulate import modulate
from sctx.pipeline import TransmitChain
from tests.model.pairs import LAYOUT, tiny_pair


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> TransmitChain:
    return TransmitChain(tiny_pair(tmp_path_factory.mktemp("pair")))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """float32"""
    return np.float32(scale) * np.random.default_rng(seed).standard_normal(shape, np.float32)


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
    symbols = modulate(normal(3, 2 * layout.max_symbols, seed=seed, scale=scale), layout, order)
    assert symbols.dtype == np.complex64
    for part in np.split(symbols, np.cumsum(increments)[:-1], -1):
        assert (np.abs(part) ** 2).mean(-1) == pytest.approx(np.ones(3), abs=1e-5)


def test_symbols_lie_on_the_constellation_up_to_one_factor_per_increment() -> None:
    layout = Layout((3, 5))
    sent = modulate(normal(16, 16, scale=2.0), layout, 16)
    points = qam(16)
    for row in sent:
        for part in np.split(row, [3]):
            scales = np.abs(points)[:, None] / np.abs(part)[None]
            close = [np.abs(part * s - points[:, None]).min(0).max() for s in np.unique(scales.round(5))]
            assert min(close) < 1e-3


def test_an_earlier_increment_does_not_depend_on_later_ones() -> None:
    features = normal(4, 12)
    other = features.copy()
    other[:, 2:6] += 1.0  # real parts of increment 1
    other[:, 8:] -= 1.0  # imaginary parts of increment 1
    first, second = (modulate(x, LAYOUT, 16) for x in (features, other))
    assert np.array_equal(first[:, :2], second[:, :2])
    assert not np.array_equal(first[:, 2:], second[:, 2:])


@pytest.mark.parametrize("order", [4, 16, 64])
def test_a_feature_goes_to_the_level_that_is_nearest_once_it_is_squashed(order: int) -> None:
    """Against the definition, u = A tanh(v/A) and the nearest level, in double precision, up to one factor."""
    grid = levels(order).astype(np.float64)
    edge = grid[-1] + (grid[1] - grid[0]) / 2
    features = np.concatenate((np.linspace(-9, 9, 4000), [-np.inf, np.inf, -1e30, 1e30])).astype(np.float32)
    squashed = edge * np.tanh(features.astype(np.float64) / edge)
    nearest = grid[np.abs(squashed[:, None] - grid).argmin(1)]
    sent = modulate(np.stack((features, np.zeros_like(features)), -1), Layout((1,)), order)[:, 0]
    assert sent.real / np.abs(sent.imag) == pytest.approx(nearest / np.abs(grid).min(), rel=1e-6)  # 0 is inmost


def test_what_is_no_number_becomes_no_symbol() -> None:
    features = normal(2, 12)
    features[0, 3] = np.nan
    assert np.isnan(modulate(features, LAYOUT, 16)[0, 2:]).all()
    assert np.isfinite(modulate(features, LAYOUT, 16)[1]).all()


def test_one_image_gets_the_features_and_symbols_it_gets_among_many(chain: TransmitChain, images: np.ndarray) -> None:
    many = chain.encode(images)
    alone = np.concatenate([chain.encode(image[None]) for image in images])
    assert np.abs(many - alone).max() <= 1e-5
    together = chain.modulate(many, 7.0)
    single = np.concatenate([chain.modulate(row[None], 7.0) for row in alone])
    # A value that close to a boundary may round either way; elsewhere the symbols are equal.
    assert (np.abs(together - single).max(1) < 1e-5).mean() > 0.99


def test_one_packet_gets_the_logits_it_gets_among_many(chain: TransmitChain) -> None:
    answerer = Answerer(chain.manifest)
    symbols = (normal(32, 6) + 1j * normal(32, 6, seed=1)).astype(np.complex64)
    gamma = 30 * np.abs(normal(32, 6, seed=2))
    many = answerer.logits(symbols, gamma)
    alone = [answerer.logits(x[None], g[None]) for x, g in zip(symbols, gamma, strict=True)]
    assert np.abs(many - np.concatenate(alone)).max() <= 1e-4


def test_the_report_changes_the_symbols_and_no_report_is_none_or_nan(chain: TransmitChain, images: np.ndarray) -> None:
    features = 8 * chain.encode(images)  # of an untrained encoder, none would reach the next level
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
    answerer = Answerer(chain.manifest)
    symbols, gamma = np.zeros((2, 6), np.complex64), np.zeros((2, 6), np.float32)
    rows = answerer.answer(symbols, gamma, [("embedding", "classify"), ("embedding",)])
    assert [list(row) for row in rows] == [["embedding", "classify"], ["embedding"]]
    answer = rows[0]["classify"]
    assert answer["name"] == str(answer["index"])
    logits = answerer.logits(symbols, gamma)[0].astype(np.float64)
    assert answer["index"] == logits.argmax()
    assert answer["confidence"] == pytest.approx(np.exp(logits.max()) / np.exp(logits).sum(), rel=1e-5)
    assert len(rows[1]["embedding"]["vector"]) == 8
    assert [confidence_of(row) for row in rows] == [answer["confidence"], 1.0]
    with pytest.raises(ConfigError, match=r"unknown task 'caption': this receiver answers classify, embedding"):
        answerer.answer(symbols, gamma, [("classify",), ("caption",)])
