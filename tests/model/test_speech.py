"""What symbols say: power, prefixes, words that are as good as any, features that come as near as they should."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ModelError
from common.images.datasets import load_images
from common.pair.manifest import Manifest, find_pair, shipped_pairs
from common.pair.speech import Speech, load_speech, speech_from, tensors_of
from common.phy.layout import Layout
from common.phy.words import ABSENT, WORD, Words, places
from tests.model.pairs import LAYOUT, PREPROCESS, SHAPE, tiny_encoder, tiny_pair, tiny_speech
from training.distillation.pairs import write_encoder
from training.words.fitting import fit_speech, lloyd_max, water_filling
from training.words.search import search_words

KNOWN = np.array([np.inf], np.float32)
SIMPLEX = {(16, -6.0): 0.901, (16, -10.0): 0.639, (8, -6.0): 0.706, (4, 0.0): 0.894}
"""P(right) of ten words in a simplex code, n symbols at Es/N0 in dB, by integral (training.baselines.label_code)."""


def drawn(rows: int, wide: int = 16, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 10, rows), rng.standard_normal((rows, wide)).astype(np.float32)


@cache
def fitted(increments: tuple[int, ...], order: int) -> Speech:
    decided, u = drawn(200)
    return fit_speech(decided, u, 10, Layout(increments), order)


SHAPES: list[tuple[tuple[int, ...], int]] = [
    ((1,), 64), ((2,), 16), ((9,), 4), ((1, 1), 16), ((3, 5), 64), ((8, 1), 4), ((2, 7, 4), 16), ((1, 1, 1, 1), 4),
    ((9, 9, 9, 9), 64),
]  # fmt: skip
"""Increments and orders: each order with few and many increments, short and long ones."""


@given(shape=st.sampled_from(SHAPES), words=st.integers(0, 40), scale=st.floats(0.01, 100.0))
def test_every_increment_of_every_image_has_unit_power(
    shape: tuple[tuple[int, ...], int], words: int, scale: float
) -> None:
    increments, order = shape
    decided, u = drawn(200)
    speech = fitted(increments, order)
    sent = speech.say(decided[:5], np.float32(scale) * u[:5], words)
    assert sent.dtype == np.complex64
    for part in np.split(sent, np.cumsum(increments)[:-1], -1):
        assert (np.abs(part) ** 2).mean(-1) == pytest.approx(np.ones(5), abs=1e-5)


@pytest.mark.parametrize(
    ("features", "why"),
    [
        (np.zeros((40, 4)), "the same"),
        (np.full((40, 4), 0.1), "the same"),
        (np.repeat([[1.0] * 4, [2.0] * 4, [1.0] * 4, [2.0] * 4], 10, 0), "the same"),
        (np.repeat([[1.0] * 4, [2.0] * 4, [2.0] * 4, [1.0] * 4], 10, 0), "use more images that differ"),
        (np.full((40, 4), np.nan), "its training ran away"),
    ],
)
def test_features_of_which_nothing_can_be_said_are_refused(features: np.ndarray, why: str) -> None:
    """All alike, as classes, as two values of each class, or no numbers: a pair of them would hold NaN."""
    with pytest.raises(ModelError, match=why):
        fit_speech(np.arange(40) // 10 % 2, features.astype(np.float32), 2, Layout((2, 4)), 16)


def test_a_pair_that_would_hold_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    encoder, images = tiny_encoder(), load_images("digits", "validation")
    with torch.no_grad():
        encoder.head.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"'head\.weight' holds what is no number, so no pair is written"):
        write_encoder(tmp_path / "pair", encoder, SHAPE, LAYOUT, 16, "tiny", images, images, PREPROCESS, {}, 0)
    assert list(tmp_path.iterdir()) == []


def test_symbols_are_places() -> None:
    assert places(5, 2).tolist() == [WORD, WORD, 0, 1, 2]
    assert places(5, 0).tolist() == [0, 1, 2, 3, 4]
    assert places(5, 9).tolist() == places(5, 5).tolist() == [WORD] * 5


def test_words_are_as_good_as_a_simplex_code_at_every_prefix() -> None:
    words = Words(search_words(10, 16))
    rng = np.random.default_rng(0)
    for (n, snr_db), bound in SIMPLEX.items():
        said = rng.integers(0, 10, 20_000)
        gamma = 10 ** (snr_db / 10)
        noise = rng.standard_normal((2, len(said), 16)) / np.sqrt(2 * gamma)
        x = (words.points[said] + noise[0] + 1j * noise[1]) * gamma / (1 + gamma)
        came = np.tile(np.arange(16) < n, (len(said), 1))
        found = words.likelihood(x.astype(np.complex64), np.full(x.shape, gamma, np.float32), came, KNOWN).argmax(1)
        assert (found == said).mean() == pytest.approx(bound, abs=0.012)


def integrated(r: np.ndarray, point: np.ndarray, snr: float, pilots: int) -> float:
    """ln of the mean over h, given h^ from so many pilots, of p(r | h, word): by adding up over a grid. r: y / h^."""
    step = np.linspace(-4, 4, 161) / np.sqrt(pilots * snr)
    off = step[:, None] + 1j * step
    missed = np.abs(r - (1 + off[..., None]) * point) ** 2
    log = -snr * (missed.sum(-1) + pilots * np.abs(off) ** 2)
    return float(np.log(np.exp(log - log.max()).sum()) + log.max())


@pytest.mark.parametrize("pilots", [2, 8, 64])
@pytest.mark.parametrize("frames", [[5], [2, 1, 4]])
def test_the_error_of_an_estimate_is_one_for_all_symbols_of_a_frame(frames: list[int], pilots: int) -> None:
    """Of each frame the channel is integrated out, and frames are independent of each other."""
    words, rng = Words(search_words(10, sum(frames))), np.random.default_rng(pilots)
    snr = np.repeat(0.5 + rng.random(len(frames)), frames)
    parts = np.split(np.arange(sum(frames)), np.cumsum(frames)[:-1])
    wanted, heard = np.zeros(10), np.zeros(sum(frames), np.complex64)
    for part in parts:
        noise = rng.standard_normal((2, len(part))) / np.sqrt(2 * snr[part])
        heard[part] = words.points[3, part] * (1 + 0.2j) + noise[0] + 1j * noise[1]
        wanted += [integrated(heard[part], one, float(snr[part[0]]), pilots) for one in words.points[:, part]]
    gamma = (snr / (1 + 1 / pilots)).astype(np.float32)
    x, said = heard * gamma / (1 + gamma), np.ones((1, sum(frames)), bool)
    found = words.likelihood(x[None], gamma[None], said, np.array([pilots], np.float32))[0]
    assert found - found[0] == pytest.approx(wanted - wanted[0], abs=0.02)


def test_words_of_an_estimated_channel_are_told_better_than_if_its_error_were_noise() -> None:
    words, rng, pilots, gamma = Words(search_words(10, 32)), np.random.default_rng(0), 8, 10**-0.8
    said = rng.integers(0, 10, 20_000)
    noise = (rng.standard_normal((len(said), 33, 2)) @ (1, 1j)) / np.sqrt(2 * gamma)
    r = (words.points[said] + noise[:, :32]) / (1 + noise[:, 32:] / np.sqrt(pilots))
    g = np.repeat(gamma * np.abs(1 + noise[:, 32:] / np.sqrt(pilots)) ** 2 / (1 + 1 / pilots), 32, 1).astype(np.float32)
    x, all_said = (r * g / (1 + g)).astype(np.complex64), np.ones(r.shape, bool)
    right = [
        float((words.likelihood(x, g, all_said, np.full(len(said), count, np.float32)).argmax(1) == said).mean())
        for count in (pilots, np.inf)
    ]
    assert right[0] > right[1] + 0.08


def test_features_come_back_and_more_symbols_or_less_noise_bring_them_nearer() -> None:
    layout, rng = Layout((8, 8, 16)), np.random.default_rng(1)
    decided, base = drawn(3000)
    features = base * np.linspace(2, 0.2, 16, dtype=np.float32) + decided[:, None].astype(np.float32)
    speech = fit_speech(decided, features, 10, layout, 16)
    sent = speech.say(decided, speech.coordinates(decided, features), 4)
    noise, missed = rng.standard_normal((*sent.shape, 2)) @ (1, 1j), {}
    for n in (4, 8, 16, 32):
        for snr_db in (0.0, 10.0, 30.0):
            gamma = 10 ** (snr_db / 10)
            y = sent + noise / np.sqrt(2 * gamma)
            g = np.where(np.arange(32) < n, gamma, 0).astype(np.float32) * np.ones((3000, 1), np.float32)
            x = np.where(g > 0, y * gamma / (1 + gamma), 0).astype(np.complex64)
            _, found = speech.hear(x, g, np.tile(places(32, 4), (3000, 1)), KNOWN)
            missed[n, snr_db] = float(np.square(found - features).sum(1).mean() / np.square(features).sum(1).mean())
    for snr_db in (0.0, 10.0, 30.0):
        assert missed[4, snr_db] > missed[8, snr_db] > missed[16, snr_db] > missed[32, snr_db]
    assert missed[32, 0.0] > missed[32, 10.0] > missed[32, 30.0]
    assert missed[32, 30.0] < 0.01 < missed[4, 30.0]


def test_water_goes_where_most_is_left() -> None:
    carried = water_filling(np.array([9.0, 4.0, 0.01]), 5, np.array([0.1, 0.1, 0.1]))
    assert carried.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [0, 2]]


def test_a_quantiser_of_a_normal_distribution_is_max_s() -> None:
    edges, centres = lloyd_max(np.random.default_rng(0).standard_normal(200_000), 4)
    assert centres == pytest.approx([-1.510, -0.4528, 0.4528, 1.510], abs=0.02)  # Max 1960, table I
    assert edges == pytest.approx([-0.9816, 0, 0.9816], abs=0.02)


def test_a_later_round_of_the_word_alone_is_heard_with_what_came_before() -> None:
    """An increment of features, then one in which all symbols are the word's."""
    speech, (decided, u) = tiny_speech(), drawn(400)
    first, later = speech.say(decided, u, 1), speech.say(decided, u, 6)
    x = np.concatenate((first[:, :2], later[:, 2:]), 1) * 0.99
    place = np.tile(np.concatenate((places(6, 1)[:2], places(6, 6)[2:])), (400, 1))
    posterior, _ = speech.hear(x.astype(np.complex64), np.full((400, 6), 99, np.float32), place, KNOWN)
    assert (posterior.argmax(1) == decided).all()


