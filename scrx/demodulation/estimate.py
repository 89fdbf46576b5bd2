"""Pilots -> channel gain, noise power and SNR with its error. Knows nothing about sockets, payloads or models.

Model of one frame: y = h p + n, |p| = 1, P pilots, n ~ CN(0, N0) (N0 per complex dimension), h constant over the frame.

The functions use only arithmetic that numpy arrays and torch tensors share, so training runs the receiver's own code.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # numpy.ndarray or torch.Tensor, complex64 or float32
"""Either library's array: the arithmetic below exists in both."""


def estimate_gain(pilots_rx: Array, pilots_tx: Array) -> Array:
    """Least-squares gain h^ = mean(p* y).

    pilots_rx: complex [..., P]; pilots_tx: complex [P], |p| = 1. Returns complex [...]; Var(h^ - h) = N0 / P.
    """
    return (pilots_rx * pilots_tx.conj()).mean(-1)


def residual_energy(pilots_rx: Array, pilots_tx: Array, gain: Array) -> Array:
    """Energy that the gain does not explain: float [...], expected value (P - 1) N0."""
    return (abs(pilots_rx - gain[..., None] * pilots_tx) ** 2).sum(-1)


def fit_pilots(pilots_rx: NDArray[np.complex64], pilots_tx: NDArray[np.complex128]) -> tuple[complex, float]:
    """Both of the above for one frame, [P] each: the same, multiplied out, in a third of the time.

    sum |y - h p|^2 = sum |y|^2 - 2 Re(h* sum p* y) + |h|^2 sum |p|^2; of double precision enough is left.
    """
    received = pilots_rx.astype(np.complex128)
    match = complex(np.vdot(pilots_tx, received))
    gain = match / len(pilots_tx)
    unexplained = np.vdot(received, received).real - abs(match) ** 2 / len(pilots_tx)
    return gain, max(float(unexplained), 0.0)


def unbiased_snr(gain: Array, noise: Array, pilots: int, dof: float) -> Array:
    """SNR |h|^2 / N0 (linear) without the bias of a noisy h^ and a noisy N0.

    gain: complex [...]; noise: estimate of N0 from `dof` complex degrees of freedom (> 1), float [...].
    rho = (dof - 1)/dof |h^|^2/N0^ - 1/P; with dof = P - 1: (P-2)/P rho_ML - 1/P. May be negative: callers floor it.
    """
    return abs(gain) ** 2 / noise * ((dof - 1.0) / dof) - 1.0 / pilots


def snr_error_db(snr: float, pilots: int, dof: float) -> float:
    """Standard deviation of the SNR estimate in dB, first order: 4.343 sqrt(2/(rho P) + 1/dof).

    With dof = P this is the Cramer-Rao bound 4.343 sqrt((1 + 2/rho)/P) (Pauluzzi and Beaulieu 2000, data-aided).
    """
    return 4.343 * math.sqrt(2.0 / (max(snr, 1e-3) * pilots) + 1.0 / max(dof, 1.0))
