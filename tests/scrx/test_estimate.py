"""The estimator against the Cramer-Rao bound, on simulated pilots of known gain and noise."""

import math
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from common.phy.layout import pilot_sequence
from scrx.demodulation.estimate import fit, fit_pilots, snr_error_db, unbiased_snr

TRIALS = 40_000


def complex_normal(rng: np.random.Generator, *shape: int) -> NDArray[np.complex64]:
    """CN(0, 1), complex64."""
    parts = rng.standard_normal((2, *shape), np.float32) * np.float32(math.sqrt(0.5))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


@lru_cache(maxsize=1)
def drawn(count: int, trials: int) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Pilots that arrived with |h| = 1 and a random phase, and noise CN(0, 1): both complex64 [trials, count]."""
    rng = np.random.default_rng(1)
    gain = np.exp(2j * np.pi * rng.random(trials)).astype(np.complex64)[:, None]
    return gain * pilot_sequence(count), complex_normal(rng, trials, count)


def received_pilots(count: int, snr_db: float, trials: int) -> NDArray[np.complex64]:
    """complex64 [trials, count]: |h| = 1 with a random phase, N0 = 1/SNR; the same noise at every SNR."""
    pilots, noise = drawn(count, trials)
    return pilots + noise * np.float32(10 ** (-snr_db / 20))


def exact_pilots(count: int) -> NDArray[np.complex128]:
    """|p| = 1 in double precision, too: at 60 dB it counts."""
    pilots = pilot_sequence(count).astype(np.complex128)
    exact: NDArray[np.complex128] = pilots / np.abs(pilots)
    return exact


def fitted(received: NDArray[np.complex64]) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Gain and unexplained energy of each frame, [...], of its pilots, complex64 [..., P]."""
    exact = received.astype(np.complex128)
    count = received.shape[-1]
    gain, unexplained = fit(exact @ exact_pilots(count).conj(), np.vecdot(exact, exact).real, count)
    return gain, unexplained


def estimates(count: int, snr_db: float, trials: int = TRIALS) -> NDArray[np.float32]:
    """SNR estimates, linear, of independent frames that pool nothing."""
    gain, unexplained = fitted(received_pilots(count, snr_db, trials))
    snr: NDArray[np.float32] = unbiased_snr(np.abs(gain) ** 2, unexplained / (count - 1), count, count - 1)
    return snr


def error_db(snr: NDArray[np.float32], snr_db: float) -> NDArray[np.float64]:
    """Error of each estimate in dB; estimates are floored at -15 dB, as a receiver has to."""
    return 10.0 * np.log10(np.maximum(snr, 10**-1.5)) - snr_db


def bound_db(count: int, snr_db: float) -> float:
    return 4.343 * math.sqrt((1 + 2 / 10 ** (snr_db / 10)) / count)


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [0, 5, 10, 20])
@pytest.mark.parametrize("count", [8, 16, 64])
def test_snr_is_unbiased(count: int, snr_db: float) -> None:
    ratio = estimates(count, snr_db) / 10 ** (snr_db / 10)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(TRIALS)


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [0, 5, 10, 20, 25])
@pytest.mark.parametrize("count", [64, 128])
def test_64_pilots_come_within_a_twentieth_of_a_db_of_the_bound(count: int, snr_db: float) -> None:
    error = error_db(estimates(count, snr_db, 50_000), snr_db)
    assert math.sqrt(np.mean(error**2)) - bound_db(count, snr_db) <= 0.05
    assert abs(error.mean()) <= 0.12


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [5, 10, 20, 25])
@pytest.mark.parametrize("count", [16, 32])
def test_16_pilots_come_within_a_tenth_of_a_db_of_the_bound(count: int, snr_db: float) -> None:
    error = error_db(estimates(count, snr_db, 50_000), snr_db)
    assert math.sqrt(np.mean(error**2)) - bound_db(count, snr_db) <= 0.1


@pytest.mark.parametrize(("count", "snr_db"), [(8, 10), (8, 20), (16, 5), (16, 20), (64, 0), (64, 10)])
def test_the_stated_error_is_the_one_that_is_made(count: int, snr_db: float) -> None:
    made = math.sqrt(np.mean(error_db(estimates(count, snr_db), snr_db) ** 2))
    assert snr_error_db(10 ** (snr_db / 10), count, count - 1) == pytest.approx(made, rel=0.08)


def test_noise_pooled_over_32_frames_brings_16_pilots_below_0_6_db() -> None:
    frames, count, snr_db, runs = 32, 16, 10.0, 3000
    received = received_pilots(count, snr_db, runs * frames).reshape(runs, frames, count)
    gain, unexplained = fitted(received)
    dof = frames * (count - 1)
    snr = unbiased_snr(np.abs(gain[:, -1]) ** 2, unexplained.sum(-1) / dof, count, dof)
    made = math.sqrt(np.mean(error_db(snr, snr_db) ** 2))
    assert made <= 0.6
    assert snr_error_db(10.0, count, dof) == pytest.approx(made, rel=0.08)


def test_the_gain_is_unbiased_with_variance_n0_over_pilots() -> None:
    count, n0 = 8, 0.1
    rng = np.random.default_rng(3)
    received = (0.6 - 0.3j) * pilot_sequence(count) + complex_normal(rng, TRIALS, count) * np.float32(math.sqrt(n0))
    gain, residual = fitted(received)
    assert abs(gain.mean() - (0.6 - 0.3j)) < 4 * math.sqrt(n0 / count / TRIALS)
    assert np.var(gain) == pytest.approx(n0 / count, rel=4 / math.sqrt(TRIALS))
    assert residual.mean() == pytest.approx((count - 1) * n0, rel=4 / math.sqrt(TRIALS * (count - 1)))


@pytest.mark.parametrize("snr_db", [-10.0, 20.0, 60.0])
@pytest.mark.parametrize("count", [2, 8, 33])
def test_the_fit_of_a_frame_is_the_least_squares_one(count: int, snr_db: float) -> None:
    """Against the definition, h^ = mean(p* y) and sum |y - h^ p|^2; and one frame against many."""
    received, pilots = received_pilots(count, snr_db, 50), exact_pilots(count)
    many = fitted(received)
    for row, frame in enumerate(received):
        gain, unexplained = fit_pilots(frame, pilots)
        assert gain == pytest.approx(np.mean(pilots.conj() * frame))
        assert unexplained == pytest.approx(np.sum(np.abs(frame - gain * pilots) ** 2), rel=1e-4)
        assert (gain, unexplained) == (pytest.approx(many[0][row]), pytest.approx(many[1][row], rel=1e-4))
