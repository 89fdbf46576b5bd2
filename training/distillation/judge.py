"""Whether a pair has learnt anything: its answers on pictures that were held out, against always naming one class.

Knows nothing about how it was trained.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.images.imageset import ImageSet
from common.pair.manifest import Manifest
from training.lab.evaluation import Lab, Setting

MOST = 2000
"""Pictures that are looked at at most."""
QUIET_DB = 30.0
Z = 1.96


@dataclass(frozen=True, slots=True)
class Verdict:
    """Right answers of `count`, and the share of the largest class among them."""

    right: int
    count: int
    largest: float
    name: str
    """Of that class."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % (Wilson 1927): it holds for few pictures, and for none or all of them right."""
        n, p = self.count, self.right / self.count
        middle, half = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        return (middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n)

    @property
    def learnt(self) -> bool:
        """Its interval lies above the largest class."""
        return self.interval[0] > self.largest

    def __str__(self) -> str:
        low, high = (100 * end for end in self.interval)
        share = f"{100 * self.right / self.count:.1f} % of {self.count} held-out pictures right"
        return f"{share} (95 %: {low:.1f} .. {high:.1f}); always '{self.name}' would be {100 * self.largest:.1f} %"


def judge(manifest: Manifest, parts: Sequence[ImageSet]) -> Verdict:
    """What the pair as it lies on disk answers: all symbols, AWGN at 30 dB. parts: pictures it was not trained on."""
    setting = Setting("awgn", "known", QUIET_DB, manifest.layout.max_symbols, 1, 0, 0, 0.0, QUIET_DB)
    looked_at = [part.some(MOST) for part in parts]
    right, labels = 0, np.concatenate([part.labels for part in looked_at])
    for part in looked_at:
        answers = Lab(manifest, part.images).decide(setting, stream=0)
        right += int((answers == part.labels).sum())
    counts = np.bincount(labels, minlength=len(manifest.labels))
    top = int(counts.argmax())
    return Verdict(right, len(labels), float(counts[top] / len(labels)), manifest.labels[top])
