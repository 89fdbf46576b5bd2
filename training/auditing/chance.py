"""Whether one thing tells another: mutual information against what chance makes of it, and a distribution's shape.

Knows nothing about symbols or images.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS, PART = 499, 100
RARE = 0.01
"""A probability below which chance is not believed."""
BINS = 16
"""Values are told apart by their quantiles where there are more kinds of them than this."""
KOLMOGOROV = 1.95
"""sqrt(N) times the distance of a sample of N from its distribution exceeds this with probability 0.001."""


def tells(values: NDArray[Any], labels: NDArray[np.int64], seed: int = 0) -> tuple[float, float]:
    """What `values`, [N], say about `labels`, [N], in bits; and the probability that as much is said by chance.

    The plug-in estimate, which is above zero for independent values too: so the labels are permuted, and the share of
    DRAWS permutations that say as much is the probability (Good, Permutation Tests, 2005).
    """
    one, other = _kinds(np.asarray(values, np.float64)), np.unique(labels, return_inverse=True)[1]
    if not one.any():
        return 0.0, 1.0
    count = len(one)
    apart = _surprise(np.bincount(one), count) + _surprise(np.bincount(other), count)
    found = apart - float(_together(one, other[None])[0])
    random, as_much = np.random.default_rng(seed), 0
    for start in range(0, DRAWS, PART):
        drawn = random.permuted(np.tile(other, (min(PART, DRAWS - start), 1)), axis=1)
        as_much += int((apart - _together(one, drawn) >= found - 1e-9).sum())
    return found, (1 + as_much) / (1 + DRAWS)


def distance(values: NDArray[np.float64], distribution: NDArray[np.float64]) -> float:
    """sqrt(N) times the largest difference between a sample's distribution and a given one (Kolmogorov).

    values: [N]; distribution: that function at the sorted values, [N].
    """
    count = len(values)
    above, below = np.arange(1, count + 1) / count - distribution, distribution - np.arange(count) / count
    return float(np.sqrt(count) * max(above.max(), below.max()))


def _kinds(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """A small number for each value: one for each that there is, or for each quantile."""
    there, which = np.unique(values, return_inverse=True)
    if len(there) > BINS:
        which = np.digitize(values, np.quantile(values, np.arange(1, BINS) / BINS))
    return np.asarray(which, np.int64)


def _together(one: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Entropy in bits of a series of small numbers, [N], with each of several others, [D, N]: float64 [D]."""
    wide = (int(one.max()) + 1) * (int(others.max()) + 1)
    index = one * (int(others.max()) + 1) + others + wide * np.arange(len(others))[:, None]
    counts = np.bincount(index.ravel(), minlength=wide * len(others)).reshape(len(others), wide)
    return np.array([_surprise(row, len(one)) for row in counts])


def _surprise(counts: NDArray[np.int64], total: int) -> float:
    """Entropy in bits."""
    share = counts[counts > 0] / total
    return float(-(share * np.log2(share)).sum())
