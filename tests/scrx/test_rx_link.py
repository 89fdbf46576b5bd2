"""The receiver's thread tells what went wrong instead of looking alive, and no single message ends it."""

import logging
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import zmq

from common.errors import SemlinkError
from common.protocol.frames import decode, encode
from common.protocol.messages import Accept, Hello, Ping, Result, Status
from common.transport.sockets import connect, make_socket
from scrx import link as module
from scrx.decoding.batcher import Batcher
from scrx.link import BURST_NS, MUTE_AFTER, Link
from scrx.sessions.table import SessionTable, Terms

PING = encode(Ping(bytes(16), 1, 0))
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


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Link]]:
    """A receiver's end that is given messages, and hears no others."""
    link = Link("tcp://127.0.0.1:0", SessionTable(Terms(MODEL, 128, {}, 128, ())), Batcher(), lambda error: None)

    def hear(*messages: list[bytes]) -> Link:
        with link._turns, monkeypatch.context() as patch:
            patch.setattr(link._listener.inbox, "take", lambda *_: iter(messages))
            link._receive()
        return link

    yield hear
    link.close()


LONG = bytes(256)


@pytest.mark.parametrize("envelope", [[LONG], [b"id", LONG], [b"id", b"", LONG], [LONG, b""], [b"id", *[LONG] * 3]])
@pytest.mark.parametrize("body", [[b"XX"] * 3, PING, [b""]], ids=["garbage", "ping", "too few"])
def test_nothing_long_is_kept_of_an_envelope(
    heard: Callable[..., Link], envelope: list[bytes], body: list[bytes]
) -> None:
    """Routes are kept by the thousand: with parts of a mebibyte a stranger took 2.5 GiB that nothing gave back."""
    link = heard([*envelope, *body])
    kept = [*link._errors, *link._muted, *link.table._asked, *(route for _, route in link.table._strangers)]
    assert len(kept) == 1
    assert all(len(part) <= 255 for route in kept for part in route)


def test_who_invents_a_route_for_each_message_does_not_write_the_log(
    heard: Callable[..., Link], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BURST_NS", 10**12)
    with caplog.at_level(logging.WARNING):
        for route in range(100):
            heard(*[[b"%d" % route, b"XX", b"", b""]] * MUTE_AFTER)
            heard(*[[b"same"]] * MUTE_AFTER)
        link = heard()
    assert link.protocol_errors == {"bad_prefix": 100 * MUTE_AFTER, "part_count": 100 * MUTE_AFTER}
    assert caplog.messages.count("route_muted") <= 3


def test_messages_of_a_muted_route_are_read_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: queue.SimpleQueue[SemlinkError] = queue.SimpleQueue()
    link = Link("tcp://127.0.0.1:0", SessionTable(Terms(MODEL, 128, {}, 128, ())), Batcher(), failures.put)
    read = 0

    def large(most: int, signed: bool) -> Iterator[list[bytes]]:
        nonlocal read
        for _ in range(most):
            read += 1
            time.sleep(BURST_NS / 2e9)
            yield [b"route", *encode(Hello(SESSION, 1, 1, "", MODEL, (0,), (), 0))]

    monkeypatch.setattr(link._listener.inbox, "take", large)
    monkeypatch.setattr(link, "_is_muted", lambda route, now: True)
    link._receive()
    link.close()
    assert read <= 4
