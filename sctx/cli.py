"""`sctx`: the transmitter's command line. Only translates; what is done is in `transmitter.py`."""

import gc
import os
import secrets
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import click

from common.check import Number, Setting, Whole
from common.cli import begin, check_option, invoke, json_file_option, shared_options
from common.console import check_json_file, json_results, say, tell
from common.flags import given, in_flags, option, setting_options, typed
from common.live.asked import Faces, asks_for_page, check_http, faces, http_options
from sctx.rate.policy import GOALLESS, GOALS, Goal, RatePolicy
from sctx.settings import Settings

if TYPE_CHECKING:
    from common.pair.manifest import Manifest
    from sctx.capture.source import Capture, Source
    from sctx.outcomes import Answer, Missed, Summary
    from sctx.transmitter import Transmitter
    from sctx.vitals import Vitals

COLUMNS = 80
"""A line for people is no longer, where it can be broken, nor longer than a terminal that is narrower."""
COUNT = Setting(Whole(1, 2**32), "How many images; past the end it goes round again.", "--count", unset="each once")
FPS = Setting(
    Number(0.0, above=True), "Pace of the source, images per second.", "--fps", unset="as fast as the link takes them"
)
CONFIDENCE = Setting(
    Number(0.0, 1.0),
    "With --arq incremental: share of what the confidence can be, below which more is sent.",
    "--confidence",
)
EXIT_LOST = 1
WAIT_TOLD_S, FINISH_S = 2.0, 1.0
F = TypeVar("F", bound=Callable[..., Any])
Say = Callable[[Any], None] | None
"""What says a result as JSON, where somebody asked for that."""


def goal_options(command: F) -> F:
    """Add a flag for each kind of goal; the goal is the one that is given."""
    for kind, about in reversed(GOALS.items()):
        command = option(kind, about)(command)
    return command


