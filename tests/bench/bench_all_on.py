"""What a link promises with everything on, beside the same link with nothing on, in one run: ratios.

On: every process shows itself and is looked at five times a second as a page is, and once as by a Prometheus; the
emulator's page watches the receiver, and its channel has been changed as often as is remembered; control ports, a
folder of heads, and a file that every answer is written to. Absolute times depend on the machine and are printed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from common.channel.streams.stream import KEPT
from common.channel.wire.control import ControlClient
from tests.all_on import TAKEN, Looker, environment
from tests.bench.bench_link import BARE, FRAMES, WARM, Ours, over_sets
from tests.bench.bench_seen import processor_s
from tests.bench.conftest import Tell
from tests.bench.results import Figure, Recorder, shown
from tests.integration.fleet import Fleet
from training.lab.processes import Command

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
SETS, WINDOWS, WINDOW_FRAMES = 15, 10, 60
TRANSMITTERS, FPS = 64, 30.0
PAGE = r"live page at http://127\.0\.0\.1:(\d+)/"


@pytest.fixture
def looker() -> Iterator[Looker]:
    made = Looker()
    yield made
    assert made.close() > 0  # it was looked at


@contextmanager
def everything(on: bool, folder: Path) -> Iterator[None]:
    """Commands that are started in here have everything on, or nothing."""
    with patch.dict(os.environ, environment(folder) if on else TAKEN):
        yield


def compared(tell: Tell, figures: Recorder, what: str, unit: str, found: dict[str, list[float]]) -> Figure:
    """Samples with nothing on and with everything: their ratio, told and noted."""
    off, on = (figures.add(f"all on: {what}, {name}", unit, found[name]) for name in ("nothing on", "everything on"))
    ratio = figures.note(Figure(f"all on: {what}, on / off", "", "less", *over_sets(on, off)))
    tell(f"  {what}: {off.value:.1f} {unit} with nothing on, {on.value:.1f} with everything; ratio {shown(ratio)}")
    return ratio


def page(command: Command) -> int:
    return int(command.wait_for(PAGE).group(1))


class Shown(Ours):
    """The link of bench_link with everything on."""

    def __init__(self, running: ExitStack, looker: Looker, *channel: str) -> None:
        super().__init__(running, *channel)
        for command in (self.receiver, self.emulator):
            looker.at(page(command))
        control = ControlClient(self.emulator.wait_for(r"control on (\S+)").group(1))
        for number in range(KEPT + 11):
            control.ask({"op": "set", "parameters": {"snr_db": 10.0 + number % 2}})
        control.close()


def test_a_round_trip_with_everything_on_beside_one_with_nothing(
    tell: Tell, figures: Recorder, looker: Looker, tmp_path: Path
) -> None:
    us: dict[str, list[float]] = {"nothing on": [], "everything on": []}
    for turn in range(SETS):
        with ExitStack() as running:
            with everything(False, tmp_path):
                plain = Ours(running, "--snr", "10")
            with everything(True, tmp_path):
                shown_ = Shown(running, looker, "--snr", "10")
            links = {"nothing on": plain, "everything on": shown_}
            found: dict[str, list[float]] = {name: [] for name in links}
            for link in links.values():
                for _ in range(WARM):
                    link.round_trip_ns()
            for name in (list(links) * 4)[turn % 2 :][:6]:
                found[name] += [links[name].round_trip_ns() / 1e3 for _ in range(FRAMES)]
            for name in links:
                us[name].append(float(np.median(found[name])))
    tell(f"\n8 KB round trips, {SETS} sets of processes")
    ratio = compared(tell, figures, "L1 p50", "us", us)
    assert ratio.low is not None
    assert ratio.low <= 1.05  # it is not certain to be more than that


def kept(fleet: Fleet) -> Callable[[], None]:
    """Called at each step of another fleet: this one's heartbeats go on."""
    turns = count()

    def step() -> None:
        if next(turns) % 50 == 0:
            fleet.step()

    return step


def test_sixty_four_transmitters_with_everything_on_beside_as_many_with_nothing(
    tell: Tell, figures: Recorder, looker: Looker, tmp_path: Path
) -> None:
    with ExitStack() as running:
        fleets: dict[str, Fleet] = {}
        pids: dict[str, int] = {}
        for name in ("nothing on", "everything on"):
            with everything(name == "everything on", tmp_path):
                receiver = running.enter_context(Command("python", BARE, "0", "0"))
            if name == "everything on":
                looker.at(page(receiver))
            fleets[name] = running.enter_context(Fleet(f"127.0.0.1:{receiver.port()}", TRANSMITTERS))
            assert fleets[name].connect() == TRANSMITTERS
            fleets[name].run(10, FPS)
            pids[name] = receiver.process.pid
        ms: dict[str, list[float]] = {name: [] for name in fleets}
        us: dict[str, list[float]] = {name: [] for name in fleets}
        for turn in range(WINDOWS):
            for name in list(fleets)[:: 1 if turn % 2 else -1]:
                fleet, other = fleets[name], next(fleets[one] for one in fleets if one != name)
                for member in fleet.members:
                    member.latency_ns.clear()
                spent_s = processor_s(pids[name])
                fleet.run(WINDOW_FRAMES, FPS, kept(other))
                us[name].append(1e6 * (processor_s(pids[name]) - spent_s) / TRANSMITTERS / WINDOW_FRAMES)
                ms[name].append(np.percentile([ns / 1e6 for one in fleet.members for ns in one.latency_ns], 99))
        sent = TRANSMITTERS * (10 + WINDOWS * WINDOW_FRAMES)
        lost = {name: sent - fleets[name].summary()["counts"]["answered"] for name in fleets}
    tell(f"\n{TRANSMITTERS} x {FPS:g} fps, {WINDOWS} windows each; lost {lost}")
    compared(tell, figures, "L4 p99", "ms", ms)
    compared(tell, figures, "receiver's processor time per frame", "us", us)  # with a line of JSON for each
    assert lost == dict.fromkeys(lost, 0)
