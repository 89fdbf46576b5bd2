"""Metrics: functions of answers and truths. Knows nothing about where answers come from; `stats.py` has intervals.

Expected calibration error (Naeini et al. 2015): sum over 15 equal bins of confidence of (share of answers in the bin)
times |accuracy - mean confidence| there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """Answers by confidence. bins: (share of answers, mean confidence, accuracy) of each bin that has any."""

    ece: float
    nll: float
    answers: int
    bins: tuple[tuple[float, float, float], ...]


def reliability(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> Reliability:
    """logits: float [N, C], such as logarithms of probabilities; labels: int64 [N]."""
    log_p = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    confidence, right = np.exp(log_p.max(-1)), log_p.argmax(-1) == labels
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        (float(np.mean(which == one)), float(confidence[which == one].mean()), float(right[which == one].mean()))
        for one in np.unique(which)
    ]
    ece = sum(share * abs(accuracy - mean) for share, mean, accuracy in bins)
    return Reliability(ece, float(-log_p[np.arange(len(labels)), labels].mean()), len(labels), tuple(bins))
