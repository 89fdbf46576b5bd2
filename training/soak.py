"""The three commands under random faults for a set time, and what it cost: `python -m training.soak --seconds 60`.

Knows nothing about how any of the three works. Two transmitters send real images through one emulator to one receiver:
one from a finite source, which must lose nothing and count nothing twice, and one live, which must show nothing late.
Meanwhile processes are killed (kill -9) and started again, stopped (SIGSTOP) and continued, the network goes dark, and
the channel changes. Exit code 1 when something was lost, counted twice or shown late, or when memory grows.
"""

import json
import math
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from common.channel.wire.control import ask
from common.errors import SemlinkError
from training.lab.processes import START_S, Command, start_emulator, start_receiver
from training.lab.relay import Relay

DEADLINE_MS = 500
SAMPLE_S = 0.5
Fault = Callable[[np.random.Generator], bool]
"""Happens, and says whether it hit: False where the process had ended by itself."""
GROWTH_MB = 16.0
GROWTH_AFTER_S = 20.0
"""Memory is judged over processes that lived at least so long, and without their first half."""


@dataclass(slots=True)
class Run:
    """One life of one transmitter: what it was given and what it printed. `ended`: all of its output was read."""

    command: Command
    live: bool
    count: int
    killed: bool = False
    latency_ms: dict[int, float] = field(default_factory=dict)
    twice: int = 0
    summary: dict[str, Any] | None = None
    code: int | None = None
    last_s: float = 0.0

    def read(self) -> None:
        """Take every line until it ends. For a thread of its own."""
        with suppress(ValueError):  # the last line of a process that was killed may be half a line
            for line in self.command.lines():
                item = json.loads(line)
                if "summary" in item:
                    self.summary = item["summary"]
                    continue
                self.twice += item["index"] in self.latency_ms
                self.latency_ms[item["index"]] = item["latency_ms"]
                self.last_s = time.monotonic()

    def finish(self, timeout_s: float) -> None:
        """Wait until it ended; one that does not is killed, and its missing exit code is told by the verdict."""
        try:
            self.code = self.command.wait(timeout_s)
        except SemlinkError:
            self.command.process.kill()


@dataclass(slots=True)
class Memory:
    """Resident memory of one process over time: seconds and MB."""

    name: str
    at_s: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)

    def growth(self) -> tuple[float, float] | None:
        """Slope in MB per minute over the second half of its life, and how much that came to; None if it was short."""
        if not self.at_s or self.at_s[-1] - self.at_s[0] < GROWTH_AFTER_S:
            return None
        half = len(self.at_s) // 2
        at, mb = np.array(self.at_s[half:]), np.array(self.mb[half:])
        slope = float(np.polyfit(at - at[0], mb, 1)[0])
        return 60.0 * slope, slope * float(at[-1] - at[0])


