"""Log lines: one JSON object per line, or coloured text on a terminal. Knows nothing about what is logged.

Code logs an event name and fields: `logger.info("session_up", extra={"session": "1a2b3c4d"})`. Never per frame at INFO.
Text that came from a peer must go through `safe`.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def safe(text: str, limit: int = 120) -> str:
    """Peer text cut to `limit` characters, with everything unprintable escaped."""
    return text[:limit].encode("unicode_escape").decode("ascii")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


class JsonLine(logging.Formatter):
    """ts, level, event and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class TerminalLine(logging.Formatter):
    """The event, then its fields as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        return f"{record.getMessage()} {fields}".rstrip()


@cache
def terminal() -> "Console":
    """The console of log lines, on standard error. A display there must be drawn by the same, or they run into it."""
    from rich.console import Console

    return Console(stderr=True)


def set_up(level: str) -> None:
    """Send log lines to standard error from `level` (debug, info, warning, error) up. Called once, by a command."""
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.logging import RichHandler

        handler = RichHandler(console=terminal(), show_path=False, markup=False)
        handler.setFormatter(TerminalLine())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
