"""Short codes: what was sent is found again, as often as theory or a published curve says."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tests.training.gaussian import heard, interval, without_noise, wrong
from training.baselines.linear_code import LinearCode, union_bound
from training.baselines.short_codes import ShortCode, code_of, likelihoods

REED_MULLER = [(2, 1, 4.0), (3, 2, 2.0), (4, 4, 0.0), (5, 8, -2.0), (6, 16, -5.0)]
"""Bits, uses, SNR in dB."""


def biorthogonal_wrong(bits: int, energy: float) -> float:
    """Proakis, Digital Communications, 5th ed., 4.4: 2^k words in 2^(k-1) dimensions, energy E/N0, coherent."""
    shift = math.sqrt(2.0 * energy)
    right = quad(lambda x: norm.pdf(x - shift) * (2.0 * norm.cdf(x) - 1.0) ** (2 ** (bits - 1) - 1), 0, shift + 9)[0]
    return 1.0 - right


@pytest.mark.parametrize(
    ("bits", "uses", "snr_db"), [(2, 1, 4.0), (3, 2, 2.0), (4, 4, 0.0), (5, 8, -2.0), (6, 16, -5.0)]
)
def test_first_order_reed_muller_codes_err_as_often_as_biorthogonal_words(bits: int, uses: int, snr_db: float) -> None:
    low, high = interval(wrong(bits, uses, snr_db, 20_000), 20_000)
    assert low <= biorthogonal_wrong(bits, uses * 10.0 ** (snr_db / 10.0)) <= high


def test_the_search_finds_the_codes_that_have_a_name() -> None:
    golay = LinearCode(12, 24).weights
    assert {w: int(golay[w]) for w in np.flatnonzero(golay)} == {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}
    for bits in range(2, 8):  # first-order Reed-Muller: all words but two lie half the length away
        half = 2 ** (bits - 2)
        weights = LinearCode(bits, 2 * half).weights
        assert (weights[0], weights[half], weights[2 * half]) == (1, 2**bits - 2, 1)
    for bits in range(2, 7):  # simplex: all words as far from each other as can be
        assert LinearCode(bits, 2**bits - 1).weights[2 ** (bits - 1)] == 2**bits - 1


@pytest.mark.parametrize(("bits", "uses"), [(1, 1), (3, 5), (7, 9), (8, 8), (10, 12), (12, 12)])
def test_a_searched_code_errs_between_its_nearest_word_and_its_union_bound(bits: int, uses: int) -> None:
    weights = code_of(bits, 2 * uses).weights  # type: ignore[union-attr]
    snr_db = next(db for db in np.arange(-20.0, 20.0, 0.5) if union_bound(weights, 10 ** (db / 10) / 2) < 0.1)
    low, high = interval(wrong(bits, uses, float(snr_db), 4000), 4000)
    nearest = int(np.flatnonzero(weights[1:])[0]) + 1
    assert low <= union_bound(weights, 10 ** (snr_db / 10) / 2)
    assert norm.sf(math.sqrt(nearest * 10 ** (snr_db / 10))) <= high


@pytest.mark.parametrize("seed", range(3))
def test_log_likelihood_ratios_are_as_sure_as_they_may_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, (500, 2 * 16), dtype=np.uint8)
    signs = 1.0 - 2.0 * sent
    symbols = ((signs[:, 0::2] + 1j * signs[:, 1::2]) / np.sqrt(2)).astype(np.complex64)
    ratios = likelihoods(*heard(symbols, float(rng.uniform(-6, 6)), rng))
    hopes = 1.0 / (1.0 + np.exp(np.abs(ratios)))
    errors = ((ratios < 0) != (sent > 0)).sum()
    assert abs(errors - hopes.sum()) < 4.5 * math.sqrt((hopes * (1 - hopes)).sum())


@pytest.mark.parametrize(("bits", "uses"), [(0, 8), (17, 8), (65, 64), (3, 65), (5, 2)])
def test_what_does_not_fit_is_refused(bits: int, uses: int) -> None:
    with pytest.raises(ValueError, match=f"not {bits} bits in {uses} uses"):
        ShortCode(bits, uses)


@pytest.mark.parametrize("bits", [1, 2, 5, 9, 11])
def test_without_noise_every_bit_comes_back(bits: int) -> None:
    assert all(without_noise(bits, uses) for uses in {-(-bits // 2), bits, 13})
    assert ShortCode(bits, 8).decode(np.zeros((0, 8), np.complex64), np.zeros((0, 8), np.float32)).shape == (0, bits)
