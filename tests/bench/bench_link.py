"""Round trips of 8 KB through three processes: ours beside bare pyzmq in one run, and where each microsecond goes.

The model computes nothing here: what is measured is the link with its receiver's estimator and equaliser. Absolute
figures depend on the machine and are printed; asserted are the ratio of the medians and counts.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zmq

from common.errors import SemlinkError
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode
from common.protocol.messages import Data, Message
from sctx.actions import Answered, Frame, Terms, Up
from sctx.link import Link
from tests.bench.link_parts import SYMBOLS, manifest_8kb
from tests.bench.results import Figure, Recorder, percentile_99, shown
from tests.integration.fleet import Fleet
from training.lab.processes import Command, start_emulator

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

PARTS = str(Path(__file__).with_name("link_parts.py"))
BARE = str(Path(__file__).parents[1] / "integration" / "bare_receiver.py")
SETS, ROUNDS, FRAMES, WARM = 25, 2, 150, 20
Tell = Callable[[str], None]
Times = dict[int, dict[str, int]]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def switches(pid: int | str) -> int:
    """How often a process's threads gave up the processor to wait for something."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found += int(line.split()[1])
    return found


def cpu_us(pid: int | str) -> float:
    """Time that a process's threads have had of the processors."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e3


def payload_8kb() -> bytes:
    symbols = np.exp(1j * np.arange(SYMBOLS - 8)).astype(np.complex64)
    return np.concatenate((pilot_sequence(8), symbols)).astype("<c8").tobytes()


class Floor:
    """DEALER - ROUTER|DEALER - ROUTER in bare pyzmq, with the parts and sizes of a frame."""

    parts = "echo", "hop"

    def __init__(self, running: ExitStack) -> None:
        echo, hop = self.parts
        answering = Command("python", PARTS, echo)
        running.callback(answering.kill)
        hopping = Command("python", PARTS, hop, str(answering.port()))
        running.callback(hopping.kill)
        self.processes = [answering.process.pid, hopping.process.pid]
        context = zmq.Context()
        running.callback(context.destroy, linger=0)
        self._socket = context.socket(zmq.DEALER)
        self._socket.rcvtimeo = 60_000
        self._socket.connect(f"tcp://127.0.0.1:{hopping.port()}")
        self._sent = 0
        self.round_trip_ns()

    def round_trip_ns(self) -> int:
        began = time.monotonic_ns()
        self._socket.send_multipart(self._message())
        self._read(self._socket.recv_multipart())
        return time.monotonic_ns() - began

    def _message(self) -> list[bytes]:
        return [bytes(4), bytes(56), bytes(8 * SYMBOLS)]

    def _read(self, parts: list[bytes]) -> None:
        pass


class Working(Floor):
    """The floor with the work that is left when sessions, deadlines, threads and every check of a peer are taken away:
    headers written and read at each end, the channel's arithmetic, the receiver's estimator and equaliser."""

    parts = "answer", "impair"
    payload = payload_8kb()

    def _message(self) -> list[bytes]:
        self._sent += 1
        return encode(
            Data(bytes(16), self._sent, 0, SYMBOLS * self._sent, 0, 0, 0, 4, SYMBOLS, 0, 10_000, 0, self.payload)
        )

    def _read(self, parts: list[bytes]) -> None:
        decode(parts)


class Ours(Link):
    """The transmitter's link to a whole receiver through the emulator, with a note of the time at each hand-over."""

    def __init__(self, running: ExitStack, *channel: str) -> None:
        self.receiver = Command("python", PARTS, "receive", "0")
        running.callback(self.receiver.stop)
        self.emulator, port = start_emulator(self.receiver.port(), *channel)
        running.callback(self.emulator.stop)
        self.processes = [self.receiver.process.pid, self.emulator.process.pid]
        self.times: Times = {}
        self._payload = payload_8kb()
        terms = Terms(bytes(16), bytes.fromhex(manifest_8kb().id), "bench", SYMBOLS, False, 10_000, 60.0)
        super().__init__(f"tcp://127.0.0.1:{port}", terms)
        running.callback(self.close)
        while not isinstance(self.wait_event(1.0), Up):
            pass

    def round_trip_ns(self) -> int:
        seq = len(self.times)
        times = self.times[seq] = {"submitted": time.monotonic_ns()}
        self.submit(Frame(seq, 0, 0, SYMBOLS * seq, 0, 4, times["submitted"], self._payload))
        while not isinstance(answered := self.wait_event(10.0), Answered):
            if time.monotonic_ns() - times["submitted"] > 60_000_000_000:
                raise SemlinkError(f"no answer within a minute; the receiver said: {self.receiver.said}")
        times["seen"] = time.monotonic_ns()
        times["read"] = times["submitted"] + answered.latency_ns
        return times["seen"] - times["submitted"]

    def _send(self, message: Message) -> None:
        super()._send(message)
        if isinstance(message, Data):
            self.times[message.seq]["sent"] = time.monotonic_ns()


STAGES = (
    ("transmitter: onto the socket", "submitted", "sent"),
    ("two hops and the emulator, forward", "sent", "arrived"),
    ("receiver: from its socket to its decoder", "arrived", "taken"),
    ("receiver: estimate, equalise, (no) decoding", "taken", "decoded"),
    ("receiver: onto the socket", "decoded", "answered"),
    ("two hops and the emulator, back", "answered", "read"),
    ("transmitter: to its owner", "read", "seen"),
)


