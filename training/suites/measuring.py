"""Every system at every place of a suite, over several channels per image; what was measured before is taken.

Knows nothing about tables, figures or what is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from common.errors import SemlinkError, by_pip
from training.report.measured_on import code_sha256, files_sha256
from training.report.progress import bar
from training.suites.definitions import Corner, Suite
from training.suites.kept import Kept, Outcome, key_of
from training.suites.roster import LABEL, OURS
from training.systems.bench import Bench
from training.systems.system import NotThere, Place, System

Outcomes = dict[tuple[str, Place], Outcome]
"""System and place -> what became of the images."""


@dataclass(frozen=True, slots=True)
class Task:
    """One outcome to be had. key: under which it is kept; None: it is not."""

    system: System
    place: Place
    streams: int
    key: str | None


def measure(
    suite: Suite, bench: Bench, systems: Mapping[str, System], folder: Path, seed: int, console: Console
) -> Outcomes:
    """Measure what is not kept in `folder`. Streams of the channel that `seed` makes: 0, 1 ...; the same for all."""
    found: Outcomes = {}
    tasks = _tasks(suite, bench, systems, seed)
    with Kept(folder, bench.labels) as kept:
        known = sum(one.key is not None and kept.get(one.key) is not None for one in tasks)
        with bar(console, f"suite {suite.name}", len(tasks), known) as advance:
            for task in tasks:
                outcome = None if task.key is None else kept.get(task.key)
                if outcome is None:
                    outcome = outcome_of(task.system, task.place, range(task.streams), seed, len(bench.labels))
                    if task.key is not None and outcome.reason is None:
                        kept.put(
                            task.key, outcome, {"system": task.system.name, "place": _plain(task.place), "seed": seed}
                        )
                    advance(now=f"{task.system.name}, {task.place.channel}, {task.place.csi}, n = {task.place.n}")
                found[task.system.name, task.place] = outcome
    return found


def outcome_of(system: System, place: Place, streams: Sequence[int], seed: int, count: int) -> Outcome:
    """Of some streams; count: images. Whatever is missing or damaged is a reason and no error."""
    try:
        each = [system.measure(place, stream, seed) for stream in streams]
    except ModuleNotFoundError as missing:
        return _nothing(
            count, f"needs {missing.name}, which this install leaves out: install it by {by_pip('baselines')}"
        )
    except (NotThere, SemlinkError) as why:
        return _nothing(count, " ".join(str(why).split()))
    answers = [one.decided for one in each if one.decided is not None]
    decided = np.stack(answers) if len(answers) == len(each) else None
    return Outcome(np.stack([one.right for one in each]), float(np.mean([one.uses for one in each])), decided)


def _nothing(count: int, reason: str) -> Outcome:
    return Outcome(np.empty((0, count)), reason=reason)


def homes(suite: Suite, system: System) -> tuple[Corner, ...]:
    """Where a system belongs."""
    return system.home or (suite.home,)


def corners_of(suite: Suite, systems: Sequence[System]) -> tuple[Corner, ...]:
    """Those of the suite, and homes that lie elsewhere (the smallest picture needs more uses than any label)."""
    return tuple(dict.fromkeys([*suite.corners, *(home for one in systems for home in homes(suite, one))]))


def _tasks(suite: Suite, bench: Bench, systems: Mapping[str, System], seed: int) -> list[Task]:
    """Place by place, so that the time that is left is told well from what is done."""
    shared = {"pair": bench.manifest.id, "data": bench.data, "code": code_sha256()}
    weights = {name: _weights(bench, one) for name, one in systems.items()}

    def key(one: System, place: Place, streams: int) -> str | None:
        if one.made_of is None:
            return None
        made_of = {**shared, "weights": weights[one.name], "more": one.made_of}
        return key_of(suite.name, made_of, one.name, place, seed, streams)

    return [Task(one, place, streams, key(one, place, streams)) for one, place, streams in asked(suite, systems)]


def asked(suite: Suite, systems: Mapping[str, System]) -> Iterator[tuple[System, Place, int]]:
    """Which systems are measured at which places, and over how many streams; place by place."""
    for corner in corners_of(suite, list(systems.values())):
        for place in suite.places(corner):
            for name, system in systems.items():
                home, inside = corner in homes(suite, system), corner in suite.corners
                if inside or home or name in (OURS, LABEL):
                    at_home = suite.home_seeds if inside else suite.far_seeds
                    yield system, place, at_home if home else suite.seeds


def _weights(bench: Bench, system: System) -> str:
    """Of all that lies under the system's name among what is shipped."""
    fitted = bench.weights(system.name)
    return files_sha256(fitted, fitted.with_suffix(".json"), bench.folder(system.name))


def _plain(place: Place) -> list[str | int | float]:
    return [place.channel, place.csi, place.n, place.snr_db]
