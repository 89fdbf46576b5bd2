"""The first signal asks a process to stop, the second ends it."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import select, signal, sys
from common.transport.signals import StopFlag

stop = StopFlag()
print("ready", bool(stop), flush=True)
while not stop:
    select.select([], [], [], 0.01)
print("asked", flush=True)
if sys.argv[1] == "stubborn":
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("manner", ["polite", "stubborn"])
def test_signals(number: signal.Signals, manner: str) -> None:
    command = [sys.executable, "-c", PROGRAM, manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready False\n"
            process.send_signal(number)
            assert process.stdout.readline() == "asked\n"
            if manner == "stubborn":
                process.send_signal(number)
            assert process.wait(20) == (128 + number if manner == "stubborn" else 0)
        finally:
            process.kill()