@dataclass
class Found:
    """What one set of processes took: round trips in us, thread switches and us of CPU per round trip, stages in us."""

    us: dict[str, list[float]]
    switches: dict[str, float]
    cpu_us: dict[str, float]
    stages: dict[str, list[float]]


def measure(channel: Sequence[str], turn: int) -> Found:
    """All three links in turn, so that a busy moment of the machine meets all, with processes of their own.

    turn: which of them is first.
    """
    with ExitStack() as running:
        ours = Ours(running, *channel)
        links = {"floor": Floor(running), "working": Working(running), "ours": ours}
        for link in links.values():
            for _ in range(WARM):
                link.round_trip_ns()
        order = (list(links) * 2)[turn % len(links) :][: len(links)]
        us: dict[str, list[float]] = {name: [] for name in links}
        counted, spent_us = dict.fromkeys(links, 0), dict.fromkeys(links, 0.0)
        for _ in range(ROUNDS):
            for name in order:
                link, all_of_them = links[name], [*links[name].processes, "self"]
                before, before_us = sum(map(switches, all_of_them)), sum(map(cpu_us, all_of_them))
                us[name] += [link.round_trip_ns() / 1e3 for _ in range(FRAMES)]
                counted[name] += sum(map(switches, all_of_them)) - before
                spent_us[name] += sum(map(cpu_us, all_of_them)) - before_us
        ours.receiver.process.terminate()
        told = json.loads(next(ours.receiver.lines()))
    times = [{**at, **told[str(seq)]} for seq, at in ours.times.items()][WARM:]
    stages = {what: [(at[end] - at[begin]) / 1e3 for at in times] for what, begin, end in STAGES}
    each, per_us = ({name: total / ROUNDS / FRAMES for name, total in all_.items()} for all_ in (counted, spent_us))
    return Found(us, each, per_us, stages)


def over_sets(one: Figure, another: Figure) -> tuple[float, float, float]:
    """Ratio of the medians, and its 95 % interval by bootstrap over sets, each side for itself: they land apart."""
    ours, other = np.array(one.samples), np.array(another.samples)
    draw = np.random.default_rng(0).integers(len(ours), size=(2, 2000, len(ours)))
    drawn = np.median(ours[draw[0]], axis=1) / np.median(other[draw[1]], axis=1)
    return float(np.median(ours) / np.median(other)), *map(float, np.percentile(drawn, (2.5, 97.5)))


@pytest.mark.parametrize("channel", ["awgn", "ideal"])
def test_round_trip_of_8_kb_beside_bare_pyzmq(tell: Tell, figures: Recorder, channel: str) -> None:
    flags = ("--snr", "10") if channel == "awgn" else ("--snr", "inf", "--fading", "none")
    sets = [measure(flags, turn) for turn in range(SETS)]  # where processes land decides much, and new ones land anew
    tell(f"\n8 KB, {channel}, {SETS} sets of processes, {ROUNDS} x {FRAMES} round trips each, medians, microseconds")
    p50 = {}
    for name in sets[0].us:
        p50[name] = figures.add(f"L1 {channel} {name} p50", "us", [np.median(found.us[name]) for found in sets])
        p99 = figures.add(f"L1 {channel} {name} p99", "us", [found.us[name] for found in sets], percentile_99)
        per_frame = figures.add(f"L1 {channel} {name} switches", "threads", [found.switches[name] for found in sets])
        cpu = figures.add(f"L1 {channel} {name} CPU", "us", [found.cpu_us[name] for found in sets])
        each = p50[name].samples
        tell(f"  {name:7s} p50 {p50[name].value:7.1f} ({min(each):.0f} .. {max(each):.0f} by set)  p99 {p99.value:7.1f}"
             f"  per round trip {per_frame.value:5.1f} thread switches, {cpu.value:6.0f} us of CPU")  # fmt: skip
    for what, *_ in STAGES:
        spent = [found.stages[what] for found in sets]
        middle = figures.add(f"L1 {channel} {what} p50", "us", spent)
        p99 = figures.add(f"L1 {channel} {what} p99", "us", spent, percentile_99)
        tell(f"    {what:52s} p50 {middle.value:8.1f}  p99 {p99.value:8.1f}")
    ratio, to_working = (
        figures.note(Figure(f"L1 {channel} ours / {name}", "", "less", *over_sets(p50["ours"], p50[name])))
        for name in ("floor", "working")
    )
    tell(f"  ratio of the medians over sets {shown(ratio)}; target L1: at most 1.5")
    tell(f"  to the working floor {shown(to_working)}")
    assert ratio.value <= 1.5


def test_sixty_four_transmitters_at_thirty_frames_per_second(tell: Tell, figures: Recorder, running: ExitStack) -> None:
    receiver = Command("python", BARE, "0", "0")
    running.callback(receiver.stop)
    with Fleet(f"127.0.0.1:{receiver.port()}", 64) as fleet:
        assert fleet.connect() == 64
        fleet.run(30, fps=30)
        for member in fleet.members:
            member.latency_ns.clear()
        fleet.run(300, fps=30)
        found = fleet.summary()
    tell(f"\n64 transmitters x 30 fps, 10 s, no model: {json.dumps(found)} (target L4: p99 at most 5 ms, 0 lost)")
    for name in ("p50_ms", "p99_ms"):
        figures.add(f"L4 64 x 30 fps {name[:3]}", "ms", [found[name]])
    assert found["counts"]["answered"] == 64 * 330
