"""The first signal asks a process to stop, the second ends it; a terminal that goes away asks, unless under nohup."""

import signal
import subprocess
import sys

import pytest

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
