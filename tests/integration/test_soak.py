"""A short soak over the real processes, and that the soak sees what it is there to see."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from training.lab.lives import DEADLINE_MS, Memory, Run, resident, verdict
from training.lab.processes import Command
from training.soak import command

FINE: dict[str, Any] = {"answered": 3, "lost": 0, "expired": 0, "skipped": 0}


def run(live: bool, latency_ms: dict[int, float], count: int = 3, **changes: Any) -> Run:
    command = Command.__new__(Command)  # nothing was started
    found = Run(command, live, count, latency_ms=latency_ms, summary={**FINE, "answered": len(latency_ms)}, code=0)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


ALL = {0: 5.0, 1: 5.0, 2: 5.0}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (run(False, ALL), ""),
        (run(True, ALL), ""),
        (run(False, {0: 1.0, 2: 1.0}), "finite: 1 of 3 images lost"),
        (run(True, {0: 1.0}), "live: 2 of 3 images lost"),
        (run(True, {0: 1.0}, summary={**FINE, "answered": 1, "skipped": 1, "expired": 1}), ""),
        (run(False, {0: 1.0}, summary={**FINE, "answered": 1, "expired": 2}), "finite: 2 of 3"),
        (run(False, ALL, twice=1), "finite: 1 images counted twice"),
        (run(True, {**ALL, 1: DEADLINE_MS + 1.0}), "live: 1 answers shown past their deadline"),
        (run(False, {**ALL, 1: DEADLINE_MS + 1.0}), ""),  # a finite source waits
        (run(False, {0: 1.0}, killed=True, summary=None, code=-9), ""),
        (run(False, {0: 1.0}, killed=True, summary=None, code=-9, twice=2), "finite: 2 images counted twice"),
    ],
)
def test_the_verdict_names_what_went_wrong(found: Run, words: str) -> None:
    told = verdict([found], [])
    assert [words in line for line in told] == ([True] if words else [])


@pytest.mark.parametrize(("mb_per_s", "grows"), [(0.0, False), (1.0, True), (-1.0, False)])
def test_memory_that_grows_is_named(mb_per_s: float, grows: bool) -> None:
    at = [0.5 * k for k in range(200)]
    memory = Memory("scrx", at, [100.0 + mb_per_s * t for t in at])
    assert bool(verdict([], [memory])) == grows
    assert not verdict([], [Memory("scrx", at[:20], memory.mb[:20])])  # too short to say


def test_the_children_of_a_process_are_weighed_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = resident()
        parent, mb = found[child.pid]
        assert parent == os.getpid()
        assert 0 < mb < found[parent][1]  # this one has numpy, and the tests
        child.kill()


def test_a_transmitter_that_does_not_end_is_ended_and_told() -> None:
    found = Run(Command("python", "-c", "__import__('time').sleep(1000)"), False, 3)
    found.finish(0.1)
    assert found.command.stop() == -9
    assert "finite: exit code None" in verdict([found], [])[0]


@pytest.mark.timeout(300)
def test_a_short_soak_over_the_real_processes_breaks_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seconds", "3", "--fps", "20", "--seed", "335", "--faults", "4", "--pause", "0.3"]
    code = command.main(words, standalone_mode=False)
    printed = capsys.readouterr()
    assert code == 0, printed
    told = json.loads(printed.out)
    assert told["wrong"] == []
    # None of them needs a transmitter that still runs, so the same ones hit on every machine.
    assert told["faults"] == {"channel changed": 1, "kill channel-emu": 1, "network dark": 1, "stop scrx": 1}
    assert told["finite"]["images"] == told["finite"]["answered"] == 60
