"""A whole suite as it is asked for: bench, systems, outcomes, JSON, table, figure; and one run beside another.

Knows nothing about the command line.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from common import __version__
from common.console import say
from common.errors import ConfigError
from common.files import write_atomic
from common.pair.manifest import find_pair, shipped_pairs
from training.distillation.provenance import without_paths
from training.report.measured_on import commit, machine
from training.report.tabular import print_table
from training.suites.definitions import Suite
from training.suites.measuring import Outcomes, homes, measure
from training.suites.roster import LABEL, OURS, of_second_pair, roster
from training.suites.shown import figure, show
from training.suites.verdicts import LEVEL, Point, Verdict, changes, known, points, verdicts
from training.systems.bench import Bench, plain_name
from training.systems.entrance import open_codec
from training.systems.system import System

OVER_SNR = ("snr_db", "difference", "low", "high", "p_holm")
"""Lists in a comparison: SNR in dB; the difference of two accuracies and its 95 % interval; a chance."""
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for beside the suite. pairs: the first is the suite's own, none for the one that it names; only:
    systems, none for all; split: None: test, or validation where there is none; most: images, None for all; codecs: as
    `training.systems.entrance` opens them; skip_bad: leave out images that cannot be read."""

    out: Path
    seed: int = 0
    only: Sequence[str] = ()
    pairs: Sequence[str] = ()
    dataset: str | None = None
    split: str | None = None
    device: str = "cpu"
    most: int | None = None
    codecs: Sequence[str] = ()
    skip_bad: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A suite that was run."""

    suite: Suite
    bench: Bench
    systems: Mapping[str, System]
    outcomes: Outcomes
    document: Mapping[str, Any]
    """As it is written to SUITE.json."""


def place_of(
    suite: Suite, seed: int, pairs: Sequence[str] = (), dataset: str | None = None, split: str | None = None,
    most: int | None = None,
) -> Path:  # fmt: skip
    """Where a run is written if nobody says: of another pair than the suite's own, of other images than the pair's, or
    of some of them, in a folder that says so."""
    parts, pair = [suite.name, str(seed)], find_pair(pairs[0] if pairs else suite.pair)
    if suite.pair not in shipped_pairs() or pair.id != find_pair(suite.pair).id:
        parts += [plain_name(pair.name), pair.id[:8]]
    if dataset is not None and (name := Path(dataset).name) != pair.dataset:
        parts.append(plain_name(name))
    parts += [plain_name(split)] if split else []
    parts += [f"{most}-images"] if most else []
    return Path("build/suites") / "-".join(parts)


def bench_of(suite: Suite, order: Order) -> Bench:
    """The suite's pair and images. ConfigError where the pair is neither given nor shipped."""
    pair = order.pairs[0] if order.pairs else suite.pair
    if not order.pairs and pair not in shipped_pairs():
        raise ConfigError(f"suite {suite.name} needs a pair that does not ship: train one by "
                          "python -m training.distill --dataset FOLDER, and give it by --pair")  # fmt: skip
    dataset = order.dataset or (suite.dataset if pair == suite.pair else None)
    return Bench.open(suite.name, pair, dataset, order.split, order.device, order.most, order.skip_bad)


def ordered(suite: Suite, order: Order) -> tuple[Bench, dict[str, System]]:
    """What is measured on what. Codecs that somebody brought are tried once, so that a mistake is told and not kept."""
    opened = [open_codec(spec) for spec in order.codecs]
    bench = bench_of(suite, order)
    brought = [entrance.system(bench) for entrance in opened]
    for one in brought:
        one.rehearse(next(iter(suite.places(suite.home))))
    others = [one for given in order.pairs[1:] for one in of_second_pair(bench, given)]
    return bench, roster(bench, order.only, [*others, *brought])


