"""The transmitter's thread tells what went wrong instead of leaving its owner to wait."""

import socket
import threading
import time
from dataclasses import replace

import pytest
import zmq

from common.errors import ConfigError, LinkDown
from common.protocol.frames import decode, encode
from common.protocol.messages import Result, Status
from scrx.sessions.table import Reply, SessionTable, Work
from scrx.sessions.table import Terms as RxTerms
from sctx.actions import Answered, Failed, Frame, Terms, Up
from sctx.link import Link

TERMS = Terms(bytes(16), bytes(32), "test", slot=128, live=False, deadline_ms=1000, give_up_s=60.0)
RX_TERMS = RxTerms(bytes(32), 128, {(0, 0): 8}, 128, ())


def test_an_address_that_nobody_can_have_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="cannot connect"):
        Link("ipc://", TERMS)


def test_a_failure_of_the_thread_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: int) -> None:
        raise RuntimeError("out of order")

    link = Link("tcp://127.0.0.1:9", TERMS)
    monkeypatch.setattr(link.session, "tick", fail)
    event = link.wait_event(30)
    while event is None:
        event = link.wait_event(30)
    link.close()
    assert isinstance(event, Failed)
    assert "out of order" in str(event.error)


def test_a_stranger_that_answers_is_told_from_nobody(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    echo = context.socket(zmq.ROUTER)
    echo.bind("tcp://127.0.0.1:0")
    link = Link(echo.getsockopt_string(zmq.LAST_ENDPOINT), replace(TERMS, give_up_s=1.0))
    event, until = None, time.monotonic() + 30
    while event is None and time.monotonic() < until:
        event = link.wait_event(0.05)
        while echo.poll(0):
            echo.send_multipart(echo.recv_multipart())
    echo.close(0)
    link.close()
    assert isinstance(event, Failed)
    assert isinstance(event.error, LinkDown)
    assert "answers, but not as a receiver or an emulator does (unexpected_kind " in str(event.error)


def given_up(address: str) -> str:
    """What a link says that gave up there."""
    link = Link(address, replace(TERMS, give_up_s=0.8))
    event, until = None, time.monotonic() + 30
    while event is None and time.monotonic() < until:
        event = link.wait_event(0.05)
    link.close()
    assert isinstance(event, Failed)
    return str(event.error)


def test_who_gives_up_says_where_and_what_is_there(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with context.socket(zmq.ROUTER) as silent, socket.create_server(("127.0.0.1", 0)) as other:
        silent.bind("tcp://127.0.0.1:0")
        there = silent.getsockopt_string(zmq.LAST_ENDPOINT)
        assert given_up(there).endswith(f" {there}: it is connected, and no receiver answers behind it")
        port = other.getsockname()[1]
        assert given_up(f"tcp://127.0.0.1:{port}").endswith(": it is stopped, or speaks something else")
    assert f" {there}: nothing listens at {there[6:]}, or no way leads there" in given_up(there)


def test_an_answer_wakes_its_owner_once(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    receiver = context.socket(zmq.ROUTER)
    receiver.bind("tcp://127.0.0.1:0")

    def serve() -> None:
        table, answered = SessionTable(RX_TERMS), 0
        while answered < 50:
            *route, prefix, header, payload = receiver.recv_multipart()
            actions = table.on_message(decode([prefix, header, payload]), tuple(route), 0)
            for work in [action for action in actions if isinstance(action, Work)]:
                answered += 1
                result = Result(bytes(16), work.data.seq, 0, Status.OK, *5 * (None,), 0, 1.0, 0, 0, 2, {})
                actions += table.on_result(result)
            for reply in [action for action in actions if isinstance(action, Reply)]:
                receiver.send_multipart([*reply.route, *encode(reply.message)])

    serving = threading.Thread(target=serve)
    serving.start()
    link = Link(receiver.getsockopt_string(zmq.LAST_ENDPOINT), TERMS)
    woken: list[object] = []
    while not isinstance(link.wait_event(30), Up):
        pass
    for seq in range(50):
        link.submit(Frame(seq, 0, 0, 128 * seq, 0, 0, time.monotonic_ns(), bytes(8 * 8)))
        while True:
            woken.append(link.wait_event(30))
            if isinstance(woken[-1], Answered):
                break
    serving.join(30)
    receiver.close(0)  # not sooner: with IMMEDIATE, what was not read when the connection ended is lost
    link.close()
    assert len(woken) <= 55  # one per answer; waking it on every turn of the I/O thread made it 100


def test_a_forked_child_is_told_and_leaves_the_link_to_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link("tcp://127.0.0.1:9", TERMS)
    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: 1)
        for asks in (lambda: link.window, lambda: link.wait_event(0.0)):
            with pytest.raises(ConfigError, match="open another one in a forked child"):
                asks()
        link.close()
    assert link.wait_event(0.0) is None, "it is open"
    link.close()
