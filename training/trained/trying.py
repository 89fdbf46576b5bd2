"""Settings tried one after the other on held-out images, as many for each system; what was finished is not done twice.

Knows nothing about what is tried.
"""

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import __version__
from common.console import tell
from common.files import write_atomic
from common.pair.manifest import canonical
from training.systems.bench import Bench
from training.systems.system import Place
from training.trained.family import Space

REFERENCE = tuple(Place("awgn", "perfect", 16, float(snr)) for snr in (-6, 0, 6))
"""Where trials are compared: the mean over these."""
STREAMS = range(900, 902)
"""Channels on which is chosen; suites count theirs from 0."""
MOST = 1000
"""Held-out images that are looked at."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a system may spend on choosing its settings: trials, and CPU seconds after which none is begun."""

    trials: int
    cpu_s: float


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


class Trials(ABC):
    """One system on one bench. build: where trials lie until all is written; seed: of settings and of weights."""

    def __init__(
        self, name: str, space: Space, bench: Bench, budget: Budget, build: Path, seed: int = 0, **more: Any
    ) -> None:
        """more: what the trials depend on beside all that."""
        self.name, self.space, self.bench, self.budget, self.seed = name, space, bench, budget, seed
        self.held = bench.validation().some(MOST)
        document = {"version": __version__, "system": name, "pair": bench.manifest.id, "data": bench.seen,
                    "space": {key: list(values) for key, values in space.items()}, "seed": seed, **more}  # fmt: skip
        self.folder = build / f"{name}-{short(document)}"

    @abstractmethod
    def attempt(self, settings: dict[str, Any], folder: Path) -> float:
        """Fit with these settings, on from what lies in `folder`; accuracy of held-out images, mean over REFERENCE."""

    def trials(self) -> list[dict[str, Any]]:
        """Each as {"trial", "settings", "accuracy", "cpu_s"}; those that are done already are read."""
        lines, found = Lines(self.folder / "trials.jsonl"), list[dict[str, Any]]()
        done = {canonical(one["settings"]): one for one in lines.read}
        every = drawn(self.space, self.budget.trials, self.seed)
        for number, settings in enumerate(every):  # of another number of trials another set is drawn
            if (known := done.get(canonical(settings))) is not None:
                found.append({**known, "trial": number})
                continue
            if sum(one["cpu_s"] for one in found) >= self.budget.cpu_s:
                tell(f"{self.name}: {number} of {len(every)} trials took the {self.budget.cpu_s:g} CPU seconds")
                break
            began = time.process_time()
            accuracy = self.attempt(settings, self.folder / f"trial-{short(settings)}")
            taken = time.process_time() - began
            found.append({"trial": number, "settings": settings, "accuracy": accuracy, "cpu_s": round(taken, 2)})
            lines.add(found[-1])
            tell(f"{self.name}: trial {number}: {100 * accuracy:.1f} % in {taken:.0f} CPU s with {settings}")
        return found

    def told(self, tried: list[dict[str, Any]], command: str) -> dict[str, Any]:
        """What the JSON of any system says of its trials."""
        best = max(tried, key=lambda one: one["accuracy"])
        return {
            "system": self.name, "suite": self.bench.suite, "command": command, "pair": self.bench.manifest.id,
            "dataset": self.bench.dataset, "data": self.bench.seen, "seed": self.seed,
            "budget": {"trials": self.budget.trials, "cpu_s": self.budget.cpu_s},
            "tried": tried, "chosen": best["settings"],
            "spent": {"trials": len(tried), "tuning_cpu_s": round(sum(one["cpu_s"] for one in tried), 1)},
            "validation": {"images": len(self.held), "reference": "awgn, perfect CSI, n = 16, mean of -6, 0 and 6 dB",
                           "accuracy": best["accuracy"]},
        }  # fmt: skip


def short(document: Mapping[str, Any]) -> str:
    """Eight hex digits of what a folder is of."""
    return hashlib.sha256(canonical(document)).hexdigest()[:8]


def drawn(space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings of each trial: the first of everything, then such that each value of a setting has its turn equally
    often (McKay et al. 1979, Latin hypercube), no two trials alike while there are some left."""
    random = np.random.Generator(np.random.Philox(key=[seed, 0]))
    found = [{key: values[0] for key, values in space.items()}]
    for _ in range(100):
        turns = {key: _turns(len(values), trials - 1, random) for key, values in space.items()}
        for at in range(trials - 1):
            one = {key: values[turns[key][at]] for key, values in space.items()}
            if one not in found and len(found) < trials:
                found.append(one)
        if len(found) == trials:
            break
    return found


def _turns(values: int, trials: int, random: np.random.Generator) -> list[int]:
    """The first value was tried: the others come first, then all of them again."""
    rest: list[int] = (1 + random.permutation(values - 1)).tolist()
    while len(rest) < trials:
        rest += random.permutation(values).tolist()
    return rest[:trials]
