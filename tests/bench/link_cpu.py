"""Prints what a round trip of 8 KB takes of a processor: `python -m tests.bench.link_cpu [SETS]`, some minutes.

The links of `bench_link.py`, all processes on one processor: there nobody waits awake, so that what is counted is work.
First by process, Python and libzmq's thread apart, then by stage, ours alone. Processor time, so it can be measured
beside other work, if with the processor's caches shared. The clock of the stages is asked twice for each call, and
takes about half a microsecond a time, a part of which is in the numbers. Knows nothing about what a stage does.
"""

import atexit
import functools
import json
import os
import runpy
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.bench.bench_link import PARTS, WARM, Floor, Ours, Working
from training.lab.processes import Command

FRAMES, ROUNDS = 300, 3
PROCESSES = "transmitter", "emulator", "receiver"
FOLDER = "LINK_CPU_FOLDER"
"""Names the folder to which a child writes its stages."""


class Clock:
    """Processor time of the functions that it wraps, each without that of others which it calls."""

    def __init__(self) -> None:
        self.ns: Counter[str] = Counter()
        self._running = threading.local()

    def wrap(self, stage: str, owner: Any, *names: str) -> None:
        for name in names:
            setattr(owner, name, self._timed(stage, getattr(owner, name)))

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.thread_time_ns

        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            stack = self._running.__dict__.setdefault("stack", [])
            if stack:
                self.ns[stack[-1][0]] += clock() - stack[-1][1]
            mark = [stage, clock()]
            stack.append(mark)
            try:
                return function(*given, **named)
            finally:
                self.ns[stage] += clock() - mark[1]
                stack.pop()
                if stack:
                    stack[-1][1] = clock()

        return timed

    def us(self, trips: int) -> dict[str, float]:
        """By stage, for one of so many round trips."""
        return {stage: ns / 1e3 / trips for stage, ns in self.ns.items()}


def at_transmitter(clock: Clock) -> None:
    from common.transport.waiting.watch import Watch
    from sctx import link
    from sctx.session import Session

    clock.wrap("waiting", Watch, "wait")
    clock.wrap("reading parts", link.Link, "_receive")
    clock.wrap("writing parts", link, "put")
    clock.wrap("headers, checks", link, "decode", "encode")
    clock.wrap("session", Session, "submit", "on_message")
    clock.wrap("turns", link.Link, "wait_event", "submit", "_turn", "_take")


def at_receiver(clock: Clock) -> None:
    from common.transport.waiting.watch import Watch
    from scrx import link, receiver
    from scrx.decoding.batcher import Batcher
    from scrx.demodulation.demodulate import Demodulator
    from scrx.sessions.table import SessionTable

    clock.wrap("waiting", Watch, "wait")
    clock.wrap("reading parts", link.Link, "_receive")
    clock.wrap("writing parts", link, "put")
    clock.wrap("headers, checks", link, "decode", "encode", "split")
    clock.wrap("session, queue", SessionTable, "on_message", "on_result")
    clock.wrap("session, queue", Batcher, "put", "take", "finished")
    clock.wrap("estimator, equaliser", Demodulator, "demodulate")
    clock.wrap("answer", receiver, "answer")
    clock.wrap("turns", link.Link, "listen", "post", "_turn")
    clock.wrap("turns", receiver.Receiver, "_handle", "_finish")


def at_emulator(clock: Clock) -> None:
    from common.channel.streams.channel import Channel
    from common.channel.wire import proxy
    from common.channel.wire.control import ControlPort
    from common.transport.waiting.watch import Watch

    clock.wrap("waiting", Watch, "wait")
    clock.wrap("reading parts", proxy.Proxy, "_drain")
    clock.wrap("writing parts", proxy, "put")
    clock.wrap("headers, checks", proxy, "split", "peek_data", "check_power")
    clock.wrap("channel", Channel, "transform")
    clock.wrap("turns", proxy.Proxy, "step", "_forward", "_return")
    clock.wrap("turns", ControlPort, "serve")


