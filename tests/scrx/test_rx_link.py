"""The receiver's thread tells what went wrong instead of looking alive, and no single message ends it."""

import queue
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import zmq

from common.errors import SemlinkError
from common.protocol.frames import decode, encode
from common.protocol.messages import Accept, Hello, Result, Status
from common.transport.sockets import connect, make_socket
from scrx import link as module
from scrx.batcher import Batcher
from scrx.link import BURST_NS, Link
from scrx.session import SessionTable, Terms

SESSION, MODEL = bytes(range(16)), bytes(32)
RESULT = Result(SESSION, 0, 0, Status.OK, 0.0, 0.0, 0.0, 0.0, None, 0, 1.0, 0, 0, 2, {})


def test_a_failure_of_the_thread_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SessionTable, now: int) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(SessionTable, "tick", fail)
    failures: queue.SimpleQueue[SemlinkError] = queue.SimpleQueue()
    table = SessionTable(Terms(MODEL, 128, {}, 128, ()))
    link = Link("tcp://127.0.0.1:0", table, Batcher(), failures.put)
    assert "out of order" in str(failures.get(timeout=30))
    link.post([RESULT])  # the decode thread goes on for a while
    link.close()


def test_a_result_that_cannot_be_said_does_not_end_the_session(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    failures: queue.SimpleQueue[SemlinkError] = queue.SimpleQueue()
    table = SessionTable(Terms(MODEL, 128, {}, 128, ()))
    link = Link("tcp://127.0.0.1:0", table, Batcher(), failures.put)
    with make_socket(context, zmq.DEALER, "tx") as transmitter:
        connect(transmitter, link.address)
        transmitter.send_multipart(encode(Hello(SESSION, 1, 1, "", MODEL, (0,), (), 0)))
        assert isinstance(decode(transmitter.recv_multipart()), Accept)
        link.post([replace(RESULT, snr_inst_db=float("inf")), RESULT])
        assert decode(transmitter.recv_multipart()) == RESULT
    link.close()
    assert (link.unsent, failures.empty()) == (1, True)


def test_messages_of_a_muted_route_are_read_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: queue.SimpleQueue[SemlinkError] = queue.SimpleQueue()
    link = Link("tcp://127.0.0.1:0", SessionTable(Terms(MODEL, 128, {}, 128, ())), Batcher(), failures.put)
    read = 0

    def large(socket: object, most: int, signed: bool) -> Iterator[list[bytes]]:
        nonlocal read
        for _ in range(most):
            read += 1
            time.sleep(BURST_NS / 2e9)
            yield [b"route", *encode(Hello(SESSION, 1, 1, "", MODEL, (0,), (), 0))]

    monkeypatch.setattr(module, "arrivals", large)
    monkeypatch.setattr(link, "_is_muted", lambda route, now: True)
    link._receive()
    link.close()
    assert read <= 4
