"""Log lines carry an event and its fields, one line each, whatever a peer says."""

import json
import logging
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from common import log

PROGRAM = """
import logging, sys
from common import log
log.set_up("info", sys.argv[1])
logging.getLogger("any").info("session_up", extra={"session": "1a2b", "hops": 1, "raw": bytes([255])})
logging.getLogger("any").debug("not shown")
"""


def run(form: str) -> str:
    command = [sys.executable, "-c", PROGRAM, form]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    return line


def test_each_event_is_one_line_on_standard_error() -> None:
    entry = json.loads(run("json"))
    assert entry.pop("ts").endswith("+00:00")
    assert entry == {"level": "info", "event": "session_up", "session": "1a2b", "hops": 1, "raw": "b'\\xff'"}
    ts, rest = run("text").split(" ", 1)
    assert ts.endswith("+00:00")
    assert rest == "info session_up session=1a2b hops=1 raw=b'\\xff'"


def test_on_a_terminal_fields_follow_the_event() -> None:
    record = logging.makeLogRecord({"msg": "session_up", "session": "1a2b", "why": "no sound"})
    assert log.EventLine().format(record) == 'session_up session=1a2b why="no sound"'


@given(text=st.text(), event=st.text())
def test_a_line_is_printable_whatever_is_logged(text: str, event: str) -> None:
    record = logging.makeLogRecord({"msg": event, "peer": text, "parts": [text.encode()]})
    for form in (log.EventLine(), log.TextLine()):
        assert form.format(record).isprintable()
    assert json.loads(log.JsonLine().format(record))["peer"] == text