def inside(which: str, arguments: Sequence[str]) -> None:
    """A child that is timed."""
    clock = Clock()
    (at_receiver if which == "receiver" else at_emulator)(clock)
    trips = ROUNDS * FRAMES + WARM
    atexit.register(lambda: Path(os.environ[FOLDER], which).write_text(json.dumps(clock.us(trips))))
    if which == "receiver":
        sys.argv = [PARTS, *arguments]
        runpy.run_path(PARTS, run_name="__main__")
    else:
        from common.channel.cli import main

        sys.argv = ["channel-emu", *arguments]
        main()


def stages() -> dict[str, dict[str, float]]:
    """By process, us for a round trip of ours by stage."""
    begin, clock = Command.begin, Clock()

    def timed(words: Sequence[str], **more: Any) -> Any:
        which, rest = ("receiver", words[2:]) if PARTS in words else ("emulator", words[1:])
        return begin([sys.executable, "-m", "tests.bench.link_cpu", which, *rest], **more)

    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        os.environ[FOLDER] = folder
        running.enter_context(patch.object(Command, "begin", staticmethod(timed)))
        ours = Ours(running, "--snr", "10")
        at_transmitter(clock)
        for _ in range(ROUNDS * FRAMES + WARM):
            ours.round_trip_ns()
        stop(ours)
        ours.emulator.stop()
        children = {path.name: json.loads(path.read_text()) for path in Path(folder).iterdir()}
    return {"transmitter": clock.us(ROUNDS * FRAMES + WARM), **children}


def stop(ours: Ours) -> None:
    """End the receiver and read what it tells: unread, it would keep it."""
    ours.close()
    ours.receiver.process.terminate()
    next(ours.receiver.lines())
    ours.receiver.process.wait()


def spent_us(pid: int | str) -> Counter[str]:
    """What a process has had of the processor: libzmq's thread, and all others."""
    found: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        kind = "libzmq" if (task / "comm").read_text().startswith("ZMQbg") else "Python"
        found[kind] += int((task / "schedstat").read_text().split()[0]) / 1e3  # type: ignore[assignment]
    return found


def links() -> dict[str, dict[str, float]]:
    """By link, us for a round trip by process and thread."""
    found: dict[str, dict[str, float]] = {}
    with ExitStack() as running:
        made = {"floor": Floor(running), "working floor": Working(running), "ours": Ours(running, "--snr", "10")}
        each: dict[str, list[dict[str, float]]] = {name: [] for name in made}
        for link in made.values():
            for _ in range(WARM):
                link.round_trip_ns()
        for _ in range(ROUNDS):
            for name, link in made.items():
                pids = dict(zip(PROCESSES, ("self", link.processes[1], link.processes[0]), strict=True))
                before = {who: spent_us(pid) for who, pid in pids.items()}
                for _ in range(FRAMES):
                    link.round_trip_ns()
                after = {who: spent_us(pid) for who, pid in pids.items()}
                each[name].append(
                    {f"{who}, {kind}": (after[who][kind] - before[who][kind]) / FRAMES
                     for who in pids for kind in ("Python", "libzmq")}
                )  # fmt: skip
        for name, rounds in each.items():
            found[name] = {what: min(one[what] for one in rounds) for what in rounds[0]}
            found[name]["all"] = min(sum(one.values()) for one in rounds)
        stop(made["ours"])  # type: ignore[arg-type]
    return found


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in PROCESSES:
        return inside(sys.argv[1], sys.argv[2:])
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = [links() for _ in range(sets)]
    print(f"us of processor for a round trip, least of {ROUNDS} x {FRAMES}, median of {sets} sets of processes")
    for what in found[0]["ours"]:
        row = {name: float(np.median([one[name][what] for one in found])) for name in found[0]}
        print(f"  {what:24s}" + "".join(f"{name:>16s} {us:6.1f}" for name, us in row.items()))
    timed = [stages() for _ in range(sets)]
    print("ours by stage, Python alone, with the clock's own time")
    for who in PROCESSES:
        for stage in sorted(timed[0][who], key=lambda name: -timed[0][who][name]):
            print(f"  {who:14s}{stage:24s}{float(np.median([one[who][stage] for one in timed])):6.1f}")


if __name__ == "__main__":
    main()
