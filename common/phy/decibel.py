"""Decibels and back. Knows nothing about what the numbers mean.

All ratios here are power ratios: x_dB = 10 log10(x).
"""

import math


def to_db(ratio: float) -> float:
    """Power ratio (>= 0) -> dB; 0 gives -inf."""
    return 10.0 * math.log10(ratio) if ratio > 0 else -math.inf


def from_db(value_db: float) -> float:
    """dB -> power ratio; -inf gives 0, +inf gives inf."""
    return math.inf if value_db == math.inf else float(10.0 ** (value_db / 10.0))
