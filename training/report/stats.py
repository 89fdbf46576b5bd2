"""Intervals by bootstrap, and how they are written. Knows nothing about what is measured."""

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float, float]
"""Mean and the ends of its 95 % interval."""
RESAMPLES, PARTS = 2000, 20
"""How often is drawn, and in how many parts, which bounds memory."""


def bootstrap(values: NDArray[np.float64], block: int = 1) -> Interval:
    """Mean of `values`, float64 [N], and its interval over resampled blocks of `block` consecutive ones.

    Blocks do not overlap (Carlstein 1986), and the last may be shorter; block: as long as what makes neighbours alike,
    1 where nothing does. The draws depend on N and `block` alone, so that of two series the same blocks are taken.
    """
    starts = np.arange(0, len(values), block)
    sums, sizes = np.add.reduceat(values, starts), np.diff(np.append(starts, len(values)))
    random, means = np.random.default_rng(0), []
    for _ in range(PARTS):
        picks = random.integers(0, len(starts), (RESAMPLES // PARTS, len(starts)))
        means.append(sums[picks].sum(1) / sizes[picks].sum(1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def scaled(found: Interval, by: float) -> list[float]:
    """In other units, such as points of a hundred for shares."""
    return [by * value for value in found]


def written(mean: float, low: float, high: float, digits: int = 2, sign: bool = True) -> str:
    """As tables have it: +0.12 (-0.30 .. +0.54)."""
    form = f"{'+' if sign else ''}.{digits}f"
    return f"{mean:{form}} ({low:{form}} .. {high:{form}})"
