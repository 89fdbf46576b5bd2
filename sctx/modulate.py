"""Features -> constellation points: squash, round to square QAM, unit mean power per increment. numpy only.

Knows nothing about networks, SNR or pilots. `training/student/rounding.py` is the same with a gradient.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from common.phy.constellation import levels
from common.phy.layout import Layout


@cache
def bounds(order: int) -> NDArray[np.float32]:
    """Where a feature passes from one level to the next: float32 [sqrt(order) - 1], ascending.

    A feature v is squashed to u = A tanh(v/A), A half a step beyond the outermost level, and rounded to the nearest
    level; tanh ascends, so that is to say where v itself lies.
    """
    grid = levels(order).astype(np.float64)
    edge = grid[-1] + (grid[1] - grid[0]) / 2
    between: NDArray[np.float32] = (edge * np.arctanh((grid[1:] + grid[:-1]) / 2 / edge)).astype(np.float32)
    return between


def modulate(features: NDArray[np.float32], layout: Layout, order: int) -> NDArray[np.complex64]:
    """features: float32 [B, 2 S] (real parts, then imaginary parts) -> symbols complex64 [B, S].

    Each increment is divided by the root of its own mean power, so power is constrained per image and increment, and a
    symbol is never rescaled when further increments follow. Levels are counted as the odd whole numbers -3, -1, 1, 3:
    their squares add up without rounding, so numpy and torch compute the same bits. What is no number stays none.
    """
    grid, counts = bounds(order), np.array(layout.increments)
    odd = (2 * np.searchsorted(grid, features, side="right") - len(grid)).astype(np.float32)
    odd[np.isnan(features)] = np.nan
    real, imaginary = odd[:, : layout.max_symbols], odd[:, layout.max_symbols :]
    energy = np.add.reduceat(real * real + imaginary * imaginary, np.cumsum(counts) - counts, axis=1)
    scale = np.repeat(np.sqrt(energy / counts.astype(np.float32)), counts, axis=1)
    symbols = np.empty(scale.shape, np.complex64)
    symbols.real, symbols.imag = real / scale, imaginary / scale
    return symbols