@click.command(context_settings={"show_default": True})
@click.option("--peer", required=True, metavar="HOST:PORT", help="Channel emulator or receiver to send to.")
@click.option(
    "--model", default="digits", help="Model pair: a shipped name, a directory, or OWNER/NAME[@REVISION] of the Hub."
)
@click.option(
    "--source",
    metavar="SOURCE",
    help="Images: dataset:NAME:SPLIT, a folder, a picture, FILE.parquet, a video, camera:NUMBER (with --live), or - "
    "for JPEG, PNG or WebP pictures on standard input.  [default: the test images of the model's own data set]",
)
@option("count", COUNT)
@option("fps", FPS)
@setting_options(Settings)
@goal_options
@click.option(
    "--arq",
    type=click.Choice(["none", "incremental"]),
    default="none",
    help="incremental: an answer of low confidence gets the image's next symbols.",
)
@option("confidence", CONFIDENCE, 0.9)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per answer and a summary last.")
@json_file_option
@http_options
@check_option
@shared_options
@click.pass_context
def command(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> int:
    """Send images as a few semantic symbols over a noisy link, and show what the receiver answers.

    \b
    On one host:     scrx --listen 5555
                     channel-emu --snr 5 --fading rayleigh
                     sctx --peer 127.0.0.1:5556
    On three hosts, once they have keys (python -m common.transport.keys --help):
                     scrx --listen 5555
                     channel-emu --listen 5555 --upstream RXHOST:5555
                     sctx --peer EMUHOST:5555

    Exit codes: 0 done or stopped, 1 something was lost or failed, 2 wrong use, 3 the receiver refused, 4 link lost.
    """  # fmt: skip
    begin(context, log_level)
    if options["check"]:
        with in_flags(context):
            return _check(options)
    tell(f"sctx: opening pair {options['model']}")  # the line that is there at once, whatever takes its time then
    from common.shutdown import interrupt_on_end

    interrupt_on_end()
    with in_flags(context), faces("sctx", options) as seen:
        return _transmit(options, seen)


def _transmit(options: dict[str, Any], seen: Faces) -> int:
    """All of it; the exit code."""
    from sctx.outcomes import Summary

    with json_results(options["as_json"], options["json_file"]) as say_result:
        source, tx = _open(options)
        return _send(tx, source, Summary(tx.stream), options, seen, say_result)


def _send(
    tx: "Transmitter", source: "Source", summary: "Summary", options: dict[str, Any], seen: Faces, say_result: Say
) -> int:
    from common.shutdown import counted

    with counted() as asked, tx:  # nothing comes between an outcome, its line and the summary
        gc.freeze()  # what is loaded by now stays: no collection while frames pass need visit it
        try:
            _run(tx, source, summary, options, seen, say_result, asked)
            if asked():
                tell("sctx: stopped")
        finally:  # after an error too: what was reached is told
            summary.lost += tx.in_flight
            summary.unreadable = source.unreadable
            summary.duplicates = tx.link.session.counters.duplicates
            summary.header_bytes = tx.link.session.counters.header_bytes
            summary.report_correction_db = tx.correction_db
            summary.beyond_distortion = tx.beyond
            try:
                if say_result is not None:
                    say_result({"summary": summary.as_dict()})
            finally:  # on a full disk it has no place in the file
                if not options["as_json"] and (summary.sent or summary.unreadable):
                    _say_summary(summary)
    missing = summary.lost + (0 if options["live"] and summary.sent else summary.expired + source.unreadable)
    return EXIT_LOST if missing else 0


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that the values of the flags make. Raises ConfigError."""
    asked = options["confidence"] if options["arq"] == "incremental" else 0.0
    policy = RatePolicy.parse(options["policy"], _goal(options))
    return Settings(**given(Settings, options) | {"policy": policy, "ask_below": asked})


def _open(options: dict[str, Any]) -> "tuple[Source, Transmitter]":
    """Source and transmitter; what can be wrong without a model is found before one is loaded."""
    from common.pair.manifest import find_pair
    from common.transport.curve import reach

    settings = settings_of(options)
    manifest = find_pair(options["model"])
    settings.check(manifest)
    reach(options["peer"], settings.keys, settings.insecure)
    source = _source(options["source"], manifest)
    for note in source.notes:
        tell(f"sctx: {note}")

    from common.pair.backend import keep_to_one_thread
    from sctx.transmitter import Transmitter

    tx = Transmitter(options["peer"], manifest, settings)
    keep_to_one_thread()
    tell(f"sctx: encodes by {tx.chain.backend}")
    return source, tx


def _check(options: dict[str, Any]) -> int:
    """What must be right before images are sent, each by itself; no network is loaded, but graphs are."""
    from common.pair.backend import open_networks, pick_backend
    from common.pair.manifest import find_pair, read_half
    from common.pair.networks import AUTO
    from common.transport.curve import reach
    from common.transport.doctor import Note, Step, examine, holds, to_peer
    from common.transport.endpoints import parse_peer
    from common.transport.keystore import Keys, tell_keys
    from sctx.link import ask_receiver
    from sctx.parts import terms_of
    from sctx.pipeline import networks_of

    settings, address = settings_of(options), parse_peer(options["peer"])

    @cache
    def manifest() -> "Manifest":
        return find_pair(options["model"])

    @cache
    def keys() -> Keys | None:
        return reach(options["peer"], settings.keys, settings.insecure)[1]

    def pair() -> str:
        read_half(manifest(), "encoder")
        settings.check(manifest())
        return f"{manifest().name} ({manifest().id[:12]})"

    def backend() -> str:
        networks = networks_of(manifest())
        chosen = pick_backend(networks, settings.backend, settings.device)
        if chosen == "onnx":  # whether graphs belong to their weights is known once they are open
            open_networks(networks, chosen, settings.device)
        elif settings.device not in (AUTO, "cpu"):  # what was named may not be there; torch alone knows
            from common.pair.device import pick_device

            pick_device(settings.device)
        return chosen

    def source() -> str:
        size = _source(options["source"], manifest()).size
        return "a stream" if size is None else f"{size} images"

    def receiver() -> str:
        if not holds(manifest):
            return Note("not asked: that needs the pair")
        return ask_receiver(address, terms_of(manifest(), settings, secrets.token_bytes(16)), keys())

    def link() -> Iterator[Step]:
        yield "--keys", lambda: tell_keys(keys())
        yield from to_peer(address, keys(), "channel-emu or scrx", "--peer")
        yield "receiver", receiver

    ways: list[Iterable[Step]] = [[("--model", pair), ("--backend", backend), ("--source", source)]]
    if options["json_file"] is not None:
        ways.append([("--json-file", lambda: check_json_file(options["json_file"]))])
    if asks_for_page(options):
        ways.append([("--http", lambda: check_http("sctx", options))])
    return examine([*ways, link()], lambda told: typed(told, command))


def _source(given: str | None, manifest: "Manifest") -> "Source":
    """What --source names; without it the held-out images of the pair's data set, where this user has it."""
    from common.images.datasets import held_out
    from common.pair.origin import dataset_of
    from sctx.capture.source import Source

    if given is None:
        dataset = dataset_of(manifest, "--source")
        given = f"dataset:{dataset}:{held_out(dataset)}"
    return Source(given, manifest)


def _goal(options: dict[str, Any]) -> Goal:
    chosen = {kind: options[kind] for kind in GOALS if options[kind] is not None}
    if len(chosen) > 1:
        raise click.UsageError(f"choose one goal of {', '.join(GOALS[kind].flag for kind in GOALS)}")
    kind = options["policy"].partition(":")[0]
    if chosen and kind in GOALLESS:
        goal = GOALS[next(iter(chosen))].flag
        raise click.UsageError(f"{goal} is a goal, which policy {kind} does not look at: give one of them")
    return Goal(*next(iter(chosen.items()))) if chosen else Goal()


def _run(
    tx: "Transmitter",
    source: "Source",
    summary: "Summary",
    options: dict[str, Any],
    seen: Faces,
    say_result: Say,
    asked: Callable[[], int],
) -> None:
    """Until the source ends or somebody asks to stop; who asks twice does not wait for what is on its way."""
    from common.live.line import Line
    from sctx.outcomes import Answer

    vitals = _exhibit(tx, summary) if seen else None
    if vitals is not None:
        seen.show(vitals.board)

    def stop() -> bool:
        return asked() > 0

    if tx.connect(WAIT_TOLD_S, stop) is None and not stop():
        tell(f"sctx: waiting for a receiver behind {options['peer']}")
    if (accept := tx.connect(until=stop)) is not None and accept.hops == 0:
        tell("sctx: no channel emulator is on the path, so the channel is ideal")
    known: dict[int, tuple[int | None, str | None]] = {}

    def captures() -> "Iterator[Capture]":
        for capture in source.captures(options["count"], options["fps"]):
            known[capture.index] = capture.label, capture.file
            summary.unreadable = source.unreadable
            yield capture

    def take(outcome: "Answer | Missed") -> None:
        label, file = known.pop(outcome.index)
        summary.add(outcome, label)
        if vitals is not None:
            vitals.add(outcome)
        if line is not None:
            if file and label is None and isinstance(outcome, Answer):  # else nobody would hear what it is
                line.tell(f"{file}: {outcome.name}, {100 * outcome.confidence:.0f} %")
            line.refresh()
        if isinstance(outcome, Answer) and say_result is not None:
            say_result(_as_line(outcome, label, file))

    def link() -> tuple[str, bool]:
        return ("link up", True) if tx.link.session.up else ("link down", False)

    shown = Line(link, summary.told, lambda: summary.sent, options["count"] or source.size)
    with nullcontext() if options["as_json"] else shown as line:
        for outcome in chain(tx.run(captures(), stop), tx.finish(FINISH_S, lambda: asked() > 1)):
            take(outcome)


def _exhibit(tx: "Transmitter", summary: "Summary") -> "Vitals":
    from sctx.vitals import Vitals

    vitals = Vitals(tx, summary)
    tx.link.board = vitals.board
    return vitals


def _as_line(answer: "Answer", label: int | None, file: str | None) -> dict[str, Any]:
    return {
        "index": answer.index, "session": answer.session, "seq": answer.seq, "file": file, "answer": answer.answer,
        "name": answer.name, "label": label,
        "confidence": round(answer.confidence, 4), "symbols": answer.symbols,
        "snr_est_db": answer.snr_est_db and round(answer.snr_est_db, 2), "latency_ms": round(answer.latency_ms, 3),
        "round": answer.round,
    }  # fmt: skip


def _say_summary(summary: "Summary") -> None:
    values = summary.as_dict()
    accuracy = "" if summary.accuracy is None else f", accuracy {100 * summary.accuracy:.1f} %"
    if 0 < summary.labelled < summary.answered:
        accuracy += f" of the {summary.labelled} with a label"
    say(f"{summary.answered} of {summary.sent} images answered{accuracy}")
    known = " ".join(f"{name}={value}" for name, value in values.items() if value is not None)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else COLUMNS
    for line in textwrap.wrap(known, min(columns, COLUMNS), break_long_words=False, break_on_hyphens=False):
        say(line)


def main() -> None:
    """Entry point."""
    # One thread of linear algebra, as one of the networks: the products are small, and a second burns four times what
    # it saves, all of it while the first answers are awaited.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    invoke(command, "SCTX")
