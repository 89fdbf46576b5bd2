"""A suite as a subject: its systems at its places, rebuilt alike in every process. Knows nothing about processes."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.crossing.subjects import PairSubject, Question, Subject
from training.suites.definitions import find_suite
from training.suites.measuring import asked, outcome_of
from training.suites.whole import Order, ordered
from training.systems.bench import Bench
from training.systems.ends import Ends
from training.systems.system import NotThere, Place, System

STREAM = 0
"""The first channel of each image; `measure` has several."""


@dataclass
class SuiteSubject(Subject):
    """order: the fields of an `Order`, its folder as text."""

    suite: str
    order: dict[str, Any]

    @property
    def images(self) -> NDArray[np.uint8]:
        """See `Subject`."""
        return self._bench.images

    @property
    def dataset(self) -> str:
        """What the images are of, found here."""
        return self._bench.dataset

    def ends(self, question: Question) -> Ends:
        """See `Subject`."""
        system, place = self._at(question)
        try:
            return system.ends(place, question["stream"], question["seed"])
        except ModuleNotFoundError as missing:
            raise NotThere(f"needs {missing.name}, which this install leaves out") from None

    def direct(self, question: Question) -> NDArray[np.int64]:
        """See `Subject`. NotThere where there are no decisions to compare with."""
        system, place = self._at(question)
        outcome = outcome_of(system, place, (question["stream"],), question["seed"], len(self.images))
        if outcome.decided is None:
            raise NotThere(outcome.reason or f"{system.name} has no decisions, only their probability")
        decided: NDArray[np.int64] = outcome.decided[0]
        return decided

    def questions(self) -> list[Question]:
        """Every system at every place, on the first channel that the order's seed makes."""
        return [
            {"system": one.name, **asdict(place), "stream": STREAM, "seed": self._order.seed}
            for one, place, _ in asked(find_suite(self.suite), self._systems)
        ]

    def _at(self, question: Question) -> tuple[System, Place]:
        place = Place(question["channel"], question["csi"], question["n"], question["snr_db"])
        return self._systems[question["system"]], place

    @property
    def _order(self) -> Order:
        return Order(**{**self.order, "out": Path(self.order["out"])})

    @cached_property
    def _ordered(self) -> tuple[Bench, dict[str, System]]:
        return ordered(find_suite(self.suite), self._order)

    @property
    def _bench(self) -> Bench:
        return self._ordered[0]

    @property
    def _systems(self) -> dict[str, System]:
        return self._ordered[1]


KINDS: dict[str, type[PairSubject] | type[SuiteSubject]] = {"pair": PairSubject, "suite": SuiteSubject}
"""What can be asked about, by the name that processes have for it."""
