"""The first signal asks a process to stop, the second ends it; a terminal that goes away asks, unless under nohup."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from common import shutdown

PROGRAM = """
import select, signal, sys
if sys.argv[1] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
from common.shutdown import StopFlag, interrupt_on_end

if sys.argv[1] == "interrupted":
    interrupt_on_end()
    try:
        print("ready", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("asked", flush=True)
        sys.exit(0 if sys.stdin.readline() else 1)
stop = StopFlag()
print("ready", flush=True)
while not stop:
    select.select([], [], [], 0.01)
print("asked", flush=True)
if sys.argv[1] == "stubborn":
    signal.pause()
sys.stdin.readline()
"""
HUP, INT, TERM = signal.SIGHUP, signal.SIGINT, signal.SIGTERM


@pytest.mark.parametrize(
    ("manner", "sent", "code"),
    [
        ("polite", [TERM], 0),
        ("polite", [INT], 0),
        ("polite", [HUP], 0),
        ("polite", [HUP, HUP], 0),
        ("stubborn", [TERM, TERM], 128 + TERM),
        ("stubborn", [HUP, INT], 128 + INT),
        ("nohup", [HUP, TERM], 0),
        ("interrupted", [TERM], 0),
        ("interrupted", [HUP, HUP], 0),
    ],
)
def test_signals(manner: str, sent: list[signal.Signals], code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, manner]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(sent[0])
            if manner == "nohup":
                process.send_signal(sent[1])
            assert process.stdout.readline() == "asked\n"
            process.send_signal(sent[-1]) if len(sent) > 1 and manner != "nohup" else None
            process.communicate("\n", timeout=60)
            assert process.returncode == code
        finally:
            process.kill()


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals raise KeyboardInterrupt in this process, and nobody asked it to end."""
    monkeypatch.setattr(shutdown, "_asked_s", math.inf)
    before = {number: signal.getsignal(number) for number in (HUP, INT, TERM)}
    shutdown.interrupt_on_end()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("raised")
def test_where_they_are_counted_nothing_is_raised_and_the_third_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = list[int]()
    monkeypatch.setattr(os, "_exit", ended.append)
    with shutdown.counted() as asked:
        assert (asked(), shutdown.asked_for_s()) == (0, -math.inf)
        for number, so_far in ((HUP, 1), (HUP, 1), (INT, 2)):
            signal.raise_signal(number)
            assert asked() == so_far
        assert shutdown.asked_for_s() >= 0.0
        assert ended == []
        signal.raise_signal(TERM)
        assert ended == [128 + TERM]


@pytest.mark.usefixtures("raised")
def test_after_the_block_they_do_what_they_did_before() -> None:
    with shutdown.counted():
        signal.raise_signal(HUP)
    signal.raise_signal(HUP)  # the second of the same terminal
    for number in (INT, TERM):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
