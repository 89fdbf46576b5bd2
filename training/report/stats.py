"""Intervals. Knows nothing about what is measured."""

import numpy as np
from numpy.typing import NDArray


def bootstrap(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of one value per image, float64 [N], and the ends of its 95 % interval over resampled images."""
    random = np.random.default_rng(0)
    parts = [values[random.integers(0, len(values), (RESAMPLES // 20, len(values)))].mean(1) for _ in range(20)]
    low, high = np.percentile(np.concatenate(parts), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)

RESAMPLES = 2000
