"""The lives of processes under faults: what each was given, printed and held in memory, and what went wrong.

Knows nothing about which faults there were.
"""

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import SemlinkError
from training.lab.processes import Command

DEADLINE_MS = 500
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


def resident() -> dict[int, tuple[int, float]]:
    """Process id -> parent and resident memory in MB, of every process of this host that has any."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has just ended
            match = re.search(r"^PPid:\s+(\d+)$.*^VmRSS:\s+(\d+)", path.read_text(), re.DOTALL | re.MULTILINE)
            if match is not None:
                found[int(path.parent.name)] = int(match[1]), int(match[2]) / 1024
    return found


def verdict(runs: Sequence[Run], memory: Sequence[Memory]) -> list[str]:
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
