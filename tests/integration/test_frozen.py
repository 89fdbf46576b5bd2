"""Health that is true in both directions, measured: each thread and process frozen in turn, and what must be no alarm.

Prints one row each: how soon it was told, over RUNS runs, and the false alarms. How soon counts turns of TURN_S that
this process made meanwhile, not seconds of the wall: what tells is as short of the processor as who waits for it, so
on a busy machine both take longer and the limits hold.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.live.board import LOOK_S, LOOKS, Board
from common.live.pace import KEPT, LEAST_S
from scrx.receiver import Receiver
from scrx.settings import Settings
from scrx.vitals import Vitals
from sctx.capture.source import Capture
from sctx.outcomes import Answer, Summary
from sctx.transmitter import Transmitter
from sctx.vitals import Vitals as Sent
from tests.integration.conftest import Start
from tests.integration.test_seen import Stuck, all_three, ask, http_port
from training.lab.processes import Command

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]
RUNS, PAUSE_S = 10, 0.05
TURN_S, SOON_S = 0.05, 2.0
"""What is frozen, stopped or killed is told after SOON_S at most, where no decoder has to be waited for."""
IMAGE = np.zeros((8, 8), np.uint8)


def say(what: str, took_s: list[float], alarms: int = 0) -> None:
    told = f"{np.median(took_s):5.1f} s (longest {max(took_s):.1f})" if took_s else "-"
    print(f"| {what} | {len(took_s)} | {told} | {alarms} |")


class Turns:
    """A clock that counts how often somebody who sleeps for TURN_S wakes up: its seconds are those to be had."""

    def __init__(self) -> None:
        self.count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Turns":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        return self.count * TURN_S

    def _run(self) -> None:
        while not self._over.is_set():
            time.sleep(TURN_S)
            self.count += 1


class Link:
    """A receiver and a transmitter in this process, their boards, and a thread that keeps sending."""

    def __init__(self, pair: Path, settings: Settings, decoder: Any = None) -> None:
        self.rx = Receiver("0", pair, settings, decoder=decoder)
        self.tx = Transmitter(self.rx.address.removeprefix("tcp://"), pair)
        self.received, self.sent = Vitals(self.rx), Sent(self.tx, Summary(0))
        self.rx.witness, self.rx.link.board = self.received, self.received.board
        self.tx.link.board = self.sent.board
        self._over = threading.Event()
        self.answered = 0
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        for outcome in self.tx.run(self._captures()):
            self.sent.add(outcome)
            self.answered += isinstance(outcome, Answer)

    def _captures(self) -> Iterator[Capture]:
        index = 0
        while not self._over.is_set():
            yield Capture(index, IMAGE, None, time.monotonic_ns())
            index += 1
            time.sleep(PAUSE_S)

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)
        self.tx.close()
        self.rx.close()


class Frozen:
    """Wraps a function, which then waits wherever it is called while `held` is set."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self.free = function, threading.Event()
        self.free.set()

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.free.wait()
        return self._function(*given, **named)


def detect(
    link: Link, board: Board, of: Callable[[Board], str], gate: Frozen, ready: Callable[[], bool]
) -> list[float]:
    """Freeze RUNS times; how soon it was told each time. In between it answers for long enough to forget the last."""
    took_s = []
    for _ in range(RUNS):
        enough = link.answered + 2 * KEPT
        while link.answered < enough:
            time.sleep(0.05)
        until = time.monotonic() + 60
        while not ready() and time.monotonic() < until:
            time.sleep(0.05)
        assert ready(), board.unready()
        with Turns() as turns:
            gate.free.clear()
            while not of(board):
                assert turns.seconds < 60
                time.sleep(TURN_S)
            took_s.append(turns.seconds)
        gate.free.set()
    return took_s


THREADS = {
    "scrx: its decoder does not come back": ("decode", 0, LEAST_S + 3),
    "scrx: the thread of its link": ("rx link", 0, SOON_S),
    "scrx: the thread of its workers": ("pool", 1, LEAST_S + 3),
    "sctx: its encoder does not come back": ("encode", 0, LEAST_S + 3),
    "sctx: the thread of its link": ("tx link", 0, SOON_S),
}


