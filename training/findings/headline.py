"""One number over several training seeds, and two runs of the same beside each other. Knows nothing about files.

Interval over seeds: mean +- t s / sqrt(K), s the deviation of the K values and t Student's of K - 1 degrees of freedom.
It says where the mean of further seeds would lie; with one seed there is none, and that is said.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.report.stats import Interval, chance, holm, written

LEVEL = 0.05
WIDTH = 3.92
"""Of a 95 % interval of a normal number, in its standard deviations."""
EXACT = 1e-5
"""What rounding and another processor may do to numbers in which nothing is drawn."""


@dataclass(frozen=True, slots=True)
class Headline:
    """values: training seed -> the number, in the unit in which it is told."""

    values: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean([*self.values.values()]))

    @property
    def interval(self) -> Interval | None:
        """Mean and the ends of its 95 % interval over seeds; None where there is one seed."""
        from scipy.stats import t

        count = len(self.values)
        if count < 2:
            return None
        half = float(t.ppf(0.975, count - 1)) * float(np.std([*self.values.values()], ddof=1)) / math.sqrt(count)
        return self.mean, self.mean - half, self.mean + half

    def told(self, digits: int = 1, sign: bool = False) -> str:
        """As tables have it: the mean, its interval, and each value in the order of the seeds."""
        found = self.interval
        if found is None:
            return f"{self.mean:{'+' if sign else ''}.{digits}f}, one training seed"
        each = " ".join(f"{self.values[seed]:{'+' if sign else ''}.{digits}f}" for seed in sorted(self.values))
        return f"{written(*found, digits=digits, sign=sign)}, {len(self.values)} training seeds: {each}"


def further_apart(one: Sequence[Interval], other: Sequence[Interval]) -> list[bool]:
    """Which numbers of two runs are further apart than both intervals allow: z test, Holm over all of them, 5 %."""
    spread = [max(math.hypot(a[2] - a[1], b[2] - b[1]) / WIDTH, EXACT) for a, b in zip(one, other, strict=True)]
    chances = [chance(a[0] - b[0], deviation) for a, b, deviation in zip(one, other, spread, strict=True)]
    return [p < LEVEL for p in holm(chances)]


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[list[str], int]:
    """Numbers of two runs of the same command that are further apart, a line each, and how many both have.

    now, before: what the command wrote. Numbers without an interval are not compared.
    """
    mine, theirs = dict(intervals(now)), dict(intervals(before))
    both = [place for place in mine if place in theirs]
    apart = further_apart([mine[one] for one in both], [theirs[one] for one in both])
    lines = [
        f"{place}: {_four(theirs[place])} before, {_four(mine[place])} now"
        for place, differs in zip(both, apart, strict=True)
        if differs
    ]
    return lines, len(both)


def _four(found: Interval) -> str:
    return written(*found, digits=4, sign=False)


def intervals(found: Any, place: str = "") -> Iterator[tuple[str, Interval]]:
    """Where in a result -> every number that has an interval: [mean, low, high], or `accuracy` beside `low` and `high`
    or beside `ci95`."""
    match found:
        case {"accuracy": float() as mean, "low": low, "high": high}:
            yield place, (mean, low, high)
        case {"accuracy": float() as mean, "ci95": [low, high]}:
            yield place, (mean, low, high)
        case dict():
            for name, inner in found.items():
                yield from intervals(inner, f"{place}.{name}" if place else str(name))
        case [float() as mean, float() as low, float() as high] if low <= mean <= high:
            yield place, (mean, low, high)
        case list():
            for number, inner in enumerate(found):
                yield from intervals(inner, f"{place}[{number}]")
