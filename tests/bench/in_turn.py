"""Prints how long a round trip takes in two states of this project: `python -m tests.bench.in_turn OLD NEW`.

Both links are there at a time, and each makes a few round trips when it is its turn, in a new order each time. So what
else the machine does meets both alike: the ratio of a set of processes is good to some hundredths where the times of
two runs after each other differ by a third. The interval is a bootstrap over sets. Needs git.
"""

import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import click
import numpy as np

from common.cli import invoke
from common.console import say
from common.errors import ConfigError, SemlinkError

ROOT = Path(__file__).parents[2]
HERE = "."
TRIPS, FIRST = 150, 10
"""Round trips of a turn, and how many of its first ones do not count: its processes slept until then."""
CHANNELS = {"awgn": ("--snr", "10"), "ideal": ("--snr", "inf", "--fading", "none")}
_HELP = """\b
OLD and NEW are commits; "." is what lies here. A set of processes takes about five seconds.
"""


@click.command(epilog=_HELP, context_settings={"max_content_width": 110})
@click.argument("old")
@click.argument("new")
@click.option("--sets", default=16, show_default=True, type=click.IntRange(2), help="Of processes.")
@click.option("--turns", default=8, show_default=True, type=click.IntRange(1), help="Of each link in a set.")
@click.option("--channel", default="awgn", show_default=True, type=click.Choice(list(CHANNELS)), help="awgn: of 10 dB.")
@click.option("--all-on", is_flag=True, help="With pages, control ports, heads and files of answers (tests/all_on.py).")
def command(old: str, new: str, sets: int, turns: int, channel: str, all_on: bool) -> None:
    """Compare a round trip of 8 KB in two states of the project, which take turns."""
    with ExitStack() as running:
        trees = {name: running.enter_context(tree(state)) for name, state in (("old", old), ("new", new))}
        found = [one_set(trees, turns, channel, all_on) for _ in range(sets)]
    for name, state in (("old", old), ("new", new)):
        us = [one[name] for one in found]
        say(f"{name} ({state}): {median(us):.0f} us, {min(us):.0f} .. {max(us):.0f} by set")
    say("new / old: {:.3f} ({:.3f} .. {:.3f})".format(*ratio([one["new"] / one["old"] for one in found])))


def ratio(by_set: Sequence[float]) -> tuple[float, float, float]:
    """Median over sets and its 95 % interval."""
    each = np.array(by_set)
    drawn = np.median(each[np.random.default_rng(0).integers(len(each), size=(2000, len(each)))], axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(np.median(each)), float(low), float(high)


@contextmanager
def tree(state: str) -> Iterator[Path]:
    """A folder with the files of a commit, or this one."""
    if state == HERE:
        yield ROOT
        return
    with TemporaryDirectory(prefix="in-turn-") as folder:
        place = Path(folder) / "tree"
        try:
            _git("worktree", "add", "--detach", str(place), state)
            yield place
        finally:
            _git("worktree", "remove", "--force", str(place), check=False)


def _git(*words: str, check: bool = True) -> None:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if check and done.returncode:
        raise ConfigError(f"git {' '.join(words)}: {done.stderr.strip().splitlines()[-1]}")


def one_set(trees: Mapping[str, Path], turns: int, channel: str, all_on: bool) -> dict[str, float]:
    """Median round trip of each tree's link, in microseconds, all of them new processes."""
    us: dict[str, list[float]] = {name: [] for name in trees}
    with ExitStack() as running:
        links = {name: running.enter_context(Turned(place, channel, all_on)) for name, place in trees.items()}
        for _ in range(turns):
            for name in random.sample(list(links), len(links)):
                us[name] += links[name].trips_us()[FIRST:]
    return {name: median(each) for name, each in us.items()}


class Turned:
    """A link of one tree, in a process of its own, which makes round trips when it is asked to."""

    def __init__(self, tree: Path, channel: str, all_on: bool) -> None:
        words = [sys.executable, "-P", str(Path(__file__).resolve()), channel, str(int(all_on))]
        given = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(words, cwd=tree, env=given, **pipes)
        self._heard()

    def trips_us(self) -> list[float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{TRIPS}\n")
        self.process.stdin.flush()
        return list(map(float, json.loads(self._heard())))

    def _heard(self) -> str:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise SemlinkError(f"the link of {self.process.args!r} ended with {self.process.wait()}")
        return line

    def __enter__(self) -> "Turned":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def serve(channel: str, all_on: bool) -> None:
    """In the process of a tree: its own link of `bench_link.py`."""
    from tests.bench.bench_link import Ours

    logging.disable()  # the receiver is the first to end
    with ExitStack() as running:
        if all_on:
            from tests import all_on as plug_in

            plug_in.pytest_configure(SimpleNamespace(add_cleanup=running.callback))  # all that it asks of pytest's
        link = Ours(running, *CHANNELS[channel])
        print(json.dumps([]), flush=True)
        for line in sys.stdin:
            print(json.dumps([link.round_trip_ns() / 1e3 for _ in range(int(line))]), flush=True)
        link.receiver.process.terminate()
        next(link.receiver.lines(), None)  # when each frame was where: more than a pipe takes that nobody reads


if __name__ == "__main__":
    if "-P" in sys.orig_argv:
        serve(sys.argv[1], sys.argv[2] == "1")
    else:
        invoke(command, "IN_TURN", name="python -m tests.bench.in_turn")
