"""A family tuned: the best of its trials fitted in full, a member chosen for each place, all of it written down.

Knows nothing about what is fitted. One thread, and the same seeds again.
"""

import math
import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.torch import load_file, save

from common.files import write_atomic
from common.images.imageset import ImageSet
from training.report.progress import bar
from training.systems.bench import Bench
from training.systems.system import Place
from training.trained.family import Family, Space, Weights
from training.trained.fronts import MANY, Examples, Front, examples_of
from training.trained.held_to import held_to
from training.trained.learned import Kit, Option, share_right, write_record
from training.trained.trying import REFERENCE, STREAMS, Budget, Lines, Trials, short

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
USUAL = 1137
"""Training images of the digits, for which the families' own passes are."""
FEW_PASSES, LARGE_BATCH = (10, 5), (256,)
"""Of MANY images: more steps than the families' own passes have of a thousand digits, and fewer passes than ours."""


def space_of(family: Family, bench: Bench) -> Space:
    """What is tried: the family's own space; of MANY images with FEW_PASSES, of fewer than USUAL with more passes.

    More as the root of how many fewer they are: so `training.fractions` trains ours.
    """
    images = len(bench.train())
    if images < MANY:
        longer = max(math.sqrt(USUAL / images), 1.0)
        return {**family.space, "epochs": tuple(round(longer * one) for one in family.space["epochs"])}
    return {**family.space, "epochs": FEW_PASSES, "batch": LARGE_BATCH}


class Tuning(Trials):
    """Trials of a family, and what follows them."""

    def __init__(self, family: Family, bench: Bench, budget: Budget, build: Path, seed: int = 0) -> None:
        super().__init__(family.name, space_of(family, bench), bench, budget, build, seed)
        self.family = family

    @cached_property
    def front(self) -> Front:
        return self.examples.front

    @cached_property
    def examples(self) -> Examples:
        return examples_of(self.bench, self.family.front)

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

    def members(self, settings: dict[str, Any]) -> tuple[dict[str, Weights], float]:
        """All members with these settings, and the CPU seconds that they took; a member that is done is read."""
        folder = self._chosen(settings)
        lines = Lines(folder / "members.jsonl")
        for name in self.family.members()[len(lines.read) :]:
            began = time.process_time()
            weights = self.family.fit(name, self.examples, settings, folder / name, self.seed)
            write_atomic(folder / f"{name}.safetensors", save({key: one.contiguous() for key, one in weights.items()}))
            lines.add({"member": name, "cpu_s": time.process_time() - began})
        found = {name: load_file(folder / f"{name}.safetensors") for name in self.family.members()}
        return found, _cpu_s(lines)

    def choices(self, kit: Kit) -> tuple[list[dict[str, Any]], float]:
        """For each place the option that did best, none where none fits; and the CPU seconds that this took.

        Of many, those two are looked at closely that do best with a third of the images.
        """
        lines = Lines(self._chosen(kit.settings) / "choices.jsonl")
        with bar(Console(stderr=True), f"{self.name}: which member where", len(PLACES), len(lines.read)) as advance:
            for place in PLACES[len(lines.read) :]:
                began = time.process_time()
                best = self._best(kit, place)
                lines.add({"best": best and asdict(place) | best, "cpu_s": time.process_time() - began})
                advance()
        return [one["best"] for one in lines.read if one["best"]], _cpu_s(lines)

    def _best(self, kit: Kit, place: Place) -> dict[str, Any] | None:
        """What is sent at a place, and its accuracy of the held-out images."""
        options = kit.options(place)
        if len(options) > CLOSELY:
            some = self.held.some(len(self.held) // 3)
            options = [one for _, one in self.judged(kit, place, options, some, STREAMS[:1])[:CLOSELY]]
        if not options:
            return None
        right, best = self.judged(kit, place, options, self.held, STREAMS)[0]
        return asdict(best) | {"validation": round(right, 5)}

    def _chosen(self, settings: dict[str, Any]) -> Path:
        """Where lies what is made with these settings."""
        return self.folder / f"chosen-{short(settings)}"

    def run(self, out: Path, command: str) -> dict[str, Any]:
        """All of it; writes OUT and the JSON beside it, which is returned."""
        tried = self.trials()
        document = self.told(tried, command)
        weights, fitting = self.members(document["chosen"])
        kit = Kit(self.family, self.bench, document["chosen"], weights)
        choices, choosing = self.choices(kit)
        document["spent"] |= {"fitting_cpu_s": round(fitting, 1), "choosing_cpu_s": round(choosing, 1)}
        document |= {"source": self.family.source, "choices": choices, "held_to": held_to(kit, self.held)}
        write_record(out, document, weights)
        return document


def _cpu_s(lines: Lines) -> float:
    return float(sum(one["cpu_s"] for one in lines.read))