class Soak:
    """The processes, and the faults that happen to them. `flags`: more flags for the receiver."""

    def __init__(self, running: ExitStack, seconds: float, fps: float, flags: tuple[str, ...]) -> None:
        self._fps, self._flags = fps, flags
        self.commands: dict[str, Command] = {}
        self.runs: list[Run] = []
        self._readers: list[threading.Thread] = []
        self.memory: dict[int, Memory] = {}
        self.recovery_s: dict[str, list[float]] = {"scrx": [], "channel-emu": []}
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        running.callback(self._end)
        self.commands["scrx"], self._receiver_port = start_receiver(*flags)
        self.commands["channel-emu"], self._emulator_port = start_emulator(self._receiver_port, "--snr", "10")
        self._relay = running.enter_context(Relay(self._emulator_port))
        for name, live in (("sctx", False), ("sctx --live", True)):
            self._transmit(name, live, round(seconds * fps))

    def faults(self) -> list[tuple[str, Fault]]:
        """Everything that can happen, by name."""
        listed: list[tuple[str, Fault]] = [
            ("network dark", lambda random: self._cut(random.uniform(0.1, 2.0))),
            ("channel changed", lambda random: self._change(random.uniform(0.0, 20.0))),
        ]
        for name in self.commands:
            listed.append((f"kill {name}", lambda random, name=name: self._kill(name)))  # type: ignore[misc]
            listed.append((f"stop {name}", lambda random, name=name: self._stop(name, random.uniform(0.1, 2.0))))  # type: ignore[misc]
        return listed

    def wait_for_answers(self, timeout_s: float) -> None:
        """Until both transmitters have had their first answer: no fault is counted before the link stands."""
        until = time.monotonic() + timeout_s
        while not all(run.last_s for run in self.runs):
            if time.monotonic() > until:
                raise SemlinkError(f"no answers within {timeout_s:g} s of the start")
            time.sleep(0.05)
        self._watcher.start()

    def finish(self, timeout_s: float) -> None:
        """No more faults: wait until both transmitters have an outcome for every image, or the time is over."""
        for run in self.runs:
            run.finish(timeout_s)
        for reader in self._readers:
            reader.join(5)
        self._done.set()
        self._watcher.join()

    def _transmit(self, name: str, live: bool, count: int) -> None:
        flags = ("--live", "--deadline-ms", str(DEADLINE_MS)) if live else ()
        peer = f"127.0.0.1:{self._relay.port}"
        command = Command("sctx", "--peer", peer, "--count", str(count), "--fps", f"{self._fps:g}", "--json", *flags)
        self.commands[name] = command
        self.runs.append(Run(command, live, count))
        self._readers.append(threading.Thread(target=self.runs[-1].read))
        self._readers[-1].start()

    def _run_of(self, name: str) -> Run:
        return next(run for run in reversed(self.runs) if run.command is self.commands[name])

    def _kill(self, name: str) -> bool:
        command = self.commands[name]
        if command.process.poll() is not None:
            return False
        if name.startswith("sctx"):
            run = self._run_of(name)
            run.killed = True
            command.kill()
            self._transmit(name, run.live, max(run.count - len(run.latency_ms), 1))
            return True
        command.kill()
        if name == "scrx":
            self.commands[name], _ = start_receiver(*self._flags, listen=str(self._receiver_port))
        else:
            self.commands[name], _ = start_emulator(self._receiver_port, "--snr", "10", listen=str(self._emulator_port))
        self._recover(name)
        return True

    def _recover(self, name: str) -> None:
        """How long after the process was ready again the next answer came; nothing else happens meanwhile."""
        ready, finite = time.monotonic(), self._run_of("sctx")
        while finite.last_s < ready and finite.command.process.poll() is None and time.monotonic() - ready < 30:
            time.sleep(0.01)
        if finite.last_s >= ready:
            self.recovery_s[name].append(finite.last_s - ready)

    def _stop(self, name: str, for_s: float) -> bool:
        process = self.commands[name].process
        if process.poll() is not None:
            return False
        process.send_signal(signal.SIGSTOP)
        time.sleep(for_s)
        process.send_signal(signal.SIGCONT)
        return True

    def _cut(self, for_s: float) -> bool:
        self._relay.cut()
        time.sleep(for_s)
        self._relay.mend()
        return True

    def _change(self, snr_db: float) -> bool:
        control = self.commands["channel-emu"].wait_for(r"control on (\S+)").group(1)
        ask(control, {"op": "set", "parameters": {"snr_db": snr_db}}, timeout_s=10.0)
        return True

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            loads = [run.command for run in list(self.runs) if not run.last_s]  # which is no growth
            names = {c.process.pid: name for name, c in list(self.commands.items()) if c not in loads}
            for pid, (parent, mb) in resident().items():
                name = names.get(pid) or (f"{names[parent]} worker" if parent in names else None)
                if name is not None:
                    memory = self.memory.setdefault(pid, Memory(name))
                    memory.at_s.append(time.monotonic())
                    memory.mb.append(mb)

    def _end(self) -> None:
        self._done.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for command in self.commands.values():
            with suppress(OSError):
                command.process.send_signal(signal.SIGCONT)
            command.stop()
        for reader in self._readers:
            reader.join(30)


