"""Square QAM constellations of unit mean power. Knows nothing about models or bits on the wire."""

import numpy as np
from numpy.typing import NDArray

ORDERS = (4, 16, 64)


def levels(order: int) -> NDArray[np.float32]:
    """Amplitudes per real dimension of square QAM: float32 [sqrt(order)], ascending, mean square 1/2.

    M-QAM has sqrt(M) levels +-1, +-3, ... per dimension, scaled to E|x|^2 = 1 (Proakis, Digital Communications, 4.3).
    """
    if order not in ORDERS:
        raise ValueError(f"QAM order {order} is not one of {ORDERS}")
    side = int(order**0.5)
    raw = np.arange(-side + 1, side, 2, dtype=np.float64)
    scaled: NDArray[np.float32] = (raw / np.sqrt(2.0 * np.mean(raw**2))).astype(np.float32)
    return scaled


def qam(order: int) -> NDArray[np.complex64]:
    """All points of square QAM: complex64 [order], unit mean power."""
    axis = levels(order)
    return (axis[:, None] + 1j * axis[None, :]).reshape(-1).astype(np.complex64)
