"""The first signal asks a process to stop, the second ends it, unless it only says that the terminal is gone."""

import signal
import subprocess
import sys
import time

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


@pytest.mark.parametrize("ignored", [False, True])
def test_a_terminal_that_goes_asks_once_however_often_it_says_so(ignored: bool) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    command = [sys.executable, "-c", PROGRAM, "stubborn"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=ignore if ignored else None
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready False\n"
            process.send_signal(signal.SIGHUP)
            if not ignored:
                assert process.stdout.readline() == "asked\n"
                process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            if ignored:
                assert process.stdout.readline() == "asked\n"
                process.send_signal(signal.SIGHUP)
            assert process.poll() is None
            while process.poll() is None:  # two signals of a kind that wait together are one
                process.send_signal(signal.SIGTERM)
                time.sleep(0.01)
            assert process.wait() == 128 + signal.SIGTERM
        finally:
            process.kill()
