"""What the closed loop is worth: `python -m training.closed_loop` runs policies over the real processes, paired.

Knows nothing about statistics or drawing (`loop_report.py`). A point is one policy on one channel with one kind of
feedback; every point of a pair meets the same stream and air positions, so that all comparisons are paired, frame by
frame. Finished points are kept under --out and not run again; --direct gives the same numbers without sockets.

    snr      policies against the average SNR of a Rayleigh channel
    delay    against fd * tau: tau is the age of the newest report when a frame is sent, one slot + --feedback-delay
    loss     against the share of reports that are lost
    bits     against the bits per SNR in a report
    bias     against what is added to both SNRs of a report, in dB
    pilots   against pilots per frame; accuracy table and temperatures are measured again for each
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from common.channel.feedback import FeedbackSpec
from common.cli import begin, invoke, shared_options
from common.errors import ConfigError, SemlinkError
from common.manifest import MANIFEST, Manifest, canonical, find_pair, write_atomic
from sctx.rate import Goal, RatePolicy
from training.processes import Command, start_emulator, start_receiver

if TYPE_CHECKING:
    from common.data import ImageSet
    from training.direct import Encodings

EXPERIMENTS = ("snr", "delay", "loss", "bits", "bias", "pilots")
SYSTEMS = ("robust", "average", "adaptive", "adaptive+ir", "genie")
LOOP = ("robust", "fixed", "average", "adaptive", "priced", "genie")
"""What is compared in the experiments on feedback and pilots. fixed: the best single rate at the average SNR;
priced: adaptive, with the goal of the best accuracy less lambda for each use, which fixed is chosen by."""
BLIND = ("robust", "genie", "fixed")
"""Policies that take no notice of reports: they are run once for all kinds of feedback."""
SNRS_DB, LOSSES, BITS, PILOTS = (0, 5, 10, 15, 20), (0.0, 0.1, 0.2, 0.3), (3, 4, 5, 6, 8), (2, 4, 8, 16)
BIASES_DB = (-12, -6, -3, 0, 3, 6, 12)
DELAYS = (0, 1, 3, 9, 19, 39)
"""Of the reports, in slots on top of the one that every report has: fd * tau from 0.005 to 0.2."""
FRAME_DOPPLER, SLOW_DOPPLER = 0.01, 0.005
"""Doppler cycles per frame slot; the slower one lets `delay` begin at fd * tau = 0.005."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run. goal: as of `sctx.rate.Goal`; ask_below: confidence below which more is asked for, 0: never."""

    model_id: str
    pilots: int
    policy: str
    goal: Goal
    ask_below: float
    snr_db: float
    frame_doppler: float
    """Doppler cycles per slot."""
    feedback: FeedbackSpec
    frames: int
    stream: int
    seed: int

    @property
    def id(self) -> str:
        return hashlib.sha256(canonical(asdict(self))).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Entry:
    """A point's place in a comparison: which experiment, at which abscissa, under which name."""

    experiment: str
    x: float
    system: str
    point: Point


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each frame, in order: right 0 or 1; payload symbols; rounds after the first.

    header_bytes: mean per image on the wire, None without one.
    """

    right: tuple[int, ...]
    symbols: tuple[int, ...]
    rounds: tuple[int, ...]
    header_bytes: float | None


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", default="test", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Points, table and figure. [default: build/closed_loop/PAIR]"
)
@click.option("--experiments", default=",".join(EXPERIMENTS), show_default=True, help="Some of these, with commas.")
@click.option(
    "--systems",
    default=",".join(SYSTEMS),
    show_default=True,
    help="Of experiment snr; fixed:SYMBOLS, priced, adaptive@POINTS and adaptive@POINTS+ir too.",
)
@click.option("--loop-systems", default=",".join(LOOP), show_default=True, help="Of the other experiments.")
@click.option("--snr", default=",".join(map(str, SNRS_DB)), show_default=True, help="dB, of experiment snr.")
@click.option("--at", default=10.0, show_default=True, help="Average SNR in dB of the other experiments.")
@click.option("--pilots", default=4, show_default=True, help="Pilots per frame, but in experiment pilots.")
@click.option("--within", default=1.0, show_default=True, help="Goal: points below the full ladder's accuracy.")
@click.option("--ir-within", default=5.0, show_default=True, help="The same for the first round of adaptive+ir.")
@click.option("--confidence", default=0.9, show_default=True, help="adaptive+ir: ask for more below this.")
@click.option("--price", default=0.001, show_default=True, help="lambda: accuracy (0..1) that a channel use costs.")
@click.option(
    "--cycles",
    type=click.FloatRange(min=0.1),
    default=200.0,
    show_default=True,
    help="Doppler cycles per point: fixes the number of frames.",
)
@click.option("--stream", default=1, show_default=True, help="The channel's stream, the same for all points.")
@click.option("--seed", default=0, show_default=True, help="Seed of the channel.")
@click.option("--direct", is_flag=True, help="Without processes and sockets: the same numbers.")
@click.option("--quick", is_flag=True, help="Few frames and abscissas, to see that it works; no result.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.data import load_images
    from training.loop_report import compare, draw_figure, show, sweep

    base = find_pair(options["pair"])
    out = options["out"] or Path("build") / "closed_loop" / base.name
    dataset = options["dataset"] or base.dataset
    pairs = {count: prepared(base, count, dataset, out) for count in pilot_counts(options)}
    entries = plan(pairs, options)
    images = load_images(dataset, options["split"], base.preprocess)
    source = f"dataset:{dataset}:{options['split']}"
    outcomes = run({e.point for e in entries}, pairs, images, source, out / "points", options["direct"])
    report, swept = (make(entries, outcomes, options["price"]) for make in (compare, sweep))
    console = Console()
    show(report, swept, console if console.is_terminal else Console(width=160))
    how = {name: str(value) for name, value in options.items() if name not in ("json", "out")}
    document = {"options": how, "rows": report, "sweep": swept}
    write_atomic(out / "closed_loop.json", json.dumps(document, indent=1).encode() + b"\n")
    draw_figure(report, out / "closed_loop.png")
    console.print(f"{out / 'closed_loop.json'}, {out / 'closed_loop.png'}; points: {out / 'points'}")


def pilot_counts(options: dict[str, Any]) -> list[int]:
    """Every number of pilots that the experiments need."""
    swept = () if "pilots" not in options["experiments"].split(",") else PILOTS[1:3] if options["quick"] else PILOTS
    return sorted({options["pilots"], *swept})


def plan(pairs: dict[int, Manifest], options: dict[str, Any]) -> list[Entry]:
    """Every point of every experiment that the options ask for."""
    asked = options["experiments"].split(",")
    if unknown := set(asked) - set(EXPERIMENTS):
        raise ConfigError(f"--experiments {min(unknown)}: choose of {', '.join(EXPERIMENTS)}")
    try:
        snrs = [float(one) for one in options["snr"].split(",")]
    except ValueError:
        raise ConfigError(f"--snr '{options['snr']}': give numbers of dB with commas between them") from None
    xs: dict[str, Sequence[float]] = {
        "snr": snrs, "delay": [SLOW_DOPPLER * (1 + slots) for slots in DELAYS], "loss": LOSSES, "bits": BITS,
        "bias": BIASES_DB,
    }  # fmt: skip
    few = slice(None, None, 2) if options["quick"] else slice(None)
    swept = {**{name: values[few] for name, values in xs.items()}, "pilots": [c for c in PILOTS if c in pairs]}
    systems = {one: options["systems" if one == "snr" else "loop_systems"].split(",") for one in asked}
    return [
        Entry(experiment, x, system, _point(pairs, options, system, experiment, x))
        for experiment in asked
        for x in swept[experiment]
        for system in systems[experiment]
    ]


def _point(pairs: dict[int, Manifest], options: dict[str, Any], system: str, experiment: str, x: float) -> Point:
    from training.measure import best_rung

    manifest = pairs[int(x) if experiment == "pilots" else options["pilots"]]
    snr_db = x if experiment == "snr" else options["at"]
    if system == "fixed":
        system = f"fixed:{best_rung(manifest.accuracy, manifest.layout, snr_db, options['price'])}"
    policy, goal, repeats = _system(system, options)
    RatePolicy.parse(policy).check(manifest.layout.rates)
    frame_doppler = SLOW_DOPPLER if experiment == "delay" else FRAME_DOPPLER
    return Point(
        model_id=manifest.id,
        pilots=manifest.layout.pilots,
        policy=policy,
        goal=goal,
        ask_below=options["confidence"] if repeats else 0.0,
        snr_db=snr_db,
        frame_doppler=frame_doppler,
        feedback=_feedback(policy, experiment, x, manifest.layout.slot),
        frames=frames(options, frame_doppler),
        stream=options["stream"],
        seed=options["seed"],
    )


def _system(text: str, options: dict[str, Any]) -> tuple[str, Goal, bool]:
    """POLICY[@POINTS][+ir] or `priced` -> policy, goal, and whether more is asked for. Raises ConfigError."""
    if text == "priced":
        return "adaptive", Goal("price", options["price"]), False
    policy, plus, repeat = text.partition("+")
    policy, at, points = policy.partition("@")
    within = options["ir_within"] if repeat else options["within"]
    if at:
        within = float(points) if points.replace(".", "", 1).isdecimal() else math.nan
    if (plus and repeat != "ir") or (at and policy.partition(":")[0] in ("robust", "fixed")) or math.isnan(within):
        raise ConfigError(f"--systems {text}: choose of {', '.join(SYSTEMS)}, priced, fixed:SYMBOLS or adaptive@POINTS")
    return policy, Goal("within", within), bool(repeat)


def _feedback(policy: str, experiment: str, x: float, slot: int) -> FeedbackSpec:
    if policy.partition(":")[0] in BLIND:
        return FeedbackSpec()
    match experiment:
        case "delay":
            return FeedbackSpec(delay=(round(x / SLOW_DOPPLER) - 1) * slot)
        case "loss":
            return FeedbackSpec(loss=x)
        case "bits":
            return FeedbackSpec(bits=int(x))
        case "bias":
            return FeedbackSpec(bias_db=x)
    return FeedbackSpec()


def frames(options: dict[str, Any], frame_doppler: float) -> int:
    """Frames that span --cycles Doppler cycles; 4 cycles with --quick."""
    return round((4.0 if options["quick"] else options["cycles"]) / frame_doppler)


def prepared(base: Manifest, pilots: int, dataset: str, out: Path) -> Manifest:
    """The same networks with `pilots` pilots per frame; accuracy table and temperatures measured for them."""
    from common.data import load_images
    from training.calibration import load_student, trained_under, write_changed
    from training.measure import calibrate, measure

    if pilots == base.layout.pilots and base.calibration:
        return base
    folder = out / "pairs" / f"{base.id[:12]}-{pilots}-pilots"
    if (folder / MANIFEST).is_file():
        return find_pair(folder)
    try:
        student = load_student(replace(base, layout=replace(base.layout, pilots=pilots)))
    except ValueError as error:
        raise ConfigError(f"--pilots {pilots}: {error}") from None
    validation = load_images(dataset, "validation", base.preprocess)
    accuracy = measure(student, validation, base.preprocess, 0)
    fitted = calibrate(student, validation, base.preprocess, trained_under(base), 0)
    layout = asdict(replace(base.layout, pilots=pilots))
    return write_changed(base, folder, layout=layout, accuracy=accuracy, calibration=fitted)


# -- running


def run(
    points: set[Point], pairs: dict[int, Manifest], images: "ImageSet", source: str, folder: Path, direct: bool
) -> dict[str, Outcome]:
    """Point id -> outcome, from what is kept and from runs of what is missing."""
    from training.direct import Encodings
    from training.loop import bar

    encodings = Encodings()
    folder.mkdir(parents=True, exist_ok=True)
    found = {point.id: kept(folder, point) for point in points}
    missing = sorted((p for p in points if found[p.id] is None), key=lambda p: (p.pilots, p.snr_db, p.policy, p.id))
    with bar(Console(stderr=True), "closed loop", sum(p.frames for p in missing)) as advance, ExitStack() as receivers:
        ports: dict[int, int] = {}
        for point in missing:
            manifest = pairs[point.pilots]
            if not direct and point.pilots not in ports:
                receiver, ports[point.pilots] = start_receiver("--model", str(manifest.path))
                receivers.enter_context(receiver)
            outcome = (
                directly(point, manifest, images, advance, encodings)
                if direct
                else over_the_link(point, manifest, source, ports[point.pilots], advance)
            )
            if len(outcome.right) != point.frames:
                raise SemlinkError(f"{len(outcome.right)} of {point.frames} frames were answered at {point}")
            found[point.id] = outcome
            document = {"point": asdict(point), "outcome": asdict(outcome)}
            write_atomic(folder / f"{point.id}.json", json.dumps(document).encode() + b"\n")
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def kept(folder: Path, point: Point) -> Outcome | None:
    """The outcome of an earlier run; None where there is none, or one that cannot be read."""
    try:
        document = json.loads((folder / f"{point.id}.json").read_bytes())["outcome"]
        lists = (tuple(document[name]) for name in ("right", "symbols", "rounds"))
        return Outcome(*lists, document["header_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def over_the_link(
    point: Point, manifest: Manifest, source: str, receiver: int, advance: Callable[[], None]
) -> Outcome:  # fmt: skip
    """Emulator and transmitter as processes, one frame in flight, before a receiver that runs."""
    feedback, doppler = point.feedback, point.frame_doppler / manifest.layout.slot
    emulator, port = start_emulator(
        receiver, "--snr", repr(point.snr_db), "--fading", "rayleigh", "--doppler", repr(doppler),
        "--seed", str(point.seed), "--feedback-loss", repr(feedback.loss), "--feedback-delay", str(feedback.delay),
        "--feedback-bits", str(feedback.bits), "--feedback-bias", repr(feedback.bias_db),
    )  # fmt: skip
    flags = ["--peer", f"127.0.0.1:{port}", "--model", str(manifest.path), "--source", source,
             "--count", str(point.frames), "--stream", str(point.stream), "--window", "1", "--json",
             "--rate-policy", point.policy, f"--{point.goal.kind}", repr(point.goal.value)]  # fmt: skip
    if point.ask_below:
        flags += ["--arq", "incremental", "--confidence", repr(point.ask_below)]
    items = []
    with emulator:
        if point.policy == "genie":
            flags += ["--genie-from", "127.0.0.1:" + emulator.wait_for(r"control on \S+:(\d+)").group(1)]
        with Command("sctx", *flags) as transmitter:
            for line in transmitter.lines():
                items.append(json.loads(line))
                advance()
            if transmitter.wait(60) or not items:
                raise SemlinkError(f"sctx failed: {transmitter.said or 'no summary'}")
    summary = items.pop()["summary"]
    right = tuple(int(item["answer"] == item["label"]) for item in items)
    symbols, rounds = (tuple(item[name] for item in items) for name in ("symbols", "round"))
    return Outcome(right, symbols, rounds, summary["mean_header_bytes"])


def directly(
    point: Point, manifest: Manifest, images: "ImageSet", advance: Callable[[], None], encodings: "Encodings"
) -> Outcome:
    """The same chains and channel in this process."""
    import torch

    from common.channel.spec import ChannelSpec
    from training.direct import run_direct

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


if __name__ == "__main__":
    invoke(main, "TRAINING_CLOSED_LOOP")
