"""Intervals by bootstrap, and how they are written. Knows nothing about what is measured."""

import math
from collections.abc import Sequence

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


def bootstraps(values: NDArray[np.float64]) -> list[Interval]:
    """`bootstrap` of each row of float64 [P, N], over the same draws: what is drawn is drawn once for all rows."""
    count = values.shape[1]
    random, means = np.random.default_rng(0), []
    for _ in range(PARTS):
        picks = random.integers(0, count, (RESAMPLES // PARTS, count))
        often = np.stack([np.bincount(one, minlength=count) for one in picks]).astype(np.float64)
        means.append(often @ values.T / count)
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    middle = values.mean(1)
    return [(float(middle[k]), float(low[k]), float(high[k])) for k in range(len(values))]


def scaled(found: Interval, by: float) -> list[float]:
    """In other units, such as points of a hundred for shares."""
    return [by * value for value in found]


def written(mean: float, low: float, high: float, digits: int = 2, sign: bool = True) -> str:
    """As tables have it: +0.12 (-0.30 .. +0.54)."""
    form = f"{'+' if sign else ''}.{digits}f"
    return f"{mean:{form}} ({low:{form}} .. {high:{form}})"


def chance(mean: float, deviation: float) -> float:
    """Two-sided probability that a normal number of mean 0 and this standard deviation is as far from 0 as `mean`."""
    if deviation <= 0:
        return 1.0 if mean == 0 else 0.0
    return math.erfc(abs(mean) / deviation / math.sqrt(2.0))


def paired(difference: NDArray[np.float64]) -> float:
    """Two-sided probability of so large a mean of per-image differences, float64 [N], where there is none (z test).

    The deviation of the mean is taken for at least what one image makes: where all images agree, less cannot be told.
    """
    count = len(difference)
    deviation = float(difference.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    return chance(float(difference.mean()), max(deviation, 1.0 / count))


def holm(chances: Sequence[float]) -> list[float]:
    """Each probability as it counts among all of them (Holm 1979): where one is below 5 %, so is the risk that any is
    there by chance."""
    adjusted, most = [0.0] * len(chances), 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        most = max(most, (len(chances) - rank) * chances[index])
        adjusted[index] = min(most, 1.0)
    return adjusted
