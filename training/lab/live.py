"""`make live`: the three processes on this host until Ctrl-C, and the address of the page that shows them.

Knows nothing about how any of the three works.
"""

import signal
import sys
import time
from contextlib import ExitStack

import click

from common.console import say
from common.errors import SemlinkError
from training.lab.processes import Command

IMAGES = 2**32
LOOK_S = 0.5


@click.command()
@click.option("--model", default="digits", show_default=True, help="Model pair: a shipped name or a directory.")
@click.option("--source", metavar="SOURCE", help="As of `sctx`.  [default: the test images of the model's data set]")
@click.option("--fps", type=click.FloatRange(0.1, 1000), default=10.0, show_default=True, help="Images per second.")
@click.option("--snr", type=float, default=10.0, show_default=True, help="SNR in dB to begin with.")
@click.option("--fading", default="rayleigh", show_default=True, help="Fading to begin with.")
@click.option(
    "--doppler", type=float, default=1e-4, show_default=True, help="Doppler to begin with, cycles per symbol."
)
@click.option(
    "--http", default="8080", show_default=True, metavar="PORT", help="Where the page is; 0 takes a free port."
)
def command(model: str, source: str | None, fps: float, snr: float, fading: str, doppler: float, http: str) -> None:
    """Run transmitter, channel and receiver with a page that shows them and moves the channel."""
    with ExitStack() as running:
        rx = running.enter_context(Command("scrx", "--listen", "0", "--model", model, "--http", "0"))
        listen, shown = rx.port(), page(rx)
        words = ["--model", model, "--count", str(IMAGES), "--fps", str(fps), "--json"]
        words += ["--source", source] if source else []
        emulator = ["--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{listen}", "--snr", str(snr)]
        emulator += ["--fading", fading, "--doppler", str(doppler), "--http", http, "--http-control"]
        sending = free_port()
        emulator += ["--watch", f"127.0.0.1:{shown}", "--watch", f"127.0.0.1:{sending}"]
        emu = running.enter_context(Command("channel-emu", *emulator))
        peer = f"127.0.0.1:{emu.port()}"
        tx = running.enter_context(Command("sctx", "--peer", peer, "--http", str(sending), *words))
        address = emu.wait_for(r"live page at (\S+),").group(1)
        say(f"open {address}  (Ctrl-C ends all three)")
        watch(rx, emu, tx)


def page(command: Command) -> int:
    """The port of a command's page."""
    return int(command.wait_for(r"live page at http://127\.0\.0\.1:(\d+)/").group(1))


def free_port() -> int:
    """A port that nobody has now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def watch(*commands: Command) -> None:
    """Wait until one of them ends, which none should. Raises SemlinkError."""
    sender = commands[-1]
    try:
        for _ in sender.lines():  # answers; the page shows them
            pass
        while all(one.process.poll() is None for one in commands):
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        return
    ended = next(one for one in commands if one.process.poll() is not None)
    said = ended.said.splitlines()[-1].removeprefix("error: ") if ended.said else "it said nothing"
    raise SemlinkError(f"{ended.name} ended: {said}")


def main() -> None:
    """Entry point: one line and an exit code instead of a traceback."""
    from common.cli import invoke

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the three processes are stopped then, too
    invoke(command, "SEMLINK_LIVE", sys.argv[1:], name="python -m training.lab.live")


if __name__ == "__main__":
    main()
