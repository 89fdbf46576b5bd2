"""What imperfect radios do to symbols one by one: power amplifier, IQ imbalance. Knows nothing about the channel."""

import math

import numpy as np
from numpy.typing import NDArray


def amplify(x: NDArray[np.complex64], backoff_db: float, smoothness: float) -> NDArray[np.complex64]:
    """Rapp's solid-state amplifier (1991): x / (1 + (|x|^2 / A^2)^p)^(1/(2p)), phase unchanged.

    x: complex64 [S], unit mean power; backoff_db: saturation power A^2 over the mean power; smoothness: p > 0. Where
    (|x|^2 / A^2)^p is beyond float32, the 1 beside it is nothing, and |y| is A.
    """
    drive = (x.real**2 + x.imag**2) * np.float32(10.0 ** (-backoff_db / 10.0))
    with np.errstate(over="ignore"):
        pushed = drive**smoothness
    gain = (1.0 + pushed) ** (-0.5 / smoothness)
    gain[np.isinf(pushed)] = drive[np.isinf(pushed)] ** -0.5
    return x * gain.astype(np.float32)


def unbalance(y: NDArray[np.complex64], gain_db: float, phase_deg: float) -> NDArray[np.complex64]:
    """IQ imbalance of a direct-conversion receiver: a y + b y*, a = (1 + g e^-jphi)/2, b = (1 - g e^jphi)/2.

    g: amplitude ratio of the branches, 20 log10 g = gain_db; image rejection is |a|^2 / |b|^2 (Windisch 2007, 2.2).
    """
    turned = 10.0 ** (gain_db / 20.0) * np.exp(-1j * math.radians(phase_deg))
    return y * np.complex64((1.0 + turned) / 2.0) + y.conj() * np.complex64((1.0 - turned.conjugate()) / 2.0)
