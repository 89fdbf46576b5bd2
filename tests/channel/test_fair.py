"""Whoever floods an emulator takes the turns of its own connections, and no more."""

from itertools import islice

import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.proxy import Proxy
from common.transport.sockets import make_socket
from tests.integration.flooder import SENDERS

EACH = 2
KINDS = [kind for kind in SENDERS if kind != "empties"]  # the same as `parts`, and takes long to make


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_waits_for_at_most_one_of_each_other_connection(
    kind: str, context: "zmq.Context[zmq.Socket[bytes]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long theirs are: one of twenty thousand parts is read in stretches, and is one turn all the same."""
    turns, inside = list[bytes](), "inproc://emulator"  # where what was sent has arrived
    proxy = Proxy(context, Channel(ChannelSpec()), "tcp://127.0.0.1:0", "tcp://127.0.0.1:9")  # nobody is upstream
    proxy._listener.socket.bind(inside)
    forward = proxy._forward

    def note(parts: list[bytes]) -> None:
        turns.append(parts[0])
        forward(parts)

    monkeypatch.setattr(proxy, "_forward", note)
    senders = {name: make_socket(context, zmq.DEALER, "tx") for name in (b"one", b"another", b"honest")}
    try:
        for name, socket in senders.items():
            socket.routing_id = name
            socket.connect(inside)
        for name in (b"one", b"another"):
            for message in islice(SENDERS[kind](), EACH):
                senders[name].send_multipart(message)
        for number in range(EACH):
            senders[b"honest"].send_multipart([b"SC\x01\x06", bytes([number]), b""])
        while len(turns) < 3 * EACH:
            assert proxy.step(1000), f"{len(turns)} messages came"
        assert all(set(turns[at : at + 3]) == senders.keys() for at in range(0, 3 * EACH, 3)), turns
    finally:
        for socket in (*senders.values(), proxy):
            socket.close()
