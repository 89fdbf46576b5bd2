"""A family tuned: the best of its trials fitted in full, a member chosen for each place, all of it written down.

Knows nothing about what is fitted. One thread, and the same seeds again.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.torch import load_file, save

from common.files import write_atomic
from common.pair.manifest import canonical
from training.report.progress import bar
from training.systems.bench import Bench
from training.systems.system import Place
from training.trained.family import Family, Weights
from training.trained.fronts import Examples, Front
from training.trained.held_to import held_to
from training.trained.learned import Kit, Option, share_right, write_record
from training.trained.trying import REFERENCE, STREAMS, Budget, Trials

SNRS_DB = (-10.0, -6.0, -3.0, 0.0, 3.0, 7.0, 12.0, 20.0)
PLACES = tuple(
    Place(channel, csi, n, snr)
    for channel in ("awgn", "block-rayleigh")
    for csi in ("perfect", "estimated")
    for n in (8, 16, 32, 64)
    for snr in SNRS_DB
)
"""Where a member is chosen."""


@dataclass
class Spent:
    """CPU seconds by what they went to."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - began


class Tuning(Trials):
    """Trials of a family, and what follows them."""

    def __init__(self, family: Family, bench: Bench, budget: Budget, build: Path, seed: int = 0) -> None:
        super().__init__(family.name, family.space, bench, budget, build, seed)
        self.family = family
        self._members: dict[str, Weights] = {}

    @cached_property
    def front(self) -> Front:
        return Front(self.bench, self.family.front)

    @cached_property
    def examples(self) -> Examples:
        return Examples(self.bench, self.front)

    def attempt(self, settings: dict[str, Any], folder: Path) -> float:
        weights = {
            one: self.family.fit(one, self.examples, settings, folder / one, self.seed) for one in self.family.reference
        }
        kit = Kit(self.family, self.bench, settings, weights)
        return float(np.mean([max(right for _, right in self.judged(kit, place)) for place in REFERENCE]))

    def judged(self, kit: Kit, place: Place) -> list[tuple[Option, float]]:
        """Every option that fits into a place, with its share of right answers to the held-out images."""
        judged = []
        for option in kit.options(place):
            way = kit.way(option, place)
            assert way is not None
            judged.append((option, share_right(way, self.held, place, STREAMS)))
        return judged

    def members(self, settings: dict[str, Any]) -> dict[str, Weights]:
        """All members with these settings; a member that is done is read."""
        folder = self.folder / f"chosen-{hashlib.sha256(canonical(settings)).hexdigest()[:8]}"
        for name in self.family.members():
            done = folder / f"{name}.safetensors"
            if not done.is_file():
                weights = self.family.fit(name, self.examples, settings, folder / name, self.seed)
                write_atomic(done, save({key: one.contiguous() for key, one in weights.items()}))
            self._members[name] = load_file(done)
        return self._members

    def choices(self, kit: Kit) -> list[dict[str, Any]]:
        """For each place, the option that did best; places into which nothing fits are left out."""
        found = []
        with bar(Console(stderr=True), f"{self.family.name}: which member where", len(PLACES)) as advance:
            for place in PLACES:
                if judged := self.judged(kit, place):
                    option, right = max(judged, key=lambda one: one[1])
                    found.append({"channel": place.channel, "csi": place.csi, "n": place.n, "snr_db": place.snr_db,
                                  "member": option.member, "pilots": option.pilots,
                                  "validation": round(right, 5)})  # fmt: skip
                advance()
        return found

    def run(self, out: Path, command: str) -> dict[str, Any]:
        """All of it; writes OUT and the JSON beside it, which is returned."""
        spent = Spent()
        tried = self.trials()
        best = max(tried, key=lambda one: one["accuracy"])
        with spent.on("fitting"):
            weights = self.members(best["settings"])
        kit = Kit(self.family, self.bench, best["settings"], weights)
        with spent.on("choosing"):
            choices = self.choices(kit)
        document = self.told(tried, command)
        document |= {"source": self.family.source, "choices": choices,
                     "held_to": held_to(kit, self.held)}  # fmt: skip
        document["spent"] |= {f"{what}_cpu_s": round(seconds, 1) for what, seconds in spent.seconds.items()}
        write_record(out, document, weights)
        return document
