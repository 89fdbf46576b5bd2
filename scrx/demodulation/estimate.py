"""Pilots -> channel gain, noise power and SNR with its error. Knows nothing about sockets, payloads or models.

Model of one frame: y = h p + n, |p| = 1, P pilots, n ~ CN(0, N0) (N0 per complex dimension), h constant over the frame.

Each formula stands here once, in arithmetic that plain numbers, numpy arrays and torch tensors share: a frame of the
link takes plain numbers, statistics take arrays, and training takes tensors.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # float, complex, numpy.ndarray or torch.Tensor
"""A plain number, or either library's array of them."""


def fit(match: Array, energy: Array, pilots: int) -> tuple[Array, Array]:
    """Least-squares gain h^ = m/P, and the energy that it does not explain, whose expected value is (P - 1) N0.

    match: m = sum p* y, complex [...]; energy: sum |y|^2, float [...]. Var(h^ - h) = N0/P. Multiplied out,
    sum |y - h^ p|^2 = sum |y|^2 - |m|^2/P, which needs double precision, and then only the sums look at samples.
    """
    return match / pilots, energy - abs(match) ** 2 / pilots


def fit_pilots(pilots_rx: NDArray[np.complex64], pilots_tx: NDArray[np.complex128]) -> tuple[complex, float]:
    """`fit` of one frame. pilots_rx, pilots_tx: complex [P], |p| = 1."""
    received = pilots_rx.astype(np.complex128)
    match, energy = complex(np.vdot(pilots_tx, received)), float(np.vdot(received, received).real)
    gain, unexplained = fit(match, energy, len(pilots_tx))
    return gain, max(unexplained, 0.0)


def unbiased_snr(power: Array, noise: Array, pilots: int, dof: float) -> Array:
    """SNR |h|^2 / N0 (linear) without the bias of a noisy h^ and a noisy N0.

    power: |h^|^2 of a gain from `pilots` pilots, float [...]; noise: N0^ of `dof` complex degrees of freedom (> 1),
    float [...]. rho = (dof - 1)/dof |h^|^2/N0^ - 1/P; with dof = P - 1: (P-2)/P rho_ML - 1/P. May be negative: callers
    floor it.
    """
    return power / noise * (dof - 1) / dof - 1.0 / pilots


def snr_error_db(snr: float, pilots: int, dof: float) -> float:
    """Standard deviation of the SNR estimate in dB, first order: 4.343 sqrt(2/(rho P) + 1/dof).

    With dof = P this is the Cramer-Rao bound 4.343 sqrt((1 + 2/rho)/P) (Pauluzzi and Beaulieu 2000, data-aided).
    """
    return 4.343 * math.sqrt(2.0 / (max(snr, 1e-3) * pilots) + 1.0 / max(dof, 1.0))
