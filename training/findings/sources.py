"""All that the report is drawn from: suites, cards and results that are kept in the project.

Knows nothing about tables. Only files are read here, and nothing is computed again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from common.errors import SemlinkError
from training.cards.card import Card
from training.cards.card import altered as altered_card
from training.cards.card import read as read_card
from training.findings.orders import ORDERS
from training.findings.result import Result
from training.findings.result import read as read_result
from training.report.stats import Interval

TRAINING = Path(__file__).parents[1]
SUITES, CARDS, RESULTS = "suites/results", "cards/shipped", "findings/measured"
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Standing:
    """A system beside another over all places of a suite, paired over images.

    ahead, behind: by Holm over these places, 5 %; above, below: by the number alone, whatever chance allows; surest:
    the smallest probability among those ahead and among those behind, 1 where there are none.
    """

    ahead: int
    behind: int
    places: int
    above: int
    below: int
    surest: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Suite:
    """A suite that was run, as its JSON has it."""

    name: str
    document: Mapping[str, Any]

    @cached_property
    def accuracy(self) -> Mapping[tuple[str, str, str, int, float], float]:
        """(system, channel, csi, n, SNR in dB) -> accuracy, 0..1, where there is one."""
        return {
            (one["system"], one["channel"], one["csi"], one["n"], one["snr_db"]): one["accuracy"]
            for one in self.document["points"]
            if one["accuracy"] is not None
        }

    @property
    def systems(self) -> Mapping[str, Mapping[str, Any]]:
        """What each system says of itself."""
        found: Mapping[str, Mapping[str, Any]] = self.document["systems"]
        return found

    def has(self, system: str) -> bool:
        """Whether a system has any number."""
        return any(key[0] == system for key in self.accuracy)

    def difference(self, system: str, against: str, corner: tuple[str, str, int], snr: float) -> Interval | None:
        """Accuracy less another's at one place, 0..1, with its interval over images; None where it was not compared."""
        for one in self.document["comparisons"]:
            names = one["system"], one["against"], one["channel"], one["csi"], one["n"]
            if names == (system, against, *corner) and snr in one["snr_db"]:
                at = one["snr_db"].index(snr)
                return one["difference"][at], one["low"][at], one["high"][at]
        return None

    def standing(self, system: str, against: str) -> Standing | None:
        """A system beside another; None where they were not compared."""
        for sign, names in ((1, (system, against)), (-1, (against, system))):
            rows = [one for one in self.document["comparisons"] if (one["system"], one["against"]) == names]
            if rows:
                gaps = [
                    (sign * gap, p) for one in rows for gap, p in zip(one["difference"], one["p_holm"], strict=True)
                ]
                over, under = [p for gap, p in gaps if gap > 0], [p for gap, p in gaps if gap < 0]
                ahead, behind = (sum(p < LEVEL for p in some) for some in (over, under))
                surest = min(over, default=1.0), min(under, default=1.0)
                return Standing(ahead, behind, len(gaps), len(over), len(under), surest)
        return None


@dataclass(frozen=True)
class Sources:
    """Suites by name; cards by file; results by name: those that are there."""

    suites: Mapping[str, Suite]
    cards: Mapping[str, Card]
    results: Mapping[str, Result]

    @classmethod
    def read(cls, folder: Path = TRAINING) -> "Sources":
        """What lies under `folder`. SemlinkError where a file is damaged or was altered."""
        suites = {path.stem: Suite(path.stem, json.loads(path.read_bytes()))
                  for path in sorted((folder / SUITES).glob("*.json"))}  # fmt: skip
        cards = {path.name: read_card(path) for path in sorted((folder / CARDS).glob("*.json"))}
        for name, card in cards.items():
            if wrong := altered_card(card):
                raise SemlinkError(f"{name}: {wrong[0]}")
        paths = {name: folder / RESULTS / f"{name}.json" for name in ORDERS}
        return cls(suites, cards, {name: read_result(path) for name, path in paths.items() if path.is_file()})

    def found(self, name: str) -> Mapping[str, Any] | None:
        """What a result's command wrote; None where there is no such result."""
        return self.results[name].found if name in self.results else None

    def suite_of_result(self, name: str) -> Suite | None:
        """A suite that was run as an order, of a pair that does not ship; None where there is no such result."""
        found = self.found(name)
        return None if found is None else Suite(name, found)

    def suite_of(self, pair: str) -> Suite | None:
        """The suite that was run of a pair."""
        return next(iter(self.suites_of(pair)), None)

    def suites_of(self, pair: str) -> list[Suite]:
        """All runs of it: that of the suite's own name first, then those of systems that take long, of fewer images."""
        found = [one for one in self.suites.values() if one.document["pair"]["name"] == pair]
        return sorted(found, key=lambda one: one.name != one.document["suite"])


def of_suite(name: str) -> str:
    """A link to a suite's points."""
    return f"[suite {name}]({SUITES}/{name}.json)"


def of_result(name: str) -> str:
    """A link to a result."""
    return f"[{name}]({RESULTS}/{name}.json)"


def of_card(file: str) -> str:
    """A link to a card."""
    return f"[card]({CARDS}/{file})"


def training_seed(card: Card) -> int:
    """Of the pair that a card is of, as the command that trains it says; pairs that ship are of seed 0."""
    said = re.search(r"--seed[ =](\d+)", card.retrain or "")
    return int(said[1]) if said else 0
