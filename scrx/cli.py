"""`scrx`: the receiver's command line. Only translates; what is done is in `receiver.py`."""

import gc
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from common.cli import begin, check_option, invoke, json_file_option, shared_options
from common.console import check_json_file, json_results, tell
from common.errors import ConfigError
from common.flags import given, in_flags, setting_options, typed
from common.live.asked import Faces, asks_for_page, check_http, faces, http_options
from scrx.heads.commands import enrol, heads
from scrx.settings import Settings

if TYPE_CHECKING:
    from common.live.board import Board
    from common.shutdown import StopFlag
    from scrx.answers import ReceivedAnswer
    from scrx.receiver import Receiver

POLL_S = 0.2


@click.group(invoke_without_command=True, context_settings={"show_default": True})
@click.option(
    "--listen",
    metavar="PORT",
    help="Port to listen on, or ADDRESS:PORT. A bare port is every interface with keys, and loopback only without.",
)
@click.option(
    "--model",
    default="digits",
    help="Model pair: a shipped name, a directory, or OWNER/NAME[@REVISION] of the Hub; both sides the same.",
)
@setting_options(Settings)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per answer, where it is used (a reader over 4,096 answers behind misses some).",
)
@json_file_option
@check_option
@http_options
@click.option(
    "--http-control",
    is_flag=True,
    help="Let the page of --http enrol classes, by --control; its address then holds a token.",
)
@shared_options
@click.pass_context
def command(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> int:
    """Receive semantic symbols, estimate the channel, answer the task and report the SNR back.

    \b
    scrx --listen 5555               with keys: all hosts that it trusts, encrypted; without: this host only
    scrx --listen 5555 --insecure    all hosts, without encryption
    scrx --listen 5555 --control 5558 --heads DIR    and later, elsewhere: scrx enrol zebra --next 5

    Keys are made with `python -m common.transport.keys`.

    SIGTERM, SIGHUP or Ctrl-C drains: queued frames are answered, then it exits 0. A second signal ends it at once.
    """  # fmt: skip
    begin(context, log_level)
    if context.invoked_subcommand is not None:
        return 0
    if options["listen"] is None:
        raise click.MissingParameter(ctx=context, param=next(p for p in command.params if p.name == "listen"))
    if options["check"]:
        with in_flags(context):
            return _check(options)
    return _run(context, options)


command.add_command(enrol)
command.add_command(heads)


def _run(context: click.Context, options: dict[str, Any]) -> int:
    from common.shutdown import StopFlag

    stop = StopFlag()
    tell(f"scrx: opening pair {options['model']}")  # the line that is there at once, whatever takes its time then
    from common.live.enrolling import Enrolling
    from scrx.receiver import Receiver

    results, opened = json_results(options["as_json"], options["json_file"]), list[Receiver]()

    def where() -> str:
        if not opened or opened[0].desk is None:
            raise ConfigError("the receiver is starting: ask again")
        return opened[0].desk.address

    with in_flags(context):
        _require_control(options)
        controls = {"enrol": Enrolling(where, "--control")} if options["http_control"] else {}
        with faces("scrx", options, controls) as seen, results as say_result:
            settings = Settings(**given(Settings, options))
            rx = Receiver(options["listen"], options["model"], settings, stop=stop.__bool__)
            opened.append(rx)
            return _receive(rx, seen, stop, options["as_json"], say_result)


def _require_control(options: dict[str, Any]) -> None:
    if options["http_control"] and options["control"] is None:
        raise ConfigError("http_control: is about classes that the page enrols, which needs control=PORT")


def _check(options: dict[str, Any]) -> int:
    """What must be right before it listens, each by itself; no network is loaded."""
    from common.control.private import check_control
    from common.pair.manifest import Manifest, find_pair, read_half
    from common.transport.doctor import Home, Step, examine
    from common.transport.endpoints import parse_listen
    from common.transport.keystore import Keys, find_keys, tell_access
    from scrx.heads.service import check_heads

    settings, home = Settings(**given(Settings, options)), Home("scrx")
    control, heads = settings.control, settings.heads

    @cache
    def manifest() -> Manifest:
        return find_pair(options["model"])

    def pair() -> str:
        read_half(manifest(), "decoder")
        return f"{manifest().name} ({manifest().id[:12]})"

    def page() -> str:
        _require_control(options)
        return check_http("scrx", options, options["http_control"])

    @cache
    def keys() -> Keys | None:
        return find_keys(settings.keys, settings.insecure)

    def listen() -> str:
        return parse_listen(options["listen"], settings.insecure or keys() is not None)

    access: Step = ("--keys", lambda: tell_access(keys(), settings.insecure))
    ways: list[Iterable[Step]] = [[access, home.port(listen, keys)], [("--model", pair)]]
    if control is not None or heads is not None:
        ways[1] = [("--model", pair), home.own("--heads", lambda: check_heads(manifest(), heads, settings.unknown))]
    if control is not None:
        ways.append([home.own("--control port", lambda: f"{check_control(control, settings.insecure)} is free")])
    if options["json_file"] is not None:
        ways.append([("--json-file", lambda: check_json_file(options["json_file"]))])
    if asks_for_page(options):
        ways.append([home.own("--http", page)])
    return examine(ways, lambda told: typed(told, command))


def _receive(
    rx: "Receiver", seen: Faces, stop: "StopFlag", as_json: bool, say_result: Callable[..., None] | None
) -> int:
    """Answer until somebody asks to stop; the exit code."""
    from common.live.line import Line
    from common.transport.keystore import tell_access
    from scrx.vitals import told, transmitters

    with rx:
        gc.freeze()  # what is loaded by now stays: no collection while frames pass need visit it
        if seen:
            seen.show(_exhibit(rx))
        tell(f"scrx: listening on {rx.address}, model {rx.manifest.name} ({rx.manifest.id[:12]})")
        tell(f"scrx: {tell_access(rx.keys, rx.settings.insecure)}")
        if rx.heads is not None:
            tell(f"scrx: {_tell_heads(rx)}")
        with nullcontext() if as_json else Line(lambda: transmitters(rx), lambda: told(rx)) as line:
            for answers in rx.batches(timeout_s=POLL_S):
                if stop:
                    rx.close()  # drains; the answers of the drain still come
                if line is not None:
                    line.refresh()
                if answers and say_result is not None:
                    say_result(*map(_as_line, answers))
    _tell_end(rx)
    if rx.stuck:
        tell("error: the decoder did not come back within 2 s; with --workers a decoder that hangs is killed", "error")
    return int(rx.stuck)


def _exhibit(rx: "Receiver") -> "Board":
    from scrx.vitals import Vitals

    rx.witness = vitals = Vitals(rx)
    rx.link.board = vitals.board
    return vitals.board


def _as_line(answer: "ReceivedAnswer") -> dict[str, Any]:
    return {
        "session": answer.session, "seq": answer.seq, "round": answer.round, "answer": answer.answer,
        "name": answer.name, "confidence": round(answer.confidence, 4),
        "final": answer.final, "snr_est_db": answer.snr_est_db and round(answer.snr_est_db, 2),
        "queue_us": answer.queue_us, "decode_us": answer.decode_us,
    } | ({"heads": answer.heads} if answer.heads else {})  # fmt: skip


def _tell_heads(rx: "Receiver") -> str:
    shelf = None if rx.heads is None else rx.heads.shelf
    assert shelf is not None
    names = ", ".join(sorted(shelf.judges)) or "none yet"
    where = f"in {shelf.folder}" if shelf.folder else "in memory alone (--heads DIR keeps them)"
    return f"heads: {names}, {where}" + (f"; control on {rx.desk.address}" if rx.desk else "")


def _tell_end(rx: "Receiver") -> None:
    errors = ", ".join(f"{reason} {count}" for reason, count in sorted(rx.link.protocol_errors.items())) or "none"
    told = f"{rx.answered} frames answered, {rx.expired} expired, {rx.failed} failed"
    if rx.pool is not None:
        told += f"; workers: {rx.pool.restarts} restarts, {rx.pool.retries} batches tried again"
    tell(f"scrx: {told}; protocol errors: {errors}")


def main() -> None:
    """Entry point."""
    invoke(command, "SCRX")
