"""What no code for one picture is expected to pass: features by an ideal code of so many bits.

Knows nothing about pairs or classes. The features are treated as a Gaussian source of their covariance and quantised by
the test channel that reaches its rate-distortion function (Cover and Thomas, Elements of Information Theory, 10.3):
random codes of infinitely many pictures at once. A source that is not Gaussian can be sent with less error, so this is
no proof; it is what would be left if everything else of a link were perfect.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from common.phy.decibel import from_db
from scrx.heads.space import Floats

ERRORS = 0.01
"""Share of words that a code of finite length may lose in `finite_bits`; they are counted as if none were."""


def capacity_bits(uses: int, snr_db: float) -> float:
    """What AWGN carries in so many complex uses, if codes may be as long as they like."""
    return uses * math.log2(1.0 + from_db(snr_db))


def finite_bits(uses: int, snr_db: float) -> float:
    """The same of the best code of just this length (Polyanskiy, Poor and Verdu 2010, the normal approximation)."""
    snr = from_db(snr_db)
    dispersion = snr * (snr + 2.0) / (snr + 1.0) ** 2 * math.log2(math.e) ** 2
    lost = math.sqrt(uses * dispersion) * NormalDist().inv_cdf(1.0 - ERRORS)
    return max(capacity_bits(uses, snr_db) - lost + math.log2(uses) / 2.0, 0.0)


class GaussianCode:
    """seen: features by which covariance is known, float32 [N, D]; metric: float64 [D, D], errors are measured in
    `features @ metric`."""

    def __init__(self, seen: Floats, metric: NDArray[np.float64], bits: float) -> None:
        moved = seen.astype(np.float64) @ metric
        self._mean, self._metric = moved.mean(0), metric
        variance, self._axes = np.linalg.eigh(np.atleast_2d(np.cov(moved.T)))
        self._variance = np.maximum(variance, 1e-12 * variance[-1])
        self._left = np.minimum(self._variance, water_level(self._variance, bits))

    def sent(self, features: Floats, random: np.random.Generator) -> Floats:
        """features: float32 [N, D] -> what comes of them along the covariance's axes, float32 [N, D]."""
        moved = (features.astype(np.float64) @ self._metric - self._mean) @ self._axes
        kept = 1.0 - self._left / self._variance
        found: Floats = (kept * moved + np.sqrt(self._left * kept) * random.normal(size=moved.shape)).astype(np.float32)
        return found


def water_level(variance: NDArray[np.float64], bits: float) -> float:
    """variance: float64 [D], above 0 -> the distortion at which they take so many bits in all."""
    ascending = np.sort(variance)[::-1]
    spent = np.cumsum(np.log2(ascending)) / 2.0
    for count in range(len(ascending), 0, -1):  # as many as are above the level that they would have
        level = 2.0 ** (2.0 * (spent[count - 1] - bits) / count)
        if level <= ascending[count - 1]:
            return float(level)
    return float(ascending[0])
