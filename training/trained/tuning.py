"""Settings tried on held-out images, the best of them fitted in full, a member chosen for each place, all written down.

Knows nothing about what is fitted. One thread, the same seeds again, and whatever was finished is not done twice.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.torch import load_file, save

from common import __version__
from common.console import tell
from common.files import write_atomic
from common.pair.manifest import canonical
from training.data.images import fingerprint
from training.report.progress import bar
from training.systems.bench import Bench
from training.systems.system import Place
from training.trained.family import Family, Weights
from training.trained.fronts import Examples, Front
from training.trained.held_to import held_to
from training.trained.learned import Kit, Option, share_right, write_record

REFERENCE = tuple(Place("awgn", "perfect", 16, float(snr)) for snr in (-6, 0, 6))
"""Where trials are compared: the mean over these."""
SNRS_DB = (-10.0, -6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 15.0, 20.0)
PLACES = tuple(
    Place(channel, csi, n, snr)
    for channel in ("awgn", "block-rayleigh")
    for csi in ("perfect", "estimated")
    for n in (8, 16, 32, 64)
    for snr in SNRS_DB
)
"""Where a member is chosen."""
STREAMS = range(900, 902)
"""Channels on which is chosen; suites count theirs from 0."""
MOST = 1000
"""Held-out images that are looked at."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a system may spend on choosing its settings: trials, and CPU seconds after which none is begun."""

    trials: int
    cpu_s: float


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


class Lines:
    """A file of JSON lines that a killed process may leave half a line of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.read: list[dict[str, Any]] = []
        if path.is_file():
            for line in path.read_text().splitlines():
                try:
                    self.read.append(json.loads(line))
                except ValueError:
                    break
            write_atomic(path, "".join(f"{json.dumps(one)}\n" for one in self.read).encode())

    def add(self, entry: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.read.append(entry)


class Tuning:
    """One family on one bench. build: where trials and members lie until all is written."""

    def __init__(self, family: Family, bench: Bench, budget: Budget, build: Path, seed: int = 0) -> None:
        self.family, self.bench, self.budget, self.seed = family, bench, budget, seed
        held = bench.validation()
        self.held = held.take(np.arange(min(len(held), MOST)))
        self.data = hashlib.sha256((fingerprint(bench.train()) + fingerprint(held)).encode()).hexdigest()
        document = {"version": __version__, "system": family.name, "pair": bench.manifest.id, "data": self.data,
                    "space": {key: list(values) for key, values in family.space.items()}, "seed": seed}  # fmt: skip
        self.folder = build / f"{family.name}-{hashlib.sha256(canonical(document)).hexdigest()[:8]}"
        self._members: dict[str, Weights] = {}

    @cached_property
    def front(self) -> Front:
        return Front(self.bench, self.family.front)

    @cached_property
    def examples(self) -> Examples:
        return Examples(self.bench, self.front)

    def trials(self) -> list[dict[str, Any]]:
        """Each as {"trial", "settings", "accuracy", "cpu_s"}; those that are done already are read."""
        lines = Lines(self.folder / "trials.jsonl")
        every = drawn(self.family.space, self.budget.trials, self.seed)
        for number, settings in enumerate(every):
            if number < len(lines.read):
                continue
            if sum(one["cpu_s"] for one in lines.read) >= self.budget.cpu_s:
                tell(f"{self.family.name}: {number} of {len(every)} trials took the {self.budget.cpu_s:g} CPU seconds")
                break
            began = time.process_time()
            accuracy = self._try(settings, self.folder / f"trial-{number}")
            taken = time.process_time() - began
            lines.add({"trial": number, "settings": settings, "accuracy": accuracy, "cpu_s": round(taken, 2)})
            tell(f"{self.family.name}: trial {number}: {100 * accuracy:.1f} % in {taken:.0f} CPU s with {settings}")
        return lines.read[: len(every)]

    def _try(self, settings: dict[str, Any], folder: Path) -> float:
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
        document = {
            "system": self.family.name, "suite": self.bench.suite, "source": self.family.source, "command": command,
            "pair": self.bench.manifest.id, "dataset": self.bench.dataset, "data": self.data, "seed": self.seed,
            "spent": {"trials": len(tried), "tuning_cpu_s": round(sum(one["cpu_s"] for one in tried), 1),
                      **{f"{what}_cpu_s": round(seconds, 1) for what, seconds in spent.seconds.items()}},
            "ours": ours(self.bench), "budget": {"trials": self.budget.trials, "cpu_s": self.budget.cpu_s},
            "tried": tried, "chosen": best["settings"],
            "validation": {"images": len(self.held), "reference": "awgn, perfect CSI, n = 16, mean of -6, 0 and 6 dB",
                           "accuracy": best["accuracy"]},
            "choices": choices, "held_to": held_to(kit, self.held),
        }  # fmt: skip
        write_record(out, document, weights)
        return document


def drawn(space: Mapping[str, tuple[Any, ...]], trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings of each trial: the first of everything, then draws of which no two are alike, while there are some."""
    found = [{key: values[0] for key, values in space.items()}]
    random = np.random.Generator(np.random.Philox(key=[seed, 0]))
    for _ in range(100 * trials):
        if len(found) >= trials:
            break
        one = {key: values[random.integers(len(values))] for key, values in space.items()}
        if one not in found:
            found.append(one)
    return found


def ours(bench: Bench) -> dict[str, Any] | None:
    """What the pair itself took, to compare with: written by `--system ours`; None where that was never run."""
    path = bench.weights("ours").with_suffix(".json")
    if not path.is_file():
        return None
    spent: dict[str, Any] = json.loads(path.read_bytes())["spent"]
    return spent
