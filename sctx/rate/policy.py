"""What the rate control is to serve, and who decides: `Goal` and `RatePolicy`, which check themselves.

Knows nothing about how a decision is made (`decision.py`); what is wrong with either is told without numpy or torch.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from common.check import Number, Setting, text, whole
from common.errors import ConfigError
from common.text import safe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GOALS = {
    "within": Setting(
        Number(0.0, 100.0),
        "Goal: fewest symbols within so many points of the full ladder's accuracy.",
        "--within",
        unset="1",
    ),
    "target": Setting(Number(0.0, 1.0), "Goal: fewest symbols that reach this accuracy.", "--target-accuracy"),
    "budget": Setting(Number(1.0, 2.0**32), "Goal: best accuracy with at most so many payload symbols.", "--budget"),
    "outage": Setting(
        Number(0.0, 1.0),
        "Goal: fewest symbols whose chance of falling a point short of the full ladder is at most this.",
        "--outage",
    ),
    "price": Setting(
        Number(0.0, 1.0),
        "Goal: best accuracy (0 to 1) less this for each payload symbol, 0.001 say.",
        "--price",
    ),
}
"""Kinds of goals: what the value of each is, and the flag that sets it."""
_KINDS = ("adaptive", "average", "robust", "genie", "fixed")
GOALLESS = ("robust", "fixed")
"""Policies that send so much whatever the goal is."""
_FORMS = "adaptive, average, robust, genie or fixed:SYMBOLS"
RULES: "dict[str, Rule]" = {}
"""More policies, by name: each a function of what is believed and what is asked for, that says the rate."""


class Rule(Protocol):
    """What chooses a rate, for a policy in RULES."""

    def __call__(
        self, belief: "NDArray[np.float64] | None", rates: tuple[int, ...], goal: "Goal", last: int | None
    ) -> int:
        """belief: equally likely linear SNRs, float [N], None: no report yet, or none that is fresh; rates: payload
        symbols of each; last: the rate before. Returns an index into `rates`."""


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
        if (about := GOALS.get(text("the kind of a goal", self.kind))) is None:
            raise ConfigError(f"goal {safe(self.kind)!r}: choose {', '.join(GOALS)}")
        about.takes.read(f"the value of goal {self.kind}", self.value)


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """Who decides: `adaptive`, `average` (ignores the instantaneous SNR), `robust`, or `fixed` at `symbols`.

    `genie` decides as `adaptive` does; its reports are the truth about the frame to be sent, for experiments. `RULES`
    has others.
    """

    kind: str = "adaptive"
    symbols: int = 0
    goal: Goal = field(default_factory=Goal)

    def __post_init__(self) -> None:
        if text("the kind of a policy", self.kind) not in (*_KINDS, *RULES):
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
        if kind in (*_KINDS, *RULES) and kind != "fixed" and not colon:
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
