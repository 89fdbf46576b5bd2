"""Outcomes -> the points of the JSON, and who is ahead of whom where, in pairs. Knows nothing about files or tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from common.errors import ConfigError, SemlinkError
from training.report.stats import Interval, bootstraps, chance, holm, paired
from training.suites.definitions import Corner
from training.suites.measuring import Outcomes
from training.systems.system import NotThere, Place, System

LEVEL = 0.05
WIDTH = 3.92
"""Of a 95 % interval of a normal number, in its standard deviations."""
EXACT = 1e-5
"""What rounding and another processor may do to numbers in which nothing is drawn."""
Point = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A system beside another at a place, paired over images. p: by Holm over all places of the two."""

    system: str
    against: str
    place: Place
    difference: Interval
    p: float

    @property
    def won(self) -> int:
        """1: ahead, -1: behind, 0: neither can be said."""
        return 0 if self.p >= LEVEL else 1 if self.difference[0] > 0 else -1


def points(outcomes: Outcomes, systems: Mapping[str, System]) -> list[Point]:
    """One for each system and place; accuracy is None where there is a reason."""
    own = {name: known(system, lambda one: one.tx_accuracy) for name, system in systems.items()}
    right = {where: one.right.mean(0) for where, one in outcomes.items() if one.reason is None}
    intervals = dict(zip(right, bootstraps(np.stack([*right.values()])), strict=True)) if right else {}
    found = []
    for (name, place), outcome in outcomes.items():
        mean, *ends = intervals.get((name, place), (None,))
        found.append({
            "system": name, "channel": place.channel, "csi": place.csi, "n": place.n, "snr_db": place.snr_db,
            "accuracy": mean, "ci95": ends or None, "seeds": len(outcome.right),
            "mean_uses": None if outcome.reason else outcome.uses, "tx_accuracy": own[name], "reason": outcome.reason,
        })  # fmt: skip
    return found


def known(system: System, ask: Callable[[System], T]) -> T | None:
    """What a system says of itself; None where a part that is missing would have to say it."""
    try:
        return ask(system)
    except (NotThere, SemlinkError):
        return None


def verdicts(outcomes: Outcomes, against: str) -> list[Verdict]:
    """Every system beside `against`, wherever both have a number."""
    found = []
    for name in dict.fromkeys(name for name, _ in outcomes):
        both = [
            (place, outcomes[name, place].right.mean(0) - outcomes[against, place].right.mean(0))
            for other, place in outcomes
            if other == name != against and (against, place) in outcomes
            and outcomes[name, place].reason is None and outcomes[against, place].reason is None
        ]  # fmt: skip
        if both:
            adjusted = holm([paired(gap) for _, gap in both])
            intervals = bootstraps(np.stack([gap for _, gap in both]))
            told = zip(both, intervals, adjusted, strict=True)
            found += [Verdict(name, against, place, interval, p) for (place, _), interval, p in told]
    return found


def tally(found: Sequence[Verdict]) -> dict[tuple[str, Corner], tuple[int, int, int]]:
    """System and corner -> places won, lost, compared."""
    counts: dict[tuple[str, Corner], tuple[int, int, int]] = {}
    for one in found:
        where = one.system, (one.place.channel, one.place.csi, one.place.n)
        won, lost, all_ = counts.get(where, (0, 0, 0))
        counts[where] = won + (one.won > 0), lost + (one.won < 0), all_ + 1
    return counts


@dataclass(frozen=True, slots=True)
class Change:
    """One point in two runs. p: by Holm over all points that both have."""

    where: str
    before: float
    now: float
    p: float


def changes(now: Sequence[Point], before: Sequence[Point]) -> list[Change]:
    """Points of two runs over the same images with other channels: further apart than both intervals allow where p is
    below LEVEL. ConfigError where they have no number in common."""
    old = {_where(one): one for one in before if one["accuracy"] is not None}
    both = [(one, old[_where(one)]) for one in now if one["accuracy"] is not None and _where(one) in old]
    if not both:
        raise ConfigError("--against: the two runs have no point in common that has a number")
    spread = [max((_width(a) ** 2 + _width(b) ** 2) ** 0.5 / WIDTH, EXACT) for a, b in both]
    chances = [chance(a["accuracy"] - b["accuracy"], one) for (a, b), one in zip(both, spread, strict=True)]
    return [Change(_where(a), b["accuracy"], a["accuracy"], p) for (a, b), p in zip(both, holm(chances), strict=True)]


def _width(point: Point) -> float:
    low, high = point["ci95"]
    return float(high - low)


def _where(point: Point) -> str:
    return f"{point['system']}, {point['channel']}, {point['csi']} CSI, n = {point['n']}, {point['snr_db']:g} dB"
