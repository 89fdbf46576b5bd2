"""`make live` outlives what is killed under it, and says in one line why it cannot begin."""

import os
import re
import signal
import socket
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.conftest import Start
from training.lab import live
from training.lab.processes import Command

MODULE = ("-m", "training.lab.live")


@pytest.fixture
def running(start: Start) -> tuple[Command, str]:
    """The command, and the address of its page."""
    command = start("python", *MODULE, "--http", "0", "--fps", "20")
    return command, next(command.lines())


def children(command: Command) -> dict[str, int]:
    """Name -> process id of the three that it started."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it ended meanwhile
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            words = (process / "cmdline").read_bytes().split(b"\0")
            if parent == command.process.pid and len(words) > 1:
                found[Path(words[1].decode()).name] = int(process.name)
    return found


def test_who_is_killed_under_it_is_started_again_and_who_ends_it_is_told_what_came_of_the_images(
    running: tuple[Command, str],
) -> None:
    command, first = running
    lines = command.lines()
    for name in ("scrx", "sctx", "channel-emu"):
        killed = children(command)[name]
        os.kill(killed, signal.SIGKILL)
        command.wait_for(f"{name} ended: killed by SIGKILL; it is started again")
        until = time.monotonic() + 60
        while children(command).get(name, killed) == killed and time.monotonic() < until:
            time.sleep(0.05)
        assert children(command)[name] != killed
    again = next(lines)
    assert again.startswith("open http://127.0.0.1:")
    assert again.split()[1] != first.split()[1]
    base, words = again.split()[1].partition("#")[0], ""
    while not re.search(r'"answered": ?[1-9]', words):
        with urllib.request.urlopen(f"{base}live.json", timeout=30) as answer:
            words = answer.read().decode()
    command.process.send_signal(signal.SIGINT)
    told = re.fullmatch(r"stopped: (\d+) of \d+ images answered, \d+\.\d % rightly\n", list(lines)[-1])
    assert told is not None
    assert int(told[1]) > 0
    assert command.wait(60) == 0, command.said


def test_who_ends_it_before_an_image_was_answered_is_told_nothing_more() -> None:
    assert live.summary_in("") == live.summary_in('{"index": 0}') == "stopped"
    assert live.summary_in('{"summary": {"sent": 3, "answered": 2, "labelled": 0}}') == (
        "stopped: 2 of 3 images answered"
    )
    assert live.summary_in('{"summary": {"sent": 3, "answered": 2, "labelled": 0, "unreadable": 4}}') == (
        "stopped: 2 of 3 images answered, 4 pictures could not be read"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--source", "/nowhere"), "sctx did not come up: --source /nowhere: not found; give "),
        (("--snr", "nan"), "channel-emu did not come up: --snr nan is outside -60 to 120 dB, or inf"),
        (("--fps", "nan"), "Invalid value for '--fps': nan is not in the range"),
    ],
)
def test_what_is_wrong_is_one_line_and_wrong_use(start: Start, words: tuple[str, ...], told: str) -> None:
    command = start("python", *MODULE, "--http", "0", *words)
    assert (command.wait(120), list(command.lines())) == (2, [])
    assert command.said.startswith(f"error: {told}")
    assert len(command.said.splitlines()) == 1


def test_a_port_that_is_taken_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not live.is_free(taken.getsockname()[1])
    assert live.is_free(live.free_port())
