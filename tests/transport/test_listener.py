"""A port that is opened anew comes back, however long that takes, and nothing ends meanwhile."""

import errno
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import zmq

from common.transport import listener as module
from common.transport import memory
from common.transport.claimed import Claim
from common.transport.listener import Listener
from common.transport.memory import CUTS_IN_VAIN, MEMORY_STEP
from common.transport.sockets import bind, connect, make_socket

Context = zmq.Context[zmq.Socket[bytes]]


class Bench:
    """A listener in the clear under a clock and a memory of its own, each turn a second later."""

    def __init__(self, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.held = 0.0, 100 << 20
        monkeypatch.setattr(memory, "own_bytes", lambda: self.held)
        self.context, self.poller = context, zmq.Poller()
        self.listener = Listener(context, "rx", "tcp://127.0.0.1:0", clock=lambda: self.now_s)
        self.listener.watch(self.poller)

    def turn(self) -> None:
        self.now_s += 1.0
        self.listener.serve(dict(self.poller.poll(10)))

    def hears(self) -> bool:
        """Whether somebody who comes now gets through."""
        with make_socket(self.context, zmq.DEALER, "tx") as dealer:
            connect(dealer, self.listener.address)
            for _ in range(500):
                if dealer.poll(0, zmq.POLLOUT):
                    dealer.send(b"hello")
                    break
                self.turn()
            return bool(self.listener.socket.poll(5000)) and self.listener.socket.recv_multipart()[1:] == [b"hello"]


@pytest.fixture
def bench(context: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(context, monkeypatch)
    yield bench
    bench.listener.close()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_address_that_is_taken_for_long_is_waited_for_with_one_socket(
    bench: Bench, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with make_socket(context, zmq.ROUTER, "rx") as taker:
        bench.listener._claim = Claim(bind(taker, "tcp://127.0.0.1:0"))
        bench.listener.reopen()
        waiting = bench.listener.socket
        for _ in range(60):
            bench.turn()
    lines = len(told(caplog))
    assert set(told(caplog)) == {"cannot_listen"}
    assert lines < 25  # less and less often
    for _ in range(500):
        if "listening_again" in told(caplog):
            break
        bench.turn()
    assert bench.listener.socket is waiting
    assert bench.hears()


def test_where_no_socket_can_be_had_the_old_one_goes_on_and_is_cut_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old, make = bench.listener.socket, module.make_socket

    def none_left(*_: object) -> None:
        raise zmq.ZMQError(errno.EMFILE)

    monkeypatch.setattr(module, "make_socket", none_left)
    bench.listener.reopen()
    assert bench.listener.socket is old
    assert bench.hears()
    monkeypatch.setattr(module, "make_socket", make)
    for _ in range(10):
        bench.turn()
    assert old.closed
    assert bench.hears()
    assert told(caplog)[0] == "cannot_listen"


def test_growth_of_our_own_is_taken_for_ours_after_a_few_cuts_in_vain(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.held += MEMORY_STEP + 1
    for _ in range(3 * CUTS_IN_VAIN):
        bench.turn()
    assert told(caplog) == ["memory_grown"] * CUTS_IN_VAIN
    bench.held += MEMORY_STEP + 1
    bench.turn()
    assert len(told(caplog)) == CUTS_IN_VAIN + 1


def test_a_flood_whose_memory_is_freed_late_does_not_raise_its_limit(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    start = bench.held
    for flood in range(1, 10):
        bench.held = start + MEMORY_STEP + 1
        for _ in range(2):  # freed only after the second look
            bench.turn()
        bench.held = start + MEMORY_STEP // 2
        bench.turn()
        assert told(caplog) == ["memory_grown"] * (2 * flood)


def test_memory_that_cannot_be_seen_for_a_moment_is_no_growth(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    start = bench.held
    for held in (0, start + MEMORY_STEP - 1, 0, start):
        bench.held = held
        bench.turn()
    assert told(caplog) == []


LEAVER = """
import sys, time, zmq
from common.transport.listener import Listener
context = zmq.Context()
listener = Listener(context, "emu", "tcp://127.0.0.1:0")
with context.socket(zmq.DEALER) as dealer:
    dealer.linger = 0
    dealer.connect(listener.address)
    for _ in range(2000):
        dealer.send(bytes(1000))
    time.sleep(0.5)
time.sleep(1.5)  # longer than the heartbeat of libzmq would be
print("alive", bool(listener.socket.poll(0)))
listener.close()
context.destroy(linger=0)
"""


def test_a_peer_that_leaves_more_than_is_read_behind_does_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVER], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive True\n", "")


SILENT = """
import sys, time, zmq
from common.transport.sockets import connect, make_socket
socket = make_socket(zmq.Context(), zmq.DEALER, "tx")
connect(socket, sys.argv[1])
socket.send(b"hello")
time.sleep(60)
"""


def test_a_peer_that_falls_silent_is_dropped_though_the_bound_side_asks_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with subprocess.Popen([sys.executable, "-c", SILENT, bench.listener.address]) as peer:
        assert bench.listener.socket.poll(30_000)
        time.sleep(1.5)  # the first heartbeat of the peer says how long its silence is to be borne
        peer.send_signal(signal.SIGSTOP)
        until = time.monotonic() + 30
        while "disconnected" not in caplog.messages and time.monotonic() < until:
            bench.turn()
        peer.kill()
    assert "disconnected" in caplog.messages
