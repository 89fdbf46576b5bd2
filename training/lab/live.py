"""`make live`: the three processes on this host until Ctrl-C, and the address of the page that shows them.

One that is killed is started again, as a supervisor would do; one that ends by itself ends all. Knows nothing about how
any of the three works.
"""

import json
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress

import click

from common.console import say, tell
from common.flags import Real
from common.pair.manifest import find_pair
from training.lab.processes import STOP_S, Command

IMAGES = 2**32
LOOK_S = 0.2
ENDS_S = 1.0
USUAL_PORT = 8080


@click.command()
@click.option("--model", default="digits", show_default=True, help="Model pair: a shipped name or a directory.")
@click.option("--source", metavar="SOURCE", help="As of `sctx`.  [default: the test images of the model's data set]")
@click.option("--fps", type=Real(0.1, 1000), default=10.0, show_default=True, help="Images per second.")
@click.option("--snr", type=float, default=10.0, show_default=True, help="SNR in dB to begin with.")
@click.option("--fading", default="rayleigh", show_default=True, help="Fading to begin with.")
@click.option(
    "--doppler", type=float, default=1e-4, show_default=True, help="Doppler to begin with, cycles per symbol."
)
@click.option(
    "--distortion", type=Real(0, 100), help="As of `sctx`: features, by which classes are enrolled.  [default: none]"
)
@click.option(
    "--http", metavar="PORT", help=f"Where the page is.  [default: {USUAL_PORT}, or a free port where that is taken]"
)
def command(
    model: str, source: str | None, fps: float, snr: float, fading: str, doppler: float, distortion: float | None,
    http: str | None,
) -> None:  # fmt: skip
    """Run transmitter, channel and receiver with a page that shows them, moves the channel and enrols classes."""
    model = str(find_pair(model).path)  # which pair it is is said once
    hears, passes, *shown = (free_port() for _ in range(4))
    page = http or str(USUAL_PORT if is_free(USUAL_PORT) else free_port())
    watched = [word for port in shown for word in ("--watch", f"127.0.0.1:{port}")]
    channel = ["--snr", str(snr), "--fading", fading, "--doppler", str(doppler)]
    images = ["--count", str(IMAGES), "--fps", str(fps), "--json", *(["--source", source] if source else [])]
    images += [] if distortion is None else ["--distortion", str(distortion)]
    with ExitStack() as running:
        three = (
            Lasting(
                running, "scrx", "--listen", str(hears), "--model", model, "--http", str(shown[0]), "--control",
                str(hears),
            ),
            Lasting(
                running, "channel-emu", "--listen", str(passes), "--control", "0", "--upstream", f"127.0.0.1:{hears}",
                *channel, "--http", page, "--http-control", "--http-enrol", str(hears), *watched,
            ),
            Lasting(
                running, "sctx", "--peer", f"127.0.0.1:{passes}", "--model", model, "--http", str(shown[1]), *images
            ),
        )  # fmt: skip
        for one, is_up in zip(three, ("listening on", "listening on", "encodes by"), strict=True):
            one.wait_for(is_up)
        say(f"open {three[1].page()}  (Ctrl-C ends all three)")
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(LOOK_S)
                for one in three:
                    one.look()
        say(summary_in(three[2].last_line()))


def summary_in(line: str) -> str:
    """What `sctx --json` says at its end, for people."""
    try:
        counts = json.loads(line)["summary"]
    except (ValueError, KeyError):  # it did not come so far
        return "stopped"
    rightly = f", {100 * counts['correct'] / counts['labelled']:.1f} % rightly" if counts["labelled"] else ""
    broken = f", {counts['unreadable']} pictures could not be read" if counts.get("unreadable") else ""
    return f"stopped: {counts['answered']} of {counts['sent']} images answered{rightly}{broken}"


class Lasting:
    """One of the three, in a stack that stops it. Its standard output is read to its last line: the page shows it."""

    def __init__(self, running: ExitStack, name: str, *words: str) -> None:
        self._running, self._name, self._words = running, name, words
        self._last = ""
        self._start()

    def wait_for(self, words: str) -> None:
        """Until it has said so. Raises SemlinkError with what was said instead."""
        self._command.wait_for(words)

    def page(self) -> str:
        """The address of its page, once it is there. Raises SemlinkError."""
        return self._command.wait_for(r"live page at (\S+),").group(1)

    def look(self) -> None:
        """Start it again if it was killed. Raises SemlinkError where it ended by itself, which it should not."""
        code = self._command.process.poll()
        if code is None:
            return
        if code >= 0:
            raise self._command.failure("ended")
        tell(f"{self._name} ended: {self._command.why}; it is started again", "warning")
        self._start()
        if "--http-control" in self._words:
            say(f"open {self.page()}  (its page is another now)")

    def last_line(self) -> str:
        """End it, and what it printed last."""
        self._reader.join(ENDS_S)  # a terminal tells all of them at once to end
        if self._reader.is_alive():
            self._command.process.terminate()
            self._reader.join(STOP_S)
        return self._last

    def _start(self) -> None:
        self._command = self._running.enter_context(Command(self._name, *self._words))
        self._reader = threading.Thread(target=self._read, args=(self._command,), daemon=True)
        self._reader.start()

    def _read(self, command: Command) -> None:
        with suppress(ValueError):  # closed while it is read
            for self._last in command.lines():
                pass


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether this port of this host can be had."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def main() -> None:
    """Entry point: one line and an exit code instead of a traceback."""
    from common.cli import invoke

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the three processes are stopped then, too
    invoke(command, "SEMLINK_LIVE", sys.argv[1:], name="python -m training.lab.live")


if __name__ == "__main__":
    main()
