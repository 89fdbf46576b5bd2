"""The three commands under random faults for a set time, and what it cost: `python -m training.soak --seconds 60`.

Knows nothing about how any of the three works. Two transmitters send real images through one emulator to one receiver:
one from a finite source, which must lose nothing and count nothing twice, and one live, which must show nothing late.
Meanwhile processes are killed (kill -9) and started again, stopped (SIGSTOP) and continued, the network goes dark, and
the channel changes. Exit code 1 when something was lost, counted twice or shown late, or when memory grows.
"""

import math
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import click
import numpy as np

from common.console import say_json, tell
from common.flags import Real
from training.lab.faults import Soak
from training.lab.lives import verdict
from training.lab.processes import START_S


@click.command()
@click.option("--seconds", type=Real(min=1), default=60.0, show_default=True, help="How long faults go on.")
@click.option("--faults", type=click.IntRange(min=1), help="End after so many instead, however long they take.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the faults: which, when, how long.")
@click.option("--fps", type=Real(min=1), default=30.0, show_default=True, help="Images per second, each.")
@click.option("--pause", type=Real(min=0), default=1.5, show_default=True, help="Mean between faults (s).")
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
            tell(f"soak: {time.monotonic() - begun:6.1f} s  {name}")
            if fault(random):
                happened[name] += 1
        tell("soak: no more faults; waiting for what is still open")
        soak.finish(120.0)
        told = report(soak, happened)
        wrong = verdict(soak.runs, list(soak.memory.values()))
    say_json({"seconds": seconds, "seed": seed, **told, "wrong": wrong}, indent=2)
    return 1 if wrong else 0


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


def main() -> None:
    """Entry point: one line and an exit code instead of a traceback."""
    from common.cli import invoke

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the processes are stopped then, too
    invoke(command, "SEMLINK_SOAK", sys.argv[1:], name="python -m training.soak")


if __name__ == "__main__":
    main()
