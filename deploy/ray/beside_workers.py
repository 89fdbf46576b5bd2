"""Decoding behind Ray beside `scrx --workers N` and `scrx` itself: frames per second, in turn. Judges none of them.

    python deploy/ray/beside_workers.py --count 2 --rounds 15 [--json-file FILE]

Three receivers are up all the time: `scrx`, `scrx --workers N`, and `serve_decoder.py --replicas N` on a Ray of this
host. A round sends the same frames to each, one after the other, and another begins each time; while one is asked the
others wait. What is printed are medians over rounds, and of ratios to the workers their geometric mean over rounds with
its 95 % interval: other work on the machine meets all three, and a frame per second alone says little beside it.
Needs Ray, and the folder of the source.
"""

import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

from common.cli import invoke
from common.console import JsonFile, say, tell
from common.errors import SemlinkError
from common.files import UserPath
from training.lab.processes import Command
from training.report.stats import bootstrap

HERE = Path(__file__).parent
FLEET = HERE.parents[1] / "tests" / "integration" / "fleet.py"
RAY_UP_S = 360.0
"""How long the receiver behind Ray may take to come up: a little longer than it waits itself."""


def rate(port: int, transmitters: int, frames: int) -> float:
    """Frames per second that are answered, all by one receiver. Raises SemlinkError where one is not."""
    words = [str(FLEET), f"127.0.0.1:{port}", "--transmitters", str(transmitters), "--frames", str(frames)]
    ran = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SemlinkError(f"the fleet ended by {ran.returncode}: {ran.stderr.strip()[-200:]}")
    told: dict[str, Any] = json.loads(ran.stdout)
    if told["counts"].get("answered") != transmitters * frames:  # each has one outcome
        raise SemlinkError(f"not all of {transmitters * frames} frames were answered: {told['counts']}")
    return float(told["frames_per_s"])


def ratio(of: list[float], to: list[float]) -> list[float]:
    """Geometric mean over rounds, and the ends of its interval."""
    return [float(np.exp(value)) for value in bootstrap(np.log(np.array(of) / np.array(to)))]


def table(rates: dict[str, list[float]], base: str) -> list[str]:
    """Its lines, as `deploy/LINK.md` has it."""
    lines = ["| decoding | frames per second, median (least .. most) | beside the workers |", "| --- | --- | --- |"]
    for name, found in rates.items():
        mean, low, high = ratio(found, rates[base])
        beside = "1" if name == base else f"{mean:.2f} ({low:.2f} .. {high:.2f})"
        spread = f"{statistics.median(found):,.0f} ({min(found):,.0f} .. {max(found):,.0f})"
        lines.append(f"| {name} | {spread} | {beside} |")
    return lines


@click.command(help=__doc__.splitlines()[0])
@click.option("--count", type=click.IntRange(1), default=2, show_default=True, help="Workers, and replicas.")
@click.option("--rounds", type=click.IntRange(3), default=15, show_default=True, help="How often each is asked.")
@click.option("--transmitters", type=click.IntRange(1), default=64, show_default=True, help="That send at a time.")
@click.option("--frames", type=click.IntRange(1), default=40, show_default=True, help="Of each transmitter.")
@click.option("--json-file", type=UserPath(), metavar="FILE", help="All rates, at the end of a file.")
def main(count: int, rounds: int, transmitters: int, frames: int, json_file: Path | None) -> None:
    """Measure, and print the table."""
    base = f"scrx --workers {count}"
    how = {
        "scrx": ("scrx", "--listen", "0"),
        base: ("scrx", "--listen", "0", "--workers", str(count)),
        f"Ray, {count} replicas": ("python", str(HERE / "serve_decoder.py"), "0", "--replicas", str(count)),
    }
    rates: dict[str, list[float]] = {name: [] for name in how}
    with ExitStack() as stack:
        commands = [stack.enter_context(Command(*words)) for words in how.values()]
        ports = [int(one.wait_for(r"listening on \S+:(\d+)", RAY_UP_S).group(1)) for one in commands]
        tell("all three receivers are up")
        for turn in range(-1, rounds):  # the first is thrown away: what is loaded when first asked
            order = [(turn + k) % len(ports) for k in range(len(ports))]
            found = {k: rate(ports[k], transmitters, frames) for k in order}
            if turn >= 0:
                for k, name in enumerate(how):
                    rates[name].append(found[k])
                tell(f"round {turn + 1} of {rounds}: {', '.join(f'{found[k]:.0f}' for k in range(len(ports)))}")
    for line in table(rates, base):
        say(line)
    load = os.getloadavg()[0]
    say(f"{os.cpu_count()} processors, load {load:.1f}, {rounds} rounds of {transmitters} x {frames} frames")
    if json_file is not None:
        out = JsonFile(json_file)
        out.say({"rates": rates, "load": load})
        out.close()


if __name__ == "__main__":
    invoke(main, "BESIDE_WORKERS", name="python deploy/ray/beside_workers.py")
