"""Belief about the SNR, accuracy table and goal -> how many increments to send, and which SNR to adapt to.

Pure: knows nothing about sockets, images or torch. Without a report the most robust rate is sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.check import real, text, whole
from common.errors import ConfigError
from common.pair.shapes import Accuracy
from common.phy.decibel import to_db
from common.text import safe
from sctx.rate.belief import Report, believe

HYSTERESIS = 0.2
"""Points of accuracy that a rate must clear its goal by before the transmitter moves down to it."""


_RANGES = {
    "within": (0.0, 100.0), "target": (0.0, 1.0), "outage": (0.0, 1.0), "budget": (1.0, 2.0**32), "price": (0.0, 1.0),
}  # fmt: skip
_KINDS = ("adaptive", "average", "robust", "genie", "fixed")
_FORMS = "adaptive, average, robust, genie or fixed:SYMBOLS"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the rate control serves; of the rates that serve it best or well enough, the one of fewest symbols wins.

    within     expected accuracy at most `value` points below the full ladder's (default: 1)
    target     expected accuracy of at least `value` (0 to 1)
    outage     the chance that this image's accuracy falls more than a point below the full ladder's is at most `value`
    budget     the best expected accuracy with at most `value` payload symbols
    price      the best expected accuracy less `value` (0 to 1) for each payload symbol
    """

    kind: str = "within"
    value: float = 1.0

    def __post_init__(self) -> None:
        low, high = _RANGES.get(text("the kind of a goal", self.kind), (0.0, -1.0))
        if high < low:
            raise ConfigError(f"goal {safe(self.kind)!r}: choose {', '.join(_RANGES)}")
        real(f"the value of goal {self.kind}", self.value, low, high)


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """Who decides: `adaptive`, `average` (ignores the instantaneous SNR), `robust`, or `fixed` at `symbols`.

    `genie` decides as `adaptive` does; its reports are the truth about the frame to be sent, for experiments.
    """

    kind: str = "adaptive"
    symbols: int = 0
    goal: Goal = field(default_factory=Goal)

    def __post_init__(self) -> None:
        if text("the kind of a policy", self.kind) not in _KINDS:
            raise ConfigError(f"policy {safe(self.kind)!r}: choose {_FORMS}")
        fixed = self.kind == "fixed"
        if whole("symbols of a policy", self.symbols, 0, 2**32 - 1) > 0 and not fixed:
            raise ConfigError(f"policy {self.kind} chooses the symbols by itself: symbols={self.symbols} is for fixed")
        if fixed and not self.symbols:
            raise ConfigError("policy fixed needs symbols, the payload symbols of each image: RatePolicy('fixed', 16)")
        if not isinstance(self.goal, Goal):
            raise ConfigError(f"the goal of a policy is such as Goal('within', 1.0), not {safe(repr(self.goal))}")

    def __str__(self) -> str:
        return f"fixed:{self.symbols}" if self.kind == "fixed" else self.kind

    @classmethod
    def parse(cls, written: str, goal: Goal | None = None) -> "RatePolicy":
        """`adaptive`, `average`, `robust`, `genie` or `fixed:SYMBOLS`. Raises ConfigError."""
        kind, colon, symbols = written.partition(":")
        if kind == "fixed" and re.fullmatch("[0-9]{1,9}", symbols):
            return cls("fixed", int(symbols), goal or Goal())
        if kind in _KINDS and kind != "fixed" and not colon:
            return cls(kind, 0, goal or Goal())
        raise ConfigError(f"policy {safe(written)!r}: choose {_FORMS}")

    def require_reports(self) -> None:
        """Raise ConfigError where the policy knows more than any link tells."""
        if self.kind == "genie":
            raise ConfigError("policy genie knows the channel, and no link tells it: python -m training.closed_loop")

    def check(self, rates: tuple[int, ...]) -> None:
        """Raise ConfigError where the policy asks for what the ladder `rates` (payload symbols) does not have."""
        if self.kind == "fixed" and self.symbols not in rates:
            raise ConfigError(f"policy {self}: this model sends {list(rates)} symbols")
        if self.goal.kind == "budget" and self.goal.value < rates[0]:
            raise ConfigError(f"goal budget {self.goal.value:g}: this model sends at least {rates[0]} symbols")


@dataclass(frozen=True, slots=True)
class Decision:
    """The last increment to send, and the SNR in dB to adapt to (None: not known)."""

    rate: int
    told_snr_db: float | None


def decide(
    policy: RatePolicy,
    report: Report | None,
    air_now: int,
    rates: tuple[int, ...],
    table: Accuracy,
    last: int | None = None,
) -> Decision:
    """The decision for a frame at air sample `air_now`.

    report: None where there is none or it is stale; rates: payload symbols of each rate; last: the rate before.
    """
    full = len(rates) - 1
    belief = None if report is None else believe(report, air_now, average_only=policy.kind == "average")
    told = None if belief is None else to_db(float(belief.mean()))
    if policy.kind == "fixed":
        return Decision(rates.index(policy.symbols), told)
    if policy.kind == "robust":
        return Decision(full, None)
    if belief is None:
        return Decision(_affordable(policy.goal, rates)[-1], None)
    return Decision(_fewest(policy.goal, _accuracies(table, belief), rates, last), told)


def _accuracies(table: Accuracy, belief: NDArray[np.float64]) -> NDArray[np.float64]:
    """acc_k at each believed SNR: float [K, N]."""
    snr_db = 10.0 * np.log10(np.maximum(belief, 1e-6))
    return np.stack([np.interp(snr_db, table.snr_db, row) for row in table.acc])


def _affordable(goal: Goal, rates: tuple[int, ...]) -> Sequence[int]:
    return [k for k, symbols in enumerate(rates) if goal.kind != "budget" or symbols <= goal.value]


def _fewest(goal: Goal, accuracies: NDArray[np.float64], rates: tuple[int, ...], last: int | None) -> int:
    expected = accuracies.mean(-1)
    if goal.kind == "budget":
        return max(_affordable(goal, rates), key=lambda k: (expected[k], -k))
    full = len(rates) - 1
    if goal.kind == "price":  # which says what a symbol must be worth: nothing more to wait for
        return max(range(full + 1), key=lambda k: (expected[k] - goal.value * rates[k], -k))
    margins = [HYSTERESIS / 100.0 if last is not None and k < last else 0.0 for k in range(full + 1)]
    for k, margin in enumerate(margins[:full]):
        if goal.kind == "within" and expected[k] - margin >= expected[full] - goal.value / 100.0:
            return k
        if goal.kind == "target" and expected[k] - margin >= goal.value:
            return k
        if goal.kind == "outage" and np.mean(accuracies[k] - margin < accuracies[full] - 0.01) <= goal.value:
            return k
    return full
