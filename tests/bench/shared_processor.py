"""Prints what it costs to share a processor: `python -m tests.bench.shared_processor [SETS]`, two minutes. Linux only.

First what one piece of code takes (`encode` of DATA) where its processor did something else before: slept, or ran
another process that does the same. Then a round trip of 8 KB, on two processors, by which two of the three processes
share one. All of it twice: with addresses that are drawn anew for each process, as Linux does, and with fixed ones
(`setarch -R`), where a processor's branch predictor meets the same code at the same place in each process.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from common.protocol.frames import encode
from common.protocol.messages import Data
from tests.bench.bench_link import WARM, Ours
from tests.bench.link_parts import SYMBOLS

REPEATS, FRAMES = 2000, 200
SHARED = {
    "emulator and receiver": (0, 1, 1),
    "transmitter and receiver": (0, 1, 0),
    "transmitter and emulator": (0, 0, 1),
}
"""By who shares: the processors of transmitter, emulator and receiver."""
MODULE = "tests.bench.shared_processor"


def piece() -> None:
    """A piece of the link's code that no cache of ours makes shorter."""
    encode(Data(bytes(16), 5, 0, SYMBOLS, 0, 0, 0, 4, 8, 0, 10_000, 0, bytes(64)))


def takes_us(before: Callable[[], object]) -> float:
    """Median time of `piece` right after `before`."""
    spent = []
    for _ in range(REPEATS):
        before()
        begun = time.perf_counter_ns()
        piece()
        spent.append(time.perf_counter_ns() - begun)
    return median(spent) / 1e3


def neighbour(processor: int) -> None:
    """Do nothing but `piece` on one processor, and let others go first after each."""
    os.sched_setaffinity(0, {processor})
    print("ready", flush=True)
    while True:
        piece()
        os.sched_yield()


def code(processor: int) -> None:
    """What `piece` takes on one processor, by what that did before."""
    os.sched_setaffinity(0, {processor})
    print(
        f"  in a loop {takes_us(lambda: None):.1f} us, after a sleep {takes_us(lambda: time.sleep(1e-4)):.1f}", end=""
    )
    words = [sys.executable, "-m", MODULE, "neighbour", str(processor)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        print(f", beside a process that does the same {takes_us(os.sched_yield):.1f}", flush=True)
        other.kill()


def place(pid: int, processor: int) -> None:
    """Put all threads of a process on one processor; it began without, and so goes on waiting awake."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {processor})


def trips(sets: int) -> None:
    """What a round trip takes, by who shares a processor, each in all sets of processes."""
    first, second, *_ = sorted(os.sched_getaffinity(0))
    found: dict[str, list[float]] = {who: [] for who in SHARED}
    for _ in range(sets):
        with ExitStack() as running:
            ours = Ours(running, "--snr", "10")
            running.callback(ours.receiver.kill)
            receiver, emulator = ours.processes
            for who, where in SHARED.items():
                for pid, other in zip((os.getpid(), emulator, receiver), where, strict=True):
                    place(pid, second if other else first)
                for _ in range(WARM):
                    ours.round_trip_ns()
                found[who].append(median(ours.round_trip_ns() / 1e3 for _ in range(FRAMES)))
            for task in Path("/proc/self/task").iterdir():
                os.sched_setaffinity(int(task.name), {first, second})
    for who, us in found.items():
        print(f"  round trip where {who} share: {median(us):.0f} us ({min(us):.0f} .. {max(us):.0f})", flush=True)


def main(sets: str = "8") -> None:
    """Both, as Linux does it and with fixed addresses."""
    processor = str(max(os.sched_getaffinity(0)))
    for how, before in (("addresses drawn anew", []), ("fixed addresses", ["setarch", "-R"])):
        print(how, flush=True)
        for what in (["code", processor], ["trips", sets]):
            subprocess.run([*before, sys.executable, "-m", MODULE, *what], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["neighbour" | "code" as what, processor]:
            {"neighbour": neighbour, "code": code}[what](int(processor))
        case ["trips", sets]:
            trips(int(sets))
        case given:
            main(*given)