def resident() -> dict[int, tuple[int, float]]:
    """Process id -> parent and resident memory in MB, of every process of this host that has any."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has just ended
            match = re.search(r"^PPid:\s+(\d+)$.*^VmRSS:\s+(\d+)", path.read_text(), re.DOTALL | re.MULTILINE)
            if match is not None:
                found[int(path.parent.name)] = int(match[1]), int(match[2]) / 1024
    return found


def verdict(runs: list[Run], memory: list[Memory]) -> list[str]:
    """What went wrong, one line each; empty if nothing did."""
    wrong = []
    for run in runs:
        name = "live" if run.live else "finite"
        if run.twice:
            wrong.append(f"{name}: {run.twice} images counted twice")
        late = sum(latency > DEADLINE_MS for latency in run.latency_ms.values())
        if run.live and late:
            wrong.append(f"live: {late} answers shown past their deadline")
        if run.killed:
            continue
        if run.code != 0 or run.summary is None:
            wrong.append(f"{name}: exit code {run.code} (None: it did not end): {run.command.said[-200:]}")
            continue
        found = run.summary
        accounted = len(run.latency_ms) + (found["skipped"] + found["expired"] if run.live else 0)
        if accounted != run.count or found["answered"] != len(run.latency_ms):
            wrong.append(f"{name}: {run.count - accounted} of {run.count} images lost: {found}")
    for process in memory:
        grown = process.growth()
        if grown is not None and grown[1] > GROWTH_MB:
            wrong.append(f"{process.name}: memory grew by {grown[1]:.1f} MB, {grown[0]:.2f} MB/min")
    return wrong


def report(soak: Soak, happened: Counter[str]) -> dict[str, Any]:
    """What went in, what came out, and what happened in between."""
    told: dict[str, Any] = {"faults": dict(sorted(happened.items()))}
    for name, live in (("finite", False), ("live", True)):
        runs = [run for run in soak.runs if run.live == live]
        latency = [ms for run in runs for ms in run.latency_ms.values()]
        sums = [run.summary for run in runs if run.summary]
        told[name] = {
            "runs": len(runs),
            "images": sum(s["sent"] for s in sums),
            "answered": sum(s["answered"] for s in sums),
            "answered_before_a_kill": sum(len(run.latency_ms) for run in runs if run.killed),
            **{why: sum(s[why] for s in sums) for why in ("lost", "expired", "skipped", "duplicates")},
            **{f"p{p}_ms": round(float(np.percentile(latency, p)), 1) for p in (50, 99, 100) if latency},
        }
    told["answers_again_s"] = {
        name: {"median": round(float(np.median(times)), 3), "longest": round(max(times), 3)}
        for name, times in soak.recovery_s.items() if times
    }  # fmt: skip
    told["memory"] = [
        {"process": m.name, "lived_s": round(m.at_s[-1] - m.at_s[0]), "mb": round(m.mb[-1], 1),
         "mb_per_min": None if (grown := m.growth()) is None else round(grown[0], 3)}
        for m in soak.memory.values()
    ]  # fmt: skip
    return told


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="How long faults go on.")
@click.option("--faults", type=click.IntRange(min=1), help="End after so many instead, however long they take.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the faults: which, when, how long.")
@click.option("--fps", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Images per second, each.")
@click.option("--pause", type=click.FloatRange(min=0), default=1.5, show_default=True, help="Mean between faults (s).")
@click.option("--workers", type=click.IntRange(0, 64), default=0, show_default=True, help="Of the receiver.")
def command(seconds: float, faults: int | None, seed: int, fps: float, pause: float, workers: int) -> int:
    """Run the three commands under random faults, print what happened as JSON, exit 1 if the link broke a promise.

    Each transmitter has images for --seconds.
    """
    random, happened = np.random.default_rng(seed), Counter[str]()
    with ExitStack() as running:
        soak = Soak(running, seconds, fps, ("--workers", str(workers)))
        soak.wait_for_answers(START_S)
        begun, most, longest_s = time.monotonic(), faults or math.inf, math.inf if faults else seconds
        while happened.total() < most and (left := begun + longest_s - time.monotonic()) > 0:
            time.sleep(min(random.exponential(pause), left))
            listed = soak.faults()
            name, fault = listed[random.integers(len(listed))]
            click.echo(f"soak: {time.monotonic() - begun:6.1f} s  {name}", err=True)
            if fault(random):
                happened[name] += 1
        click.echo("soak: no more faults; waiting for what is still open", err=True)
        soak.finish(120.0)
        told = report(soak, happened)
        wrong = verdict(soak.runs, list(soak.memory.values()))
    click.echo(json.dumps({"seconds": seconds, "seed": seed, **told, "wrong": wrong}, indent=2))
    return 1 if wrong else 0


def main() -> None:
    """Entry point: one line and an exit code instead of a traceback."""
    from common.cli import invoke

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the processes are stopped then, too
    invoke(command, "SEMLINK_SOAK", sys.argv[1:], name="python -m training.soak")


if __name__ == "__main__":
    main()