@pytest.mark.parametrize("what", THREADS)
def test_each_thread_that_hangs_is_told(what: str, tiny_pair: Path) -> None:
    place, workers, limit_s = THREADS[what]
    decoder = None if workers else Stuck()
    link = Link(tiny_pair, Settings(workers=workers, worker_timeout_s=60.0), decoder)
    try:
        board, other = link.received.board, link.sent.board
        of: Callable[[Board], str] = Board.unready
        holders: dict[str, tuple[Any, str]] = {
            "decode": (link.rx, "_decode"),
            "rx link": (link.rx.table, "tick"),
            "pool": (link.rx.pool, "_hand_out"),
            "encode": (link.tx.chain, "encode"),
            "tx link": (link.tx.link.session, "tick"),
        }
        holder, name = holders[place]
        gate = Frozen(getattr(holder, name))
        while not link.answered:
            time.sleep(0.01)
        setattr(holder, name, gate) if hasattr(holder, "__dict__") else None
        if place in ("encode", "tx link"):
            board, other = other, board
        if place.endswith("link"):
            of = Board.hung
        took_s = detect(link, board, of, gate, lambda: not board.unready() and not other.unready())
        say(what, took_s)
        assert max(took_s) < limit_s
    finally:
        gate.free.set()
        if decoder is not None:
            decoder.end()
        link.close()


def test_a_slow_model_at_full_load_is_no_alarm(tiny_pair: Path) -> None:
    decoder = Stuck()
    decoder.takes_s = 1.5
    with ExitStack() as stack:
        link = Link(tiny_pair, Settings(max_batch=4, window=4), decoder)
        stack.callback(link.close)
        stack.callback(decoder.end)
        alarms, until = 0, time.monotonic() + 60
        while time.monotonic() < until:
            alarms += bool(link.received.board.unready()) + bool(link.received.board.hung())
            alarms += bool(link.sent.board.unready()) and link.answered > 0
            time.sleep(0.1)
        say(f"a model of 1.5 s an image at full load, 60 s, {link.answered} answered", [], alarms)
        assert link.answered > 10
        assert alarms == 0


def alarms_while(ports: dict[str, int], for_s: float, during: Callable[[], None]) -> int:
    found, until = 0, time.monotonic() + for_s
    while time.monotonic() < until:
        during()
        found += sum(ask(port, path)[0] != 200 for port in ports.values() for path in ("/healthz", "/readyz"))
        time.sleep(0.1)
    return found


def test_garbage_and_processes_that_are_stopped_and_continued_are_no_alarm(start: Start, tiny_pair: Path) -> None:
    found = all_three(start, tiny_pair, "--count", "1000000", "--fps", "30")
    ports = {name: http_port(command) for name, command in found.items()}
    ready(ports)
    over = threading.Event()
    floods = [threading.Thread(target=flood, args=(found[name].port(), over)) for name in ("scrx", "channel-emu")]
    for one in floods:
        one.start()
    alarms = alarms_while(ports, 20.0, lambda: None)
    over.set()
    for one in floods:
        one.join()
    say("garbage at both ports, 20 s", [], alarms)
    assert alarms == 0
    ready(ports)
    for name in found:
        alarms = 0
        for _ in range(RUNS):
            os.kill(found[name].process.pid, signal.SIGSTOP)
            time.sleep(0.6)  # within the three heartbeats, after which the link is truly down
            os.kill(found[name].process.pid, signal.SIGCONT)
            alarms += alarms_while({name: ports[name]}, 0.5, lambda: None)
        say(f"{name}: stopped for 0.6 s and continued, ten times", [], alarms)
        assert alarms == 0


def flood(port: int, over: threading.Event) -> None:
    """Bytes that are no message, and messages that are none of ours."""
    import socket

    import zmq

    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(f"tcp://127.0.0.1:{port}")
    dealer.setsockopt(zmq.LINGER, 0)
    while not over.is_set():
        for _ in range(200):
            if dealer.poll(0, zmq.POLLOUT):
                dealer.send_multipart([b"garbage", b"x" * 100, b"y"])
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(os.urandom(1000))
        time.sleep(0.01)
    dealer.close(0)
    context.term()


def ready(ports: dict[str, int]) -> None:
    until = time.monotonic() + 60
    while not all(is_ready(port) for port in ports.values()):
        assert time.monotonic() < until
        time.sleep(0.1)


def is_ready(port: int) -> bool:
    try:
        return ask(port, "/readyz")[0] == 200
    except ConnectionRefusedError:  # it is being started again
        return False