def one_after_the_other(speech: Speech, u: np.ndarray, symbols: int) -> np.ndarray:
    """Levels as the head of `common/phy/refinement.py` has them: a layer of what the layer before left."""
    refinement, rest, found = speech.refinement, u.copy(), []
    for i, layer in refinement.carried[: 2 * symbols].tolist():
        found.append(np.searchsorted(refinement.edges[layer], rest[:, i], side="right"))
        rest[:, i] = (rest[:, i] - refinement.centres[layer][found[-1]]) / refinement.spread[layer]
    return np.array(found, np.uint8).reshape(len(found), len(u)).T


@pytest.mark.parametrize("name", shipped_pairs())
def test_levels_of_a_layer_at_once_are_those_of_one_dimension_after_the_other(name: str) -> None:
    pair = find_pair(name)
    speech = load_speech(pair, "encoder")
    assert speech.refinement.carried[:, 1].max() > 0
    _, u = drawn(300, pair.features)
    for symbols in (0, 1, 7, speech.symbols):
        assert np.array_equal(speech.refinement.levels(2 * u, symbols), one_after_the_other(speech, 2 * u, symbols))


@pytest.fixture
def pair(tmp_path: Path) -> Manifest:
    return tiny_pair(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("corners", 4), ("carried", -1), ("carried", 99), ("spread", 0.0), ("prior", -1.0), ("jitter", -1.0),
        ("means", np.nan), ("edges", np.inf),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(name: str, value: float, pair: Manifest) -> None:
    tensors = {key: one.copy() for key, one in tensors_of(tiny_speech()).items()}
    tensors[name].flat[0] = value
    with pytest.raises(ModelError, match=r"^here"):
        speech_from(tensors, pair, "here")


def test_a_layer_before_the_one_that_it_refines_is_refused() -> None:
    pair = find_pair("digits")
    tensors = {key: one.copy() for key, one in tensors_of(load_speech(pair, "encoder")).items()}
    speech_from(tensors, pair, "here")
    first, later = np.flatnonzero(tensors["carried"][:, 0] == tensors["carried"][0, 0])[:2]
    tensors["carried"][[first, later]] = tensors["carried"][[later, first]]
    with pytest.raises(ModelError, match=r"^here: what it says symbols mean contradicts itself"):
        speech_from(tensors, pair, "here")


def test_what_was_written_is_read(pair: Manifest) -> None:
    wanted = tiny_speech()
    found = speech_from(tensors_of(wanted), pair, "here")
    assert isinstance(found, Speech)
    decided, u = drawn(9)
    assert np.array_equal(found.say(decided, u, 2), wanted.say(decided, u, 2))
    assert ABSENT < WORD < 0
