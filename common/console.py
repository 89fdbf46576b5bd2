"""What a command prints: results on standard output, lines for people on standard error, whatever these are.

They may be closed, full, a pipe whose reader has left, or unable to say Greek letters. Results that cannot be written
are an error, and end a command; a note or a log line that cannot be written is nobody's loss. Knows nothing about what
is printed, but that some of it comes from outside: no line moves a cursor (`common/text.py`).
"""

import json
import os
import sys
from contextlib import suppress
from typing import Any, Literal

from common import log
from common.text import safe

LONGEST = 8000
"""Characters of a line for people at most."""
SIZES = ("COLUMNS", "LINES")
_MODES = ("r", "w", "w")


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
    for size in SIZES:  # what rich and click would read as the terminal's size
        if not (os.environ.get(size, "80").isascii() and os.environ.get(size, "80").isdigit()):
            del os.environ[size]


def finish() -> OSError | None:
    """Write out what is left; returns why that was not possible. Python would print a traceback at its end."""
    problem = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            problem = error if isinstance(error, OSError) and stream is sys.stdout else problem
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
    print(safe(text, None), flush=True)  # `click.echo` goes around what rich puts in the place of standard output


def say_json(value: Any, indent: int | None = None) -> None:
    """JSON on standard output, in ASCII: on one line, or with `indent` spaces per level for people to read.

    Raises OSError where it cannot be written.
    """
    print(json.dumps(value, indent=indent), flush=True)
