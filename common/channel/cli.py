"""`channel-emu`: the command line of the emulator. Knows nothing about how a channel is computed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.channel.described import addresses_of, control_address, keys_of, make_channel, make_transit, places_of
from common.channel.options import change_options, channel_options, transit_options
from common.channel.spec.parameters import as_typed
from common.channel.spec.spec import CHANNEL, channel_parameters
from common.cli import begin, check_option, invoke, keys_option, shared_options
from common.console import say, say_json, tell
from common.errors import ConfigError, SemlinkError
from common.files import UserPath
from common.flags import in_flags, typed
from common.live.asked import asks_for_page, check_http, faces, http_options, require_http

if TYPE_CHECKING:
    from common.channel.wire.addresses import Place
    from common.channel.wire.control import ControlPort
    from common.channel.wire.proxy import Proxy
    from common.channel.wire.raw import RawWire
    from common.transport.keystore import Keys

_EPILOG = """\b
Examples:
  channel-emu --snr 5 --fading rayleigh
  channel-emu --listen 5555 --upstream rxhost:5555
  channel-emu set --snr 12 --doppler 0.001
  channel-emu --wire cf32 --listen tcp://127.0.0.1:6000 --upstream tcp://127.0.0.1:6001 \\
              --fading tdl-a --delay-spread 100e-9 --rate 10e6
