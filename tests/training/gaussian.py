"""Short codes over a Gaussian channel that the receiver knows, for the tests of what they lose."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from training.baselines.short_codes import ShortCode


def heard(symbols: NDArray[np.complex64], snr_db: float, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Symbols off a Gaussian channel whose receiver knows all of it, equalised as `scrx` does: y snr/(1 + snr)."""
    snr = 10.0 ** (snr_db / 10.0)
    noise = rng.normal(size=(2, *symbols.shape)) * math.sqrt(0.5 / snr)
    y = (symbols + noise[0] + 1j * noise[1]) * (snr / (1.0 + snr))
    return y.astype(np.complex64), np.full(symbols.shape, snr, np.float32)


def wrong(bits: int, uses: int, snr_db: float, words: int, seed: int = 0) -> int:
    """How many of so many random words come out wrong."""
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, (words, bits), dtype=np.uint8)
    code = ShortCode(bits, uses)
    found = code.decode(*heard(code.encode(sent), snr_db, rng))
    return int((found != sent).any(1).sum())


def interval(count: int, of: int, level: float = 0.9999) -> tuple[float, float]:
    ci = binomtest(count, of).proportion_ci(level)
    return float(ci.low), float(ci.high)


def without_noise(bits: int, uses: int) -> bool:
    rng = np.random.default_rng(bits * uses)
    sent = rng.integers(0, 2, (40, bits), dtype=np.uint8)
    code = ShortCode(bits, uses)
    symbols = code.encode(sent)
    assert symbols.shape == (40, uses)
    assert np.abs(symbols) == pytest.approx(1.0, abs=1e-6)
    found = code.decode(*heard(symbols, 30.0, rng))
    alone = np.concatenate([code.decode(*heard(row[None], 30.0, rng)) for row in symbols[:3]])
    return bool((found == sent).all() and (alone == sent[:3]).all())
