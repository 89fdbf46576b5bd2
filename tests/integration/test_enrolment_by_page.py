"""The page enrols a class as `scrx enrol` does: the receiver's own, and one that is told its control port."""

import http.client
import json
import os
import time
from typing import Any

import pytest

from tests.integration.conftest import Start
from tests.integration.test_seen import http_port
from training.lab.processes import Command


def post(page: tuple[int, str], wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """page: port and token -> status, and what was said."""
    connection = http.client.HTTPConnection("127.0.0.1", page[0], timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {page[1]}"}
    connection.request("POST", "/enrol", json.dumps(wanted), headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    is_json = answer.getheader("Content-Type") == "application/json"
    return answer.status, json.loads(body) if is_json else {"said": body.decode()}


def page(command: Command) -> tuple[int, str]:
    return http_port(command), str(command.wait_for(r"live page at \S+#(\S+),").group(1))


def wait(at: tuple[int, str], ticket: int) -> dict[str, Any]:
    for _ in range(600):
        status, found = post(at, {"ticket": ticket})
        assert status == 200, found
        if found["done"]:
            return found
        time.sleep(0.05)
    pytest.fail("it was not enrolled in half a minute")


def test_a_class_is_enrolled_by_either_page_and_what_is_wrong_is_said_there(start: Start) -> None:
    number = str(os.getpid())
    rx = start("scrx", "--listen", "0", "--control", number, "--http", "0", "--http-control")
    flags = ("--control", "0", "--upstream", f"127.0.0.1:{rx.port()}", "--snr", "20")
    emu = start("channel-emu", "--listen", "0", *flags, "--http", "0", "--http-enrol", number)
    own, elsewhere = page(rx), page(emu)
    status, found = post(elsewhere, {"name": "seven", "next": 3})
    assert (status, set(found)) == (200, {"ticket"})
    assert post(own, {"name": "eight", "next": 3})[0] == 422  # one at a time
    assert post(own, {"ticket": found["ticket"], "end": True}) == (200, {})
    assert post(elsewhere, {"ticket": found["ticket"]})[0] == 422
    start("sctx", "--peer", f"127.0.0.1:{emu.port()}", "--distortion", "10", "--count", "100000", "--fps", "20")
    for at, name in ((elsewhere, "seven"), (own, "eight")):
        status, found = post(at, {"name": name, "next": 3})
        assert status == 200, found
        assert wait(at, found["ticket"])["of"] == 3
    status, found = post(own, {"name": "seven", "next": 3})
    assert (status, "'seven' is enrolled in head 'enrolled' already" in found["error"]) == (422, True)
    for wrong in ({"name": "", "next": 3}, {"name": "nine", "next": "3"}, {"name": "nine"}, {"ticket": "x"}):
        assert post(own, wrong)[0] == 422
    assert post((own[0], "guess"), {"name": "nine", "next": 3})[0] == 401
    rx.stop()
    status, found = post(elsewhere, {"name": "nine", "next": 3})
    assert (status, found["error"].startswith("--http-enrol: no receiver answers at")) == (422, True)


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        (
            "scrx",
            ("--http", "0", "--http-control"),
            "--http-control: is about classes that the page enrols, which needs",
        ),
        (
            "channel-emu",
            ("--http-enrol", "5558"),
            "--http-enrol: is about the page and metrics, which need --http PORT",
        ),
        ("channel-emu", ("--http", "0", "--http-enrol", "a b"), "--http-enrol 'a b': no address has a space"),
    ],
)
def test_flags_that_say_nothing_are_refused(start: Start, command: str, flags: tuple[str, ...], said: str) -> None:
    more = ("--control", "0") if command == "channel-emu" else ()
    wrong = start(command, "--listen", "0", *flags, *more)
    assert wrong.wait(60) == 2
    assert f"error: {said}" in wrong.said
