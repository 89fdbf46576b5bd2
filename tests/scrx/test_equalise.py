"""The equaliser against the theory of MMSE with estimated gain and noise in Rayleigh fading."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import exp1

from common.phy.layout import pilot_sequence
from scrx.demodulation.equalise import effective_snr, equalise
from scrx.demodulation.estimate import estimate_gain, residual_energy

FRAMES, SYMBOLS = 60_000, 8


def complex_normal(rng: np.random.Generator, *shape: int) -> NDArray[np.complex64]:
    """CN(0, 1), complex64."""
    parts = rng.standard_normal((2, *shape), np.float32) * np.float32(math.sqrt(0.5))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def theory_db(snr_db: float, pilots: int) -> float:
    """MMSE in Rayleigh with an estimated gain: (1/r) e^(1/r) E1(1/r), r = rho^2 P / (1 + rho P + rho)."""
    rho = 10 ** (snr_db / 10)
    r = rho**2 * pilots / (1 + rho * pilots + rho)
    return float(10 * np.log10(np.exp(1 / r) * exp1(1 / r) / r))


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20])
@pytest.mark.parametrize("pilots", [16, 32, 64])
def test_error_in_rayleigh_fading_is_within_a_tenth_of_a_db_of_theory(pilots: int, snr_db: float) -> None:
    rng, known = np.random.default_rng(pilots), pilot_sequence(pilots)
    spread = np.float32(10 ** (-snr_db / 20))
    h, sent = complex_normal(rng, FRAMES), complex_normal(rng, FRAMES, SYMBOLS)
    heard = h[:, None] * known + spread * complex_normal(rng, FRAMES, pilots)
    received = h[:, None] * sent + spread * complex_normal(rng, FRAMES, SYMBOLS)
    gain = estimate_gain(heard, known)
    noise = residual_energy(heard, known, gain) / (pilots - 1)
    error = np.mean(np.abs(equalise(received, gain, noise) - sent) ** 2)
    assert 10 * math.log10(error) == pytest.approx(theory_db(snr_db, pilots), abs=0.1)


def test_perfect_knowledge_gives_the_mmse_of_each_gain() -> None:
    rng, n0 = np.random.default_rng(5), 0.2
    for h in (0.1, 1.0, 2.0 - 1.0j):
        sent = complex_normal(rng, 1, 200_000)
        received = h * sent + math.sqrt(n0) * complex_normal(rng, 1, 200_000)
        error = np.mean(np.abs(equalise(received, np.array([h], np.complex64), np.array([n0])) - sent) ** 2)
        assert error == pytest.approx(1 / (1 + abs(h) ** 2 / n0), rel=0.02)


def test_effective_snr_counts_the_error_of_the_gain() -> None:
    gain, noise = np.array([1.0 + 0j, 0.5j], np.complex64), np.array([0.1, 0.1], np.float32)
    np.testing.assert_allclose(effective_snr(gain, noise, 8), [10 / 1.125, 2.5 / 1.125], rtol=1e-6)


def test_numpy_and_torch_give_the_same_numbers() -> None:
    rng = np.random.default_rng(9)
    symbols, gain = complex_normal(rng, 50, 16), complex_normal(rng, 50)
    noise = rng.uniform(0.01, 1, 50).astype(np.float32)
    tensors = torch.from_numpy(symbols), torch.from_numpy(gain), torch.from_numpy(noise)
    np.testing.assert_allclose(equalise(*tensors).numpy(), equalise(symbols, gain, noise), rtol=1e-5, atol=1e-6)
    torch_snr = effective_snr(tensors[1], tensors[2], 8).numpy()
    np.testing.assert_allclose(torch_snr, effective_snr(gain, noise, 8), rtol=1e-5)
