"""A family tuned: the best of its trials fitted in full, a member chosen for each place, all of it written down.

Knows nothing about what is fitted. One thread, and the same seeds again.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.torch import load_file, save

from common.files import write_atomic
from common.images.datasets import ImageSet
from common.pair.manifest import canonical
from training.report.progress import bar
from training.systems.bench import Bench
from training.systems.system import Place
from training.trained.family import Family, Weights
from training.trained.fronts import Examples, Front
from training.trained.held_to import held_to
from training.trained.learned import Kit, Option, share_right, write_record
from training.trained.trying import REFERENCE, STREAMS, Budget, Lines, Trials

SNRS_DB = (-10.0, -6.0, -3.0, 0.0, 3.0, 7.0, 12.0, 20.0)
PLACES = tuple(
    Place(channel, csi, n, snr)
    for channel in ("awgn", "block-rayleigh")
    for csi in ("perfect", "estimated")
    for n in (8, 16, 32, 64)
    for snr in SNRS_DB
)
"""Where a member is chosen."""
CLOSELY = 2
"""Options of a place that are judged on all held-out images."""


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
        best = [self.judged(kit, place, kit.options(place), self.held, STREAMS)[0][0] for place in REFERENCE]
        return float(np.mean(best))

    def judged(
        self, kit: Kit, place: Place, options: list[Option], images: ImageSet, streams: range
    ) -> list[tuple[float, Option]]:
        """Each option's share of right answers to the images, the best first; equals in their order."""
        ways = [(option, kit.way(option, place)) for option in options]
        judged = [(share_right(way, images, place, streams), option) for option, way in ways if way is not None]
        return sorted(judged, key=lambda one: -one[0])

    def members(self, settings: dict[str, Any]) -> dict[str, Weights]:
        """All members with these settings; a member that is done is read."""
        folder = self._chosen(settings)
        for name in self.family.members():
            done = folder / f"{name}.safetensors"
            if not done.is_file():
                weights = self.family.fit(name, self.examples, settings, folder / name, self.seed)
                write_atomic(done, save({key: one.contiguous() for key, one in weights.items()}))
            self._members[name] = load_file(done)
        return self._members

    def _chosen(self, settings: dict[str, Any]) -> Path:
        """Where lies what is made with these settings."""
        return self.folder / f"chosen-{hashlib.sha256(canonical(settings)).hexdigest()[:8]}"

    def choices(self, kit: Kit) -> list[dict[str, Any]]:
        """For each place, the option that did best; places into which nothing fits are left out.

        Of many, those two are looked at closely that do best with a third of the images.
        """
        lines = Lines(self._chosen(kit.settings) / "choices.jsonl")
        some = self.held.take(np.arange(len(self.held) // 3))
        with bar(Console(stderr=True), f"{self.name}: which member where", len(PLACES), len(lines.read)) as advance:
            for place in PLACES[len(lines.read) :]:
                options = kit.options(place)
                if len(options) > CLOSELY:
                    options = [one for _, one in self.judged(kit, place, options, some, STREAMS[:1])[:CLOSELY]]
                best = self.judged(kit, place, options, self.held, STREAMS)[:1]
                lines.add(
                    asdict(place) | {"best": [asdict(one) | {"validation": round(right, 5)} for right, one in best]}
                )
                advance()
        return [{key: one[key] for key in asdict(PLACES[0])} | best for one in lines.read for best in one["best"]]

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
