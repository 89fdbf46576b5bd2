"""The equaliser against the theory of MMSE with estimated gain and noise in Rayleigh fading."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import exp1

from common.phy.layout import pilot_sequence
from scrx.demodulation.equalise import one_tap
from scrx.demodulation.estimate import fit

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


def equalised(received: NDArray[np.complex64], gain: complex, noise: float, pilots: float) -> NDArray[np.complex64]:
    """As the receiver does it for a frame. received: complex64 [..., n]; gain, noise: [...]."""
    tap, _ = one_tap(gain, noise, pilots)
    return received * np.asarray(tap)[..., None]


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20])
@pytest.mark.parametrize("pilots", [16, 32, 64])
def test_error_in_rayleigh_fading_is_within_a_tenth_of_a_db_of_theory(pilots: int, snr_db: float) -> None:
    rng, known = np.random.default_rng(pilots), pilot_sequence(pilots)
    spread = np.float32(10 ** (-snr_db / 20))
    h, sent = complex_normal(rng, FRAMES), complex_normal(rng, FRAMES, SYMBOLS)
    heard = h[:, None] * known + spread * complex_normal(rng, FRAMES, pilots)
    received = h[:, None] * sent + spread * complex_normal(rng, FRAMES, SYMBOLS)
    exact = heard.astype(np.complex128)
    gain, unexplained = fit(exact @ known.conj(), np.vecdot(exact, exact).real, pilots)
    error = np.mean(np.abs(equalised(received, gain, unexplained / (pilots - 1), pilots) - sent) ** 2)
    assert 10 * math.log10(error) == pytest.approx(theory_db(snr_db, pilots), abs=0.1)


def test_perfect_knowledge_gives_the_mmse_of_each_gain_and_loses_no_snr_to_pilots() -> None:
    rng, n0 = np.random.default_rng(5), 0.2
    for h in (0.1 + 0j, 1.0 + 0j, 2.0 - 1.0j):
        sent = complex_normal(rng, 1, 200_000)
        received = h * sent + math.sqrt(n0) * complex_normal(rng, 1, 200_000)
        error = np.mean(np.abs(equalised(received, h, n0, math.inf) - sent) ** 2)
        assert error == pytest.approx(1 / (1 + abs(h) ** 2 / n0), rel=0.02)
        assert one_tap(h, n0, math.inf)[1] == pytest.approx(abs(h) ** 2 / n0)


def test_effective_snr_counts_the_error_of_the_gain() -> None:
    for gain, expected in ((1.0 + 0j, 10 / 1.125), (0.5j, 2.5 / 1.125)):
        assert one_tap(gain, 0.1, 8)[1] == pytest.approx(expected)
