"""The estimator against the Cramer-Rao bound, on simulated pilots of known gain and noise."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.phy.layout import pilot_sequence
from scrx.demodulation.estimate import estimate_gain, fit_pilots, residual_energy, snr_error_db, unbiased_snr

TRIALS = 40_000


def complex_normal(rng: np.random.Generator, *shape: int) -> NDArray[np.complex64]:
    """CN(0, 1), complex64."""
    parts = rng.standard_normal((2, *shape), np.float32) * np.float32(math.sqrt(0.5))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def received_pilots(count: int, snr_db: float, trials: int, seed: int = 1) -> NDArray[np.complex64]:
    """complex64 [trials, count]: |h| = 1 with a random phase, N0 = 1/SNR."""
    rng = np.random.default_rng(seed)
    gain = np.exp(2j * np.pi * rng.random(trials)).astype(np.complex64)[:, None]
    return gain * pilot_sequence(count) + complex_normal(rng, trials, count) * np.float32(10 ** (-snr_db / 20))


def estimates(count: int, snr_db: float, trials: int = TRIALS) -> NDArray[np.float32]:
    """SNR estimates, linear, of independent frames that pool nothing."""
    received, pilots = received_pilots(count, snr_db, trials), pilot_sequence(count)
    gain = estimate_gain(received, pilots)
    noise = residual_energy(received, pilots, gain) / (count - 1)
    snr: NDArray[np.float32] = unbiased_snr(gain, noise, count, count - 1)
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
    error = error_db(estimates(count, snr_db, 200_000), snr_db)
    assert math.sqrt(np.mean(error**2)) - bound_db(count, snr_db) <= 0.1


@pytest.mark.parametrize(("count", "snr_db"), [(8, 10), (8, 20), (16, 5), (16, 20), (64, 0), (64, 10)])
def test_the_stated_error_is_the_one_that_is_made(count: int, snr_db: float) -> None:
    made = math.sqrt(np.mean(error_db(estimates(count, snr_db), snr_db) ** 2))
    assert snr_error_db(10 ** (snr_db / 10), count, count - 1) == pytest.approx(made, rel=0.08)


def test_noise_pooled_over_32_frames_brings_16_pilots_below_0_6_db() -> None:
    frames, count, snr_db, runs = 32, 16, 10.0, 3000
    received = received_pilots(count, snr_db, runs * frames).reshape(runs, frames, count)
    pilots = pilot_sequence(count)
    gain = estimate_gain(received, pilots)
    dof = frames * (count - 1)
    noise = residual_energy(received, pilots, gain).sum(-1) / dof
    snr = unbiased_snr(gain[:, -1], noise, count, dof)
    made = math.sqrt(np.mean(error_db(snr, snr_db) ** 2))
    assert made <= 0.6
    assert snr_error_db(10.0, count, dof) == pytest.approx(made, rel=0.08)


def test_the_gain_is_unbiased_with_variance_n0_over_pilots() -> None:
    count, n0 = 8, 0.1
    rng = np.random.default_rng(3)
    received = (0.6 - 0.3j) * pilot_sequence(count) + complex_normal(rng, TRIALS, count) * np.float32(math.sqrt(n0))
    gain = estimate_gain(received, pilot_sequence(count))
    assert abs(gain.mean() - (0.6 - 0.3j)) < 4 * math.sqrt(n0 / count / TRIALS)
    assert np.var(gain) == pytest.approx(n0 / count, rel=4 / math.sqrt(TRIALS))
    residual = residual_energy(received, pilot_sequence(count), gain)
    assert residual.mean() == pytest.approx((count - 1) * n0, rel=4 / math.sqrt(TRIALS * (count - 1)))


def test_numpy_and_torch_give_the_same_numbers() -> None:
    received, pilots = received_pilots(8, 3.0, 100), pilot_sequence(8)
    gain = estimate_gain(received, pilots)
    energy = residual_energy(received, pilots, gain)
    torch_gain = estimate_gain(torch.from_numpy(received), torch.from_numpy(pilots))
    torch_energy = residual_energy(torch.from_numpy(received), torch.from_numpy(pilots), torch_gain)
    np.testing.assert_allclose(torch_gain.numpy(), gain, rtol=0, atol=1e-6)
    np.testing.assert_allclose(torch_energy.numpy(), energy, rtol=1e-5)
    torch_snr = unbiased_snr(torch_gain, torch_energy / 7, 8, 7).numpy()
    np.testing.assert_allclose(torch_snr, unbiased_snr(gain, energy / 7, 8, 7), rtol=1e-4)


@pytest.mark.parametrize("count", [2, 8, 33])
def test_one_frame_is_fitted_by_the_same_formulas(count: int) -> None:
    rng = np.random.default_rng(0)
    received = (rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(np.complex64)
    pilots = pilot_sequence(count)
    gain, residual = fit_pilots(received, pilots)
    assert gain == pytest.approx(complex(estimate_gain(received, pilots)), rel=1e-5)
    assert residual == pytest.approx(float(residual_energy(received, pilots, np.complex64(gain))), rel=1e-5)
