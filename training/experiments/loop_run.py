"""Points of the closed loop -> outcomes: over the real processes, or directly; what was run before is kept.

Knows nothing about statistics. A genie's points are run directly in either case: no link tells what it knows.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import torch
from rich.console import Console

from common.channel.spec.spec import ChannelSpec
from common.errors import ConfigError, SemlinkError
from common.files import write_json
from common.images.imageset import ImageSet
from common.pair.manifest import MANIFEST, Manifest, find_pair
from sctx.rate.policy import GOALLESS, GOALS, RatePolicy
from training.data.images import fingerprint
from training.distillation.pairs import measured_again
from training.experiments.loop_plan import Point
from training.lab.direct import Encodings, run_direct
from training.lab.processes import Command, start_emulator, start_receiver
from training.report.measured_on import code_sha256
from training.report.progress import Advance, bar


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each frame, in order: right 0 or 1; payload symbols; rounds after the first.

    header_bytes: mean per image on the wire, None without one.
    """

    right: tuple[int, ...]
    symbols: tuple[int, ...]
    rounds: tuple[int, ...]
    header_bytes: float | None


def prepared(base: Manifest, pilots: int, validation: Callable[[], ImageSet], out: Path) -> Manifest:
    """The same networks with `pilots` pilots per frame; the tables measured for them, on images of validation. What
    lies in `out` of the same pair, images and code is taken."""
    if pilots == base.layout.pilots:
        return base
    kind = f"{pilots}-pilots-{fingerprint(validation())[:8]}-{code_sha256()[:8]}"
    folder = out / "pairs" / f"{base.id[:12]}-{kind}"
    if (folder / MANIFEST).is_file():
        return find_pair(folder)
    try:
        layout = replace(base.layout, pilots=pilots)
        layout.require_pilots()
    except ConfigError as error:
        raise ConfigError(f"--pilots {pilots}: {error}") from None
    return measured_again(base, layout, validation(), folder)


def points_of(images: ImageSet, out: Path) -> Path:
    """The folder of what was run with these images and this code: other images and other code have others."""
    return out / "points" / f"{fingerprint(images)[:8]}-{code_sha256('training/experiments')[:8]}"


def run(
    points: set[Point], pairs: dict[int, Manifest], images: ImageSet, source: str, folder: Path, direct: bool
) -> dict[str, Outcome]:
    """Point id -> outcome, from what is kept and from runs of what is missing.

    What was run directly has no headers, and is no outcome of the link.
    """
    encodings = Encodings()
    folder.mkdir(parents=True, exist_ok=True)
    found = {point.id: kept(folder, point) for point in points}
    by_link = {point for point in points if not direct and point.policy != "genie"}
    lacking = {p for p in points if (one := found[p.id]) is None or (p in by_link and one.header_bytes is None)}
    missing = sorted(lacking, key=lambda p: (p.pilots, p.snr_db, p.policy, p.id))
    with bar(Console(stderr=True), "closed loop", sum(p.frames for p in missing)) as advance, ExitStack() as receivers:
        ports: dict[int, int] = {}
        for point in missing:
            manifest = pairs[point.pilots]
            if point in by_link and point.pilots not in ports:
                receiver, ports[point.pilots] = start_receiver("--model", str(manifest.path))
                receivers.enter_context(receiver)
            outcome = (
                over_the_link(point, manifest, source, ports[point.pilots], advance)
                if point in by_link
                else directly(point, manifest, images, advance, encodings)
            )
            if len(outcome.right) != point.frames:
                raise SemlinkError(f"{len(outcome.right)} of {point.frames} frames were answered at {point}")
            found[point.id] = outcome
            document = {"point": asdict(point), "outcome": asdict(outcome)}
            write_json(folder / f"{point.id}.json", document, indent=None)
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def kept(folder: Path, point: Point) -> Outcome | None:
    """The outcome of an earlier run; None where there is none, or one that cannot be read."""
    try:
        document = json.loads((folder / f"{point.id}.json").read_bytes())["outcome"]
        right, symbols, rounds = (tuple(document[name]) for name in ("right", "symbols", "rounds"))
        return Outcome(right, symbols, rounds, document["header_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def over_the_link(point: Point, manifest: Manifest, source: str, receiver: int, advance: Advance) -> Outcome:
    """Emulator and transmitter as processes, one frame in flight, before a receiver that runs."""
    feedback, doppler = point.feedback, point.frame_doppler / manifest.layout.slot
    emulator, port = start_emulator(
        receiver, "--snr", repr(point.snr_db), "--fading", "rayleigh", "--doppler", repr(doppler),
        "--seed", str(point.seed), "--feedback-loss", repr(feedback.loss), "--feedback-delay", str(feedback.delay),
        "--feedback-bits", str(feedback.bits), "--feedback-bias", repr(feedback.bias_db),
    )  # fmt: skip
    flags = ["--peer", f"127.0.0.1:{port}", "--model", str(manifest.path), "--source", source, "--json"]
    items = []
    with emulator, Command("sctx", *flags, *transmitter_flags(point)) as transmitter:
        for line in transmitter.lines():
            items.append(json.loads(line))
            advance()
        if transmitter.wait(60) or not items:
            raise transmitter.failure("failed")
    summary = items.pop()["summary"]
    right = tuple(int(item["answer"] == item["label"]) for item in items)
    symbols, rounds = (tuple(item[name] for item in items) for name in ("symbols", "round"))
    return Outcome(right, symbols, rounds, summary["mean_header_bytes"])


def transmitter_flags(point: Point) -> list[str]:
    """Of `sctx`, for what a point says of the transmitter."""
    flags = ["--count", str(point.frames), "--stream", str(point.stream), "--window", "1", "--rate-policy",
             point.policy]  # fmt: skip
    if point.policy.partition(":")[0] not in GOALLESS:
        flags += [GOALS[point.goal.kind].flag, repr(point.goal.value)]
    if point.ask_below:
        flags += ["--arq", "incremental", "--confidence", repr(point.ask_below)]
    return flags


def directly(point: Point, manifest: Manifest, images: ImageSet, advance: Advance, encodings: Encodings) -> Outcome:
    """The same chains and channel in this process."""
    torch.set_num_threads(1)  # as the commands do; one small image at a time gains nothing from a second
    spec = ChannelSpec(
        snr_db=point.snr_db, fading="rayleigh", doppler=point.frame_doppler / manifest.layout.slot, seed=point.seed
    )
    policy = RatePolicy.parse(point.policy, point.goal)
    around = islice(cycle(images.images), point.frames)
    answers = []
    how = policy, point.ask_below, point.feedback
    for one in run_direct(manifest, around, spec, point.stream, *how, encodings=encodings):
        answers.append(one)
        advance()
    right = tuple(int(one.answer == label) for one, label in zip(answers, cycle(images.labels.tolist())))
    return Outcome(right, tuple(one.symbols for one in answers), tuple(one.round for one in answers), None)