def test_a_worker_that_is_frozen_is_told_and_so_is_whoever_is_killed(start: Start, tiny_pair: Path) -> None:
    flags = ["--model", str(tiny_pair), "--http", "0", "--workers", "1", "--worker-timeout", "2"]
    rx = start("scrx", "--listen", "0", *flags)
    port = rx.port()
    emu = start("channel-emu", "--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{port}", "--http", "0")
    peer = f"127.0.0.1:{emu.port()}"
    tx = start("sctx", "--peer", peer, "--model", str(tiny_pair), "--http", "0", "--count", "10000000", "--fps", "30")
    found = {"scrx": rx, "channel-emu": emu, "sctx": tx}
    ports = {name: http_port(command) for name, command in found.items()}
    took_s = []
    for _ in range(RUNS):
        ready(ports)
        took_s.append(counted(ports["scrx"], rx.process.pid))
    say("scrx --worker-timeout 2: its worker stopped, counted", took_s)
    assert max(took_s) < 2.0 + SOON_S
    took_s = []
    for _ in range(RUNS):
        ready(ports)
        took_s.append(told_of_all(ports["scrx"], rx.process.pid))
    say("scrx --worker-timeout 2: its worker stopped, and whichever takes its place", took_s)
    assert max(took_s) < 2.0 + LOOKS * LOOK_S + SOON_S
    for name in ("scrx", "channel-emu"):
        took_s = []
        for _ in range(RUNS):
            ready(ports)
            took_s.append(told(ports["sctx"], found[name].process.pid, signal.SIGKILL))
            found[name].process.wait()
            found[name] = again(start, found[name], ports[name])
        say(f"sctx: {name} killed", took_s)
        assert max(took_s) < SOON_S


def again(start: Start, command: Command, http: int) -> Command:
    words = list(command.arguments)
    words[words.index("--listen") + 1] = str(command.port())
    words[words.index("--http") + 1] = str(http)
    return start(command.name, *words)


def told(port: int, pid: int, number: signal.Signals) -> float:
    with Turns() as turns:
        os.kill(pid, number)
        while ask(port, "/readyz")[0] == 200:
            assert turns.seconds < 30
            time.sleep(TURN_S)
        return turns.seconds


def counted(port: int, pid: int) -> float:
    """Stop the only worker. Another takes its place sooner than is told; what is counted says so, and answers go on."""
    answered_more(port)  # one that has nothing to do is missed by nobody
    restarts = metric(port, "worker_restarts_total")
    with Turns() as turns:
        for worker in children(pid):
            os.kill(worker, signal.SIGSTOP)
        while metric(port, "worker_restarts_total") == restarts:
            assert turns.seconds < 30
            time.sleep(TURN_S)
        took_s = turns.seconds
    answered_more(port)
    assert metric(port, "worker_restarts_total") == restarts + 1
    return took_s


def answered_more(port: int) -> None:
    """Return once frames have been answered since."""
    with Turns() as turns:
        before = answered(port)
        while answered(port) == before:
            assert turns.seconds < 60
            time.sleep(TURN_S)


def answered(port: int) -> float:
    """How many frames; none before the first."""
    found = re.search(r'^semlink_frames_total\{outcome="answered"\} (\S+)$', ask(port, "/metrics")[1], re.M)
    return float(found.group(1)) if found else 0.0


def told_of_all(port: int, pid: int) -> float:
    """Stop the only worker and each that is started for it, until it is told; then let them go on."""
    over = threading.Event()
    stopped = set[int]()

    def stop() -> None:
        while not over.is_set():
            for worker in set(children(pid)) - stopped:
                stopped.add(worker)
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGSTOP)
            time.sleep(TURN_S / 5)

    stopping = threading.Thread(target=stop)
    with Turns() as turns:
        stopping.start()
        try:
            while ask(port, "/readyz")[0] == 200:
                assert turns.seconds < 30
                time.sleep(TURN_S)
            took_s = turns.seconds
        finally:
            over.set()
            stopping.join()
            for worker in stopped & set(children(pid)):
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGCONT)
    return took_s


def metric(port: int, name: str) -> float:
    found = re.search(rf"^semlink_{re.escape(name)} (\S+)$", ask(port, "/metrics")[1], re.M)
    assert found is not None, name
    return float(found.group(1))


def children(pid: int) -> list[int]:
    found = list[int]()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            found += [int(word) for word in path.read_text().split()]
    return found
