"""The real commands as child processes on this host: started, watched, stopped. Knows nothing about what they compute.

Used by the demonstration, the evaluation over the link, and the integration tests.
"""

import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from common.errors import ConfigError, SemlinkError

START_S = 120.0
STOP_S, ABORT_S = 60.0, 5.0
"""Against what hangs: a process that is short of processor takes long to end, and ends."""


class Command:
    """One command, such as `Command("scrx", "--listen", "0")`; as a context manager it leaves no process behind.

    Standard output is read by `lines`; standard error is kept (its last 200 lines) and searched by `wait_for`.
    """

    begin: ClassVar[Callable[..., Any]] = subprocess.Popen
    """How a process is made; the tests put in its place what makes one that has torch already (`tests/warm.py`)."""
    stdin: ClassVar[int] = subprocess.DEVNULL

    def __init__(self, name: str, *arguments: str) -> None:
        self.name, self.arguments = name, arguments
        self._said: deque[str] = deque(maxlen=200)
        self._news = threading.Condition()
        script = Path(sys.executable).with_name(name)
        self.process: subprocess.Popen[str] = self.begin(
            [str(script), *arguments],
            stdin=self.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    @property
    def said(self) -> str:
        """What it wrote to standard error."""
        with self._news:
            return "\n".join(self._said)

    @property
    def why(self) -> str:
        """Why it ended, for people: its own last error, the signal that ended it, else all that it said."""
        said = self.said.splitlines()
        code = self.process.poll()
        by_signal = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else ""
        errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        return next(reversed(errors), by_signal or " | ".join(said) or "it said nothing")

    def failure(self, what: str) -> SemlinkError:
        """The error to raise of it, ConfigError where it was used wrongly. what: such as "ended"."""
        told = f"{self.name} {what}: {self.why}"
        return ConfigError(told) if self.process.poll() == ConfigError.exit_code else SemlinkError(told)

    def wait_for(self, pattern: str, timeout_s: float = START_S) -> re.Match[str]:
        """Wait until standard error matches `pattern`. Raises SemlinkError with what was said instead."""
        until = time.monotonic() + timeout_s
        with self._news:
            while not (match := re.search(pattern, "\n".join(self._said))):
                ended = self.process.poll() is not None and not self._reader.is_alive()
                if ended or time.monotonic() > until:
                    raise self.failure("did not come up")
                self._news.wait(0.2)
            return match

    def port(self) -> int:
        """The port on which it listens, once it says so."""
        return int(self.wait_for(r"listening on \S+:(\d+)").group(1))

    def lines(self) -> Iterator[str]:
        """Lines of standard output until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:  # noqa: UP028  # not `yield from`, which would close the pipe when the caller stops early
            yield line

    def wait(self, timeout_s: float) -> int:
        """Wait for it to end by itself and return its exit code. Raises SemlinkError."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise SemlinkError(f"{self.name} did not end within {timeout_s:g} s: {self.said[-300:]}") from None

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM, and wait for the end; after STOP_S SIGABRT, on which it may say where it hangs, and kill -9.

        Returns the exit code.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._abort()
        code = self.process.wait()
        self._close()
        return code

    def _abort(self) -> None:
        self.process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ABORT_S)
        self.process.kill()
        self._reader.join(5)
        print(f"{self.name} did not end within {STOP_S:g} s of SIGTERM: {self.said}", file=sys.stderr)

    def _close(self) -> None:
        self._reader.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self._said.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


def start_receiver(*arguments: str, listen: str = "0") -> tuple[Command, int]:
    """`scrx` on a free loopback port -> (process, port)."""
    receiver = Command("scrx", "--listen", listen, *arguments)
    return _ready(receiver)


def start_emulator(upstream: int, *arguments: str, listen: str = "0") -> tuple[Command, int]:
    """`channel-emu` in front of the receiver at port `upstream` -> (process, port)."""
    emulator = Command(
        "channel-emu", "--listen", listen, "--control", "0", "--upstream", f"127.0.0.1:{upstream}", *arguments
    )
    return _ready(emulator)


def _ready(command: Command) -> tuple[Command, int]:
    try:
        return command, command.port()
    except BaseException:
        command.stop()
        raise
