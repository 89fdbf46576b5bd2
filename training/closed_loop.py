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

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError, SemlinkError
from common.files import OutFolder
from common.images.datasets import held_out
from common.manifest import MANIFEST, Manifest, find_pair, write_atomic
from common.origin import dataset_of
from common.streams import say
from sctx.rate import RatePolicy
from training.loop_plan import EXPERIMENTS, LOOP, SNRS_DB, SYSTEMS, Point, pilot_counts, plan
from training.processes import Command, start_emulator, start_receiver

if TYPE_CHECKING:
    from common.images.datasets import ImageSet
    from training.direct import Encodings


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
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option(
    "--out", type=OutFolder(), help="Points, table and figure. [default: build/closed_loop/PAIR]"
)
@click.option("--experiments", default=",".join(EXPERIMENTS), show_default=True, help="Some of these, with commas.")
@click.option(
    "--systems",
    default=",".join(SYSTEMS),
    show_default=True,
    help="Of experiment snr; fixed, fixed:SYMBOLS, POLICY@POINTS, POLICY@price, POLICY+ir and POLICY+content too.",
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
    from training.data import load_told
    from training.loop_report import compare, draw_figure, show, sweep

    base = find_pair(options["pair"])
    out = options["out"] or Path("build") / "closed_loop" / base.name
    dataset = options["dataset"] or dataset_of(base)
    options["split"] = options["split"] or held_out(dataset)
    pairs = {count: prepared(base, count, dataset, out) for count in pilot_counts(options)}
    entries = plan(pairs, options)
    images = load_told(base, dataset, options["split"])
    source = f"dataset:{dataset}:{options['split']}"
    points = {e.point for e in entries} | {e.point.plain for e in entries}
    outcomes = run(points, pairs, images, source, out / "points", options["direct"])
    report, swept = (make(entries, outcomes, options["price"]) for make in (compare, sweep))
    show(report, swept)
    how = {name: str(value) for name, value in options.items() if name not in ("json", "out")}
    document = {"options": how, "rows": report, "sweep": swept}
    write_atomic(out / "closed_loop.json", json.dumps(document, indent=1).encode() + b"\n")
    draw_figure(report, out / "closed_loop.png")
    say(f"{out / 'closed_loop.json'}, {out / 'closed_loop.png'}; points: {out / 'points'}")


def prepared(base: Manifest, pilots: int, dataset: str, out: Path) -> Manifest:
    """The same networks with `pilots` pilots per frame; accuracy table and temperatures measured for them."""
    from training.calibration import load_student, trained_under, write_changed
    from training.data import load_told
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
    validation = load_told(base, dataset, "validation")
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
    from training.progress import bar

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
    if point.content:
        flags += ["--content"]
    if point.ask_below:
        flags += ["--arq", "incremental", "--confidence", repr(point.ask_below)]
    items = []
    with emulator:
        if point.policy == "genie":
            flags += ["--genie-from", emulator.wait_for(r"control on (\S+)").group(1)]
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
    for one in run_direct(manifest, around, spec, point.stream, *how, encodings=encodings, content=point.content):
        answers.append(one)
        advance()
    right = tuple(int(one.answer == label) for one, label in zip(answers, cycle(images.labels.tolist())))
    return Outcome(right, tuple(one.symbols for one in answers), tuple(one.round for one in answers), None)


if __name__ == "__main__":
    invoke(main, "TRAINING_CLOSED_LOOP")
