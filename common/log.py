"""Log lines and the lines beside them: text, or all of them JSON. Knows nothing about what is logged.

Code logs an event name and fields: `logger.info("session_up", extra={"session": "1a2b3c4d"})`. Never per frame at INFO.
What is for people goes through `tell` (`common/console.py`); both have the same form, `--log-format`. Every line is
printable whatever was logged (`common/text.py`).
"""

import json
import logging
import sys
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from common.text import safe

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("text", "json")
LONGEST = 2000
"""Characters of a field at most."""
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _ts(when_s: float) -> str:
    return datetime.fromtimestamp(when_s, UTC).isoformat(timespec="milliseconds")


class JsonLine(logging.Formatter):
    """ts, level, event and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "ts": _ts(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class EventLine(logging.Formatter):
    """The event, then its fields as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={_value(value)}" for key, value in _fields(record).items())
        return f"{safe(record.getMessage(), LONGEST)} {fields}".rstrip()


class TextLine(EventLine):
    """The same behind the time and the level, for a file."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_ts(record.created)} {record.levelname.lower()} {super().format(record)}"


def _value(value: object) -> str:
    """A field as it reads without doubt: quoted where it has spaces."""
    text = safe(value, LONGEST)
    return f'"{text}"' if not text or " " in text else text


@cache
def terminal() -> "Console":
    """The console of log lines, on standard error. A display there must be drawn by the same, or they run into it."""
    from rich.console import Console

    return Console(stderr=True)


def is_json() -> bool:
    """Whether log lines were set up as JSON."""
    return any(isinstance(handler.formatter, JsonLine) for handler in logging.getLogger().handlers)


def json_line(level: str, text: str) -> str:
    """What is told to people, as a log line: its event is "told"."""
    told = {"msg": "told", "levelname": level, "text": safe(text, LONGEST)}
    return JsonLine().format(logging.makeLogRecord(told))


def set_up(level: str, form: str = "text") -> None:
    """Send log lines to standard error from `level` (debug, info, warning, error) up. Called once, by a command.

    form: "json" for one object per line; "text" is coloured on a terminal and begins with the time elsewhere.
    """
    handler: logging.Handler
    if form == "text" and sys.stderr.isatty():
        from rich.logging import RichHandler

        handler = RichHandler(console=terminal(), show_path=False, markup=False, log_time_format="[%X]")
        handler.setFormatter(EventLine())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLine() if form == "json" else TextLine())
    logging.raiseExceptions = False  # a log that nobody can read, such as a closed pipe, ends nothing
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
