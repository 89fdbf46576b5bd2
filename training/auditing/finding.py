"""What one check of the audit found. Knows nothing about how it was found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.auditing.chance import RARE, tells


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and the number behind it. allowed: what the number had to be, in words; says: what was compared."""

    check: str
    passed: bool
    number: float
    allowed: str
    says: str


def at_most(check: str, number: float, limit: float, says: str) -> Finding:
    """Passed where the number is at most `limit`; what is no number did not pass."""
    return Finding(check, bool(number <= limit), float(number), f"at most {limit:g}", says)


def near(check: str, number: float, wanted: float, error: float, says: str) -> Finding:
    """Passed where the number is `wanted`, but for `error` either way."""
    return Finding(check, bool(abs(number - wanted) <= error), float(number), f"{wanted:g} +- {error:.2g}", says)


def by_chance(check: str, samples: Iterable[tuple[NDArray[Any], NDArray[np.int64]]], what: str) -> Finding:
    """Passed where in one sample, at least, values [N] tell no more about labels, int64 [N], than chance does.

    Of three independent samples chance fails all one time in a million, and what is there in truth is there in all.
    """
    bits, likely = 0.0, 0.0
    for values, labels in samples:
        bits, found = tells(values, labels)
        likely = max(likely, found)
        if likely > RARE:
            break
    says = f"probability that {what} tell {bits:.2f} bits by chance, the best of three"
    return Finding(check, likely > RARE, likely, f"above {RARE:g}", says)


def thirds(values: NDArray[Any], labels: NDArray[np.int64]) -> Iterable[tuple[NDArray[Any], NDArray[np.int64]]]:
    """Every third value and label, three times, where there is only one sample."""
    return ((values[k::3], labels[k::3]) for k in range(3))
