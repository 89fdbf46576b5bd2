"""What a command prints: results on standard output, lines for people on standard error, whatever these are.

They may be closed, full, a pipe whose reader has left or does not read, or unable to say Greek letters. Results that
cannot be written are an error, and end a command; a note or a log line that cannot be written is nobody's loss. Who
does not read results is waited for, until this process is asked to end; who does not read notes misses them. Knows
nothing about what is printed, but that some of it comes from outside: no line moves a cursor (`common/text.py`).
"""

import errno
import io
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from common import log
from common.errors import ConfigError
from common.files import writable
from common.shutdown import asked_for_s
from common.text import safe

LONGEST = 8000
"""Characters of a line for people at most."""
SIZES = ("COLUMNS", "LINES")
PATIENCE_S, LOOK_MS = 2.0, 100
"""So long a process that was asked to end waits for its output to be read, and how often it looks whether it was: once
on standard error."""
_MODES = ("r", "w", "w")
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


def make_sound() -> None:
    """Open what the caller has closed, so that no socket or file gets its number, and let every character be said."""
    for number, (name, mode) in enumerate(zip(("stdin", "stdout", "stderr"), _MODES, strict=True)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
            os.set_inheritable(number, True)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for as long as the process
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _guarded(stream, waits=name == "stdout"))
    for size in SIZES:  # what rich and click would read as the terminal's size
        if not (os.environ.get(size, "80").isascii() and os.environ.get(size, "80").isdigit()):
            del os.environ[size]


class _Output(io.FileIO):
    """Standard output or error, whose errors say so, whoever writes: click its help, rich its tables.

    A write that waits for a reader is not ended by a signal that asks the process to end; so it waits here, where
    that is looked at. waits: False for what is dropped where nobody reads it.
    """

    def __init__(self, number: int, waits: bool = True) -> None:
        super().__init__(number, "wb", closefd=False)
        self._room, self._unread, self._waits = select.poll(), False, waits
        self._room.register(number, select.POLLOUT)

    def write(self, data: Any, /) -> int:
        """A part of `data`, for which there is room: as much as a pipe takes at once, where it takes anything.

        What is dropped is taken for written.
        """
        try:
            if not self._waits and not self._has_room():
                return len(data)
            self._wait()
            return super().write(memoryview(data)[: select.PIPE_BUF])
        except OSError as error:
            raise _named(error) from None

    def _has_room(self) -> bool:
        """Waits at most once, until there is some again: who waits for each line stops the link."""
        self._unread = not self._room.poll(0 if self._unread else LOOK_MS)
        return not self._unread

    def _wait(self) -> None:
        begun_s = time.monotonic()
        while not self._room.poll(0 if self._unread else LOOK_MS):
            self._unread = self._unread or min(asked_for_s(), time.monotonic() - begun_s) > PATIENCE_S
            if self._unread:
                raise OSError(errno.ETIMEDOUT, f"nobody read it for {PATIENCE_S:g} s, and this process was to end")


def _guarded(stream: io.TextIOWrapper, waits: bool) -> io.TextIOWrapper:
    """The same stream with an `_Output` below it."""
    stream.flush()
    at_once = stream.line_buffering or stream.write_through
    raw = io.BufferedWriter(_Output(stream.fileno(), waits))
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=at_once)


def finish() -> OSError | None:
    """Write out what is left; returns why that was not possible. Python would print a traceback at its end."""
    problem = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            problem = _named(error) if isinstance(error, OSError) and stream is sys.stdout else problem
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return problem


def tell(text: str, level: Literal["info", "warning", "error"] = "info") -> None:
    """One line for people on standard error, in the form of the log lines there."""
    line = log.json_line(level, text) if log.is_json() else safe(text, LONGEST)
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def say(text: str) -> None:
    """One line of results on standard output. Raises OSError where it cannot be written."""
    _print(safe(text, None))  # `click.echo` goes around what rich puts in the place of standard output


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        raise _named(error) from None


def _named(error: OSError) -> OSError:
    """The error of a stream, which has no name, with one for people."""
    error.filename = error.filename or "standard output"
    return error


def say_json(value: Any, indent: int | None = None) -> None:
    """JSON on standard output, in ASCII: on one line, or with `indent` spaces per level for people to read.

    Raises OSError where it cannot be written.
    """
    _print(json.dumps(value, indent=indent))


def check_json_file(path: Path) -> str:
    """What a `JsonFile` would do, for people, which does not do it. Raises ConfigError as a start would."""
    writable(path, folder=False)
    if not path.exists():
        return f"{path} can be written"
    with _opening(path):
        os.close(os.open(path, _APPEND))
    return f"{path} is there, and what comes is added to it"


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """At a start it is wrong use to name a file that may not be written."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; give another file") from None


class JsonFile:
    """Results as JSON lines at the end of a file, which somebody else may rename, remove or cut (logrotate).

    Where the file of that name is another one by now, or none, the next line opens it anew, so that none goes to one
    that was put away. Raises OSError, with the file's name, where it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, -1
        self._open()

    def say(self, *values: Any) -> None:
        """Append a line for each. They are in the file when this returns."""
        lines = "".join(json.dumps(value) + "\n" for value in values).encode()
        if self._moved():
            self._open()
        self._write(lines)

    def close(self) -> None:
        """No line comes any more."""
        os.close(self._file)

    def _open(self) -> None:
        """What was open is closed only then: where this fails, it still is what `close` closes."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before, self._file = self._file, os.open(self._path, _APPEND | os.O_CREAT, 0o666)
        if before >= 0:
            os.close(before)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":  # half a line, of a disk that was full
            self._write(b"\n")

    def _moved(self) -> bool:
        try:
            there, ours = os.stat(self._path), os.fstat(self._file)
        except FileNotFoundError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _write(self, lines: bytes) -> None:
        """Where not all of it has room, all whole lines that have."""
        done = 0
        try:
            while done < len(lines):
                done += os.write(self._file, lines[done:])
        except OSError as error:
            self._cut(done - lines.rfind(b"\n", 0, done) - 1)
            raise OSError(error.errno, error.strerror, str(self._path)) from None

    def _cut(self, size: int) -> None:
        """Take back what was written last, unless somebody else has written behind it, or a pipe has taken it."""
        with suppress(OSError):
            if size and (end := os.lseek(self._file, 0, os.SEEK_CUR)) == os.fstat(self._file).st_size:
                os.truncate(self._file, end - size)


@contextmanager
def json_results(on_output: bool, path: Path | None) -> Iterator[Callable[..., None] | None]:
    """What says results as JSON: on standard output, at the end of a file, or both; None where nobody asked.

    A process that is to end goes on with the file where standard output fails, and hears of that last. Raises
    ConfigError where the file cannot be opened.
    """
    file = None
    if path is not None:
        with _opening(path):
            file = JsonFile(path)
    failed = list[OSError]()

    def tell_all(*values: Any) -> None:
        if file is not None:
            file.say(*values)
        try:
            for value in values if on_output and not failed else ():  # each by itself, so that none is there by half
                say_json(value)
        except OSError as error:
            if file is None or asked_for_s() < 0.0:
                raise
            failed.append(error)

    try:
        yield tell_all if file is not None or on_output else None
    finally:
        if file is not None:
            file.close()
    if failed:
        raise failed[0]
