"""What is expected to be missed of the features is what a receiver misses of them."""

import numpy as np
import pytest

from common.pair.speech import Speech
from common.phy.layout import Layout
from common.phy.words import places
from sctx.rate.distortion import GRID_DB, distortion_of
from training.words.fitting import fit_speech

LAYOUT = Layout((4, 4, 8))
WORDS = 4


@pytest.fixture(scope="module")
def said() -> tuple[Speech, np.ndarray, np.ndarray]:
    """A pair's symbols, decisions and features: coordinates of very different variance."""
    random = np.random.default_rng(0)
    decided = random.integers(4, size=6000)
    means = random.normal(size=(4, 12))
    features = (means[decided] + random.normal(size=(6000, 12)) * 0.7 ** np.arange(12)).astype(np.float32)
    return fit_speech(decided, features, 4, LAYOUT, 16), decided, features


@pytest.mark.parametrize("snr_db", [6.0, 12.0, 20.0])
@pytest.mark.parametrize("symbols", [4, 8, 16])
@pytest.mark.parametrize("lost", [False, True])
def test_as_much_is_missed_as_was_expected(
    said: tuple[Speech, np.ndarray, np.ndarray], snr_db: float, symbols: int, lost: bool
) -> None:
    """lost: every word is taken for another."""
    speech, decided, features = said
    word = (decided + lost * np.random.default_rng(2).integers(1, 4, decided.size)) % 4
    sent = speech.say(word, speech.coordinates(decided, features), WORDS)
    random, snr = np.random.default_rng(1), 10 ** (snr_db / 10)
    noise = random.normal(size=(*sent.shape, 2)) @ np.array([1, 1j]) * np.sqrt(0.5 / snr)
    gamma = np.where(np.arange(16) < symbols, snr, 0.0).astype(np.float32)
    equalised = ((sent + noise) * snr / (1 + snr)).astype(np.complex64)
    place = np.tile(places(16, WORDS), (len(sent), 1))
    _, heard = speech.hear(equalised, np.tile(gamma, (len(sent), 1)), place, np.full(len(sent), np.inf, np.float32))
    missed = np.square(heard - features).sum(1).mean() / np.square(features - features.mean(0)).sum(1).mean()
    told = distortion_of(speech)
    expected = told.expected(symbols - WORDS, np.array([snr])) + lost * told.astray
    assert expected == pytest.approx(missed, abs=0.03)


def test_less_is_missed_with_more_symbols_and_on_better_channels(said: tuple[Speech, np.ndarray, np.ndarray]) -> None:
    missed = distortion_of(said[0]).missed
    assert missed.shape == (17, len(GRID_DB))
    assert (np.diff(missed, axis=0) <= 1e-12).all()
    assert (np.diff(missed, axis=1) <= 1e-12).all()
    assert 0 < missed[-1, -1] < 0.05 < 0.2 < missed[0, 0] < 1