"""
_CONTROL = click.option(
    "--control",
    default="5557",
    show_default=True,
    metavar="PORT",
    help="The control port: a number names a socket that only you can reach, on this host; 0 takes a free one. "
    "ipc://FILE is taken as it is, and tcp://HOST:PORT with --insecure.",
)
_ASKING_S, _READING_S = 3.0, 60.0
_FILE = UserPath()


@click.group(invoke_without_command=True, context_settings={"max_content_width": 110}, epilog=_EPILOG)
@channel_options
@transit_options
@click.option("--listen", default="5556", show_default=True, metavar="ADDRESS", help="Where transmitters connect.")
@click.option("--upstream", default="127.0.0.1:5555", show_default=True, metavar="HOST:PORT", help="The receiver.")
@_CONTROL
@click.option("--insecure", is_flag=True, help="Let other hosts connect without encryption.")
@keys_option
@click.option(
    "--wire",
    type=click.Choice(["framed", "cf32"]),
    default="framed",
    show_default=True,
    help="framed: this project's link. cf32: bare complex64 samples, PULL bound on --listen, PUSH connected to "
    "--upstream; an address after > is connected and one after @ bound, as GNU Radio needs it.",
)
@click.option(
    "--hop",
    type=click.IntRange(0, 255),
    default=0,
    show_default=True,
    metavar="N",
    help="cf32: emulators before this one in a chain. Each has noise and fading of its own.",
)
@click.option(
    "--traces",
    type=UserPath(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Let `set` name the files in it, as --snr-trace NAME. Without it no file is read while the channel runs.",
)
@click.option("--schedule", type=_FILE, metavar="FILE", help="Changes by plan: CSV with air_sample,parameter,value.")
@click.option(
    "--truth",
    type=_FILE,
    metavar="FILE",
    help="Write what the channel did to each frame, as JSON lines. It never goes to the receiver.",
)
@click.option("--record", type=_FILE, metavar="FILE", help="Write the impaired samples and the truth as SigMF.")
@click.option("--overwrite", is_flag=True, help="Let --truth and --record replace what is there already.")
@click.option(
    "--replay",
    type=_FILE,
    metavar="FILE",
    help="Play a recording to --upstream instead: no transmitter, no channel; answers as JSON lines.",
)
@check_option
@http_options
@click.option(
    "--http-control",
    is_flag=True,
    help="Let the page of --http move SNR, Doppler and fading; its address then holds a token.",
)
@click.option(
    "--http-enrol",
    metavar="PORT",
    show_default=False,
    help="Let the page of --http enrol classes at the receiver whose --control this is.",
)
@shared_options
@click.pass_context
def command(context: click.Context, /, log_level: str, debug: bool, **given: Any) -> None:  # fmt: skip
    """Put a radio channel between transmitters and a receiver.

    Every message is forwarded as it is; only the symbols of data frames go through the channel.
    """
    begin(context, log_level)
    if context.invoked_subcommand is not None:
        return
    with in_flags(context):
        if given["check"]:
            context.exit(_check(given))
        if given["replay"]:
            _replay(given)
        else:
            _run(given)


@command.command("set")
@change_options
@_CONTROL
def set_(**given: Any) -> None:
    """Change a running channel; prints the first air sample of each stream that sees the change."""
    from common.channel.wire.control import ask
    from common.channel.wire.trace_files import files_in
    from common.control.private import control_to_ask

    parameters = channel_parameters(given)
    if not parameters:
        raise ConfigError("set needs at least one parameter, such as --snr 12")
    with as_typed(CHANNEL.values()):
        request = {"op": "set", "parameters": parameters}
        answer = ask(control_to_ask(given["control"]), request, _READING_S if files_in(parameters) else _ASKING_S)
    say(answer["channel"])
    sessions, talkers = answer.get("sessions") or [], Counter(stream for stream, _ in answer["applied"])
    for number, (stream, sample) in enumerate(answer["applied"]):
        whose = f" (session {sessions[number]})" if talkers[stream] > 1 and number < len(sessions) else ""
        say(f"stream {stream}{whose}: from air sample {sample}")


@command.command("status")
@_CONTROL
def status(control: str) -> None:
    """Show the channel, its streams and its counters as JSON."""
    from common.channel.wire.control import ask
    from common.control.private import control_to_ask

    answer = ask(control_to_ask(control), {"op": "status"})
    shown = {name: answer[name] for name in ("channel", "streams", "sessions", "counts", "uptime_s") if name in answer}
    say_json(shown, indent=2)


def _check(given: dict[str, Any]) -> int:
    """What must be right before frames can pass, each by itself."""
    from common.channel.wire.addresses import check_places
    from common.control.private import check_control
    from common.transport.doctor import Home, Step, examine, holds, to_peer
    from common.transport.endpoints import parse_peer
    from common.transport.keystore import tell_access

    if given["wire"] != "framed":
        raise ConfigError("--check: is about the link, and a raw wire (--wire cf32) has neither keys nor a receiver")
    home, upstream = Home("channel-emu"), parse_peer(given["upstream"], "--upstream")

    @cache
    def keys() -> Keys | None:
        return keys_of(given, True)

    def listen() -> str:
        return addresses_of(given, True, keys() is not None)[0]

    def places(control: str = "") -> list[Place]:
        return places_of(listen(), upstream, control, True)

    def channel() -> str:
        make_transit(given)
        return make_channel(given)[0].spec.describe()

    def control() -> str:
        address = check_control(given["control"], given["insecure"])
        if holds(listen):
            for other in places()[1:]:
                check_places([*places(address)[:1], other])
        return f"{address} is free"

    def apart() -> str:
        check_places(places())
        return f"{upstream} is another place than --listen"

    def there() -> Iterator[Step]:
        if holds(listen) and not given["replay"]:
            yield "--upstream address", apart
        if holds(keys):
            yield from to_peer(upstream, keys(), "scrx", "--upstream")

    access: Step = ("--keys", lambda: tell_access(keys(), given["insecure"]))
    ways: list[Iterable[Step]] = [[("channel", channel)], [access, home.port(listen, keys)]]
    if given["replay"]:
        ways = [[("--replay", lambda: _tell_recording(given["replay"]))], [access]]
    else:
        ways += [[home.own(name, look)] for name, look in _to_open(given, control)]
    if given["traces"]:
        ways.append([("--traces", lambda: f"{given['traces']} is there")])
    return examine([*ways, there()], lambda told: typed(told, command))


def _to_open(given: dict[str, Any], control: Callable[[], str]) -> Iterator[tuple[str, Callable[[], str]]]:
    """What else a start opens, and how that is looked at. control: looks at its port."""
    from common.channel.files.output import check_output
    from common.channel.files.recording import check_recording
    from common.control.private import control_to_ask

    def truth() -> str:
        check_output(given["truth"], "--truth", given["overwrite"])
        return f"{given['truth']} can be written"

    def page() -> str:
        if given["http_enrol"] is not None:
            control_to_ask(given["http_enrol"], "--http-enrol")
        acts = given["http_control"] or given["http_enrol"] is not None
        return check_http("channel-emu", given, acts)

    yield "--control port", control
    if given["truth"]:
        yield "--truth", truth
    if given["record"]:
        yield "--record", lambda: check_recording(given["record"], given["overwrite"])
    if asks_for_page(given):
        yield "--http", page


def _tell_recording(path: Path) -> str:
    from common.channel.files.replay import Recording

    with Recording(path) as recording:
        return f"{len(recording)} messages"


def _run(given: dict[str, Any]) -> None:
    import zmq

    from common.channel.files.recording import Recorder
    from common.channel.files.truth import TruthLog
    from common.channel.serving import change, serve
    from common.channel.wire.addresses import check_places
    from common.channel.wire.control import ControlPort
    from common.channel.wire.proxy import Proxy
    from common.channel.wire.raw import RawWire
    from common.control.private import control_to_ask
    from common.live.enrolling import Enrolling
    from common.shutdown import StopFlag
    from common.transport.keystore import tell_access
    from common.transport.waiting.io_threads import make_context

    require_http(given)
    channel, framed = make_channel(given)
    transit, back, feedback = make_transit(given)
    keys = keys_of(given, framed)
    (listen, upstream), port = addresses_of(given, framed, keys is not None), control_address(given)
    check_places(places_of(listen, upstream, port, framed))
    stop = StopFlag()
    context = make_context()
    wire: Proxy | RawWire | None = None
    control: ControlPort | None = None
    truth = recorder = None
    try:
        truth = TruthLog(given["truth"], given["overwrite"]) if given["truth"] else None
        recorder = Recorder(given["record"], channel.spec, given["overwrite"]) if given["record"] else None
        if framed:
            wire = Proxy(context, channel, listen, upstream, transit, truth, recorder, back, feedback, keys)
        else:
            wire = RawWire(context, channel, listen, upstream, recorder, given["hop"])
        control = ControlPort(context, port, channel, wire.counts, framed, traces=given["traces"])
        wire.poller.register(control.socket, zmq.POLLIN)
        controls: dict[str, Any] = {"control": partial(change, control.address)} if given["http_control"] else {}
        if given["http_enrol"] is not None:
            where = partial(control_to_ask, given["http_enrol"], "--http-enrol")
            where()  # what is no address is told at once; who listens there may come later
            controls["enrol"] = Enrolling(where, "--http-enrol")
        with faces("channel-emu", given, controls) as seen:
            _tell(f"listening on {wire.address}, forwarding to {upstream}, control on {control.address}")
            _tell(f"channel: {channel.spec.describe()}")
            if framed:
                _tell(tell_access(keys, given["insecure"]))
            _tell(serve(wire, control, seen, stop))
    finally:
        with ExitStack() as closing:  # all of them, whatever one of them has to say
            closing.callback(_raise_all, told := list[SemlinkError]())
            closing.callback(context.term)
            for opened in (recorder, truth, control, wire):
                if opened is not None:
                    closing.callback(_note, opened.close, told)


def _note(close: Callable[[], None], told: list[SemlinkError]) -> None:
    try:
        close()
    except SemlinkError as error:
        told.append(error)


def _raise_all(told: list[SemlinkError]) -> None:
    """What several files have to say of one full disk, in one line."""
    if told:
        raise SemlinkError("; ".join(map(str, told)))


def _replay(given: dict[str, Any]) -> None:
    from common.channel.files.replay import Player, Recording, play_raw
    from common.transport.endpoints import parse_peer
    from common.transport.waiting.io_threads import make_context

    upstream = parse_peer(given["upstream"], "--upstream")
    context = make_context()
    with ExitStack() as closing:
        closing.callback(context.term)
        recording = closing.enter_context(Recording(given["replay"]))
        if given["wire"] == "cf32":
            _tell(f"played {play_raw(context, upstream, recording, 10.0)} samples to {upstream}")
            return
        player = Player(context, upstream, keys_of(given, framed=True))
        closing.callback(player.close)
        for result in player.play(recording):
            say_json({
                "session": result.session.hex(), "seq": result.seq, "round": result.round, "status": result.status.name,
                "confidence": result.confidence, "snr_inst_db": result.snr_inst_db, "outputs": result.outputs,
            })  # fmt: skip


def _tell(line: str) -> None:
    tell(f"channel-emu: {line}")


def main() -> None:
    """Entry point of the `channel-emu` script."""
    # One thread of linear algebra: the products are small, and waiting threads would cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    invoke(command, "CHANNEL_EMU")