def run(suite: Suite, order: Order, console: Console | None = None) -> Run:
    """Measure what is not kept, then write OUT/SUITE.json, .md, .png, .svg and .pdf, and print the tables."""
    torch.set_num_threads(1)  # networks this small lose to the hand-over between threads
    bench, systems = ordered(suite, order)
    _require_room(order.out / f"{suite.name}.json", bench)
    outcomes = measure(suite, bench, systems, order.out, order.seed, console or Console(stderr=True))
    measured = points(outcomes, systems)
    found = [one for against in (OURS, LABEL) if against in systems for one in verdicts(outcomes, against)]
    document = _document(suite, bench, systems, order, measured, found)
    _write(order.out / f"{suite.name}.json", document)
    show(measured, found, order.out / f"{suite.name}.md")
    figure(suite, measured, systems, order.out / suite.name)
    return Run(suite, bench, systems, outcomes, document)


def _require_room(path: Path, bench: Bench) -> None:
    """ConfigError where results of other images lie already."""
    try:
        data = json.loads(path.read_bytes())["data"]
        other, what = data["sha256"] != bench.data, f"{data['images']} of {data['name']}, {data['split']}"
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing that anybody could read
    if other:
        raise ConfigError(f"{path} is of other images ({what}): give --out another folder, or move that one away")


def _document(
    suite: Suite, bench: Bench, systems: Mapping[str, System], order: Order, measured: Sequence[Point],
    found: Sequence[Verdict],
) -> dict[str, Any]:  # fmt: skip
    return {
        "points": measured,
        "suite": suite.name,
        "seed": order.seed,
        "command": " ".join(("python -m training.evaluate", *without_paths(sys.argv[1:]))),
        "semlink": __version__,
        "commit": commit(),
        "machine": machine(),
        "pair": {"name": bench.manifest.name, "id": bench.manifest.id},
        "data": {"name": bench.test.name, "split": bench.split, "images": len(bench.labels), "sha256": bench.data},
        "snr": "average Es/N0 per complex channel use, in dB; n counts pilots",
        "systems": {name: _about(suite, one) for name, one in systems.items()},
        "comparisons": _by_corner(found),
    }


def _by_corner(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """An entry for each two systems, channel, csi and n; lists over SNR. p_holm: over all places of the two."""
    entries: dict[tuple[str, str, str, str, int], dict[str, Any]] = {}
    for one in found:
        where = one.system, one.against, one.place.channel, one.place.csi, one.place.n
        names = ("system", "against", "channel", "csi", "n")
        entry = entries.setdefault(where, {**dict(zip(names, where, strict=True)), **{name: [] for name in OVER_SNR}})
        for name, value in zip(OVER_SNR, (one.place.snr_db, *one.difference, one.p), strict=True):
            entry[name].append(value)
    return list(entries.values())


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """As JSON, with a line for each entry of a list and each system, and six digits after the point."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            inner = ",\n ".join(json.dumps(_rounded(one)) for one in value)
            parts.append(f"{json.dumps(key)}: [\n {inner}\n]")
        elif key == "systems":
            inner = ",\n ".join(f"{json.dumps(name)}: {json.dumps(_rounded(one))}" for name, one in value.items())
            parts.append(f"{json.dumps(key)}: {{\n {inner}\n}}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, ("{" + ",\n".join(parts) + "}\n").encode())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _about(suite: Suite, system: System) -> dict[str, Any]:
    home = [list(one) for one in homes(suite, system)]
    return {"home": home, "macs": known(system, lambda one: one.macs), **(known(system, lambda one: one.about) or {})}


def compare(document: Mapping[str, Any], path: Path) -> int:
    """Tell which points of an earlier run are further away than both intervals allow; returns how many.

    ConfigError where it is of other images, or is no suite's JSON.
    """
    try:
        before = json.loads(path.read_bytes())
        other = before["data"]["sha256"] != document["data"]["sha256"]
        found = changes(document["points"], before["points"])
    except OSError as error:
        raise ConfigError(f"--against: cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"--against {path}: not the JSON of a suite") from None
    if other:
        raise ConfigError(f"--against {path}: it is of other images than this run")
    differ = [one for one in found if one.p < LEVEL]
    if differ:
        rows = [(one.where, f"{100 * one.before:.1f}", f"{100 * one.now:.1f}", f"{one.p:.1e}") for one in differ]
        print_table("points that differ by more than both intervals allow", ("point", "before", "now", "p"), rows,
                    left=("point",))  # fmt: skip
    say(f"{len(differ)} of {len(found)} points differ from {path.name} by more than both intervals allow (Holm, 5 %)")
    return len(differ)
