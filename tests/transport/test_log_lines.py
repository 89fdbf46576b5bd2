"""Log lines carry an event and its fields, one line each, whatever a peer says."""

import json
import logging
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from common import log

PROGRAM = """
import logging
from common import log
log.set_up("info")
logging.getLogger("any").info("session_up", extra={"session": "1a2b", "hops": 1, "raw": bytes([255])})
logging.getLogger("any").debug("not shown")
"""


def test_off_a_terminal_each_event_is_one_line_of_json_on_standard_error() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    entry = json.loads(line)
    assert entry.pop("ts").endswith("+00:00")
    assert entry == {"level": "info", "event": "session_up", "session": "1a2b", "hops": 1, "raw": "b'\\xff'"}


def test_on_a_terminal_fields_follow_the_event() -> None:
    record = logging.makeLogRecord({"msg": "session_up", "session": "1a2b", "hops": 1})
    assert log.TerminalLine().format(record) == "session_up session=1a2b hops=1"


@given(text=st.text())
def test_peer_text_is_short_and_printable_ascii(text: str) -> None:
    shown = log.safe(text, 20)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 200
