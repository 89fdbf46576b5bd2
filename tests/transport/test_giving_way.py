"""Who has handed over a message lets the I/O threads go first, before anything else that is left to do."""

import time
from typing import Any

import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire import proxy
from common.protocol.messages import Accept, Result, Status
from common.transport.waiting.watch import Watch
from scrx import link as rx_link
from scrx.decoding.batcher import Batcher
from scrx.sessions.owner import Owner
from scrx.sessions.table import Peer, SessionTable
from scrx.sessions.table import Terms as RxTerms
from sctx import link as tx_link
from sctx.actions import Frame, Terms

SESSION, MODEL = bytes(range(16)), bytes(32)
HELD, WAY = "handed over", "gave way"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order; nothing leaves."""
    done: list[str] = []

    def put(socket: Any, parts: Any) -> None:
        done.append(HELD)

    for module in (proxy, rx_link, tx_link):
        monkeypatch.setattr(module, "put", put)
    monkeypatch.setattr(Watch, "give_way", lambda self: done.append(WAY))
    return done


def test_a_receiver_after_the_answers_of_a_batch(done: list[str]) -> None:
    table = SessionTable(RxTerms(MODEL, 128, {}, 128, ()))
    table.peers[SESSION] = Peer(SESSION, Owner((b"route",), b""), time.monotonic_ns(), (), "")
    link = rx_link.Link("tcp://127.0.0.1:0", table, Batcher(), lambda error: None)
    result = Result(SESSION, 0, 0, Status.OK, *5 * (None,), 0, 1.0, 0, 0, 2, {})
    link.post([result, result, result])
    link.close()
    assert done == [HELD, HELD, HELD, WAY]


def test_an_emulator_after_each_message_both_ways(done: list[str], context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    emulator = proxy.Proxy(context, Channel(ChannelSpec()), "tcp://127.0.0.1:0", "tcp://127.0.0.1:9")
    for handle in (emulator._forward, emulator._return):
        handle([b"route", b"SC\x01\x06", b"any header", b""])
    emulator.close()
    assert done == [HELD, WAY, HELD, WAY]


def test_a_transmitter_after_each_frame(done: list[str]) -> None:
    link = tx_link.Link("tcp://127.0.0.1:9", Terms(SESSION, MODEL, "test", 128, False, 1000, 60.0))
    with link._turns:
        link.session.on_message(Accept(SESSION, 1, MODEL, 2, 128, 128, 60_000, 250, 3, 0, (), *3 * (1,)), 1)
        done.clear()
    link.submit(Frame(0, 0, 0, 0, 0, 0, time.monotonic_ns(), bytes(64)))
    before_the_next = done[: done.index(WAY) + 1]
    link.close()
    assert before_the_next == [HELD, WAY]


def test_a_stranger_is_not_waited_for(done: list[str], context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    """What was refused was not handed over."""
    emulator = proxy.Proxy(context, Channel(ChannelSpec()), "tcp://127.0.0.1:0", "tcp://127.0.0.1:9")
    emulator._forward([b"route", b"garbage", b"", b""])
    emulator.close()
    assert done == []
