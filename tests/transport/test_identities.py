"""Nobody guesses the identity that a ROUTER gives next: who claims it would end the process."""

import socket
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise

import pytest
import zmq

from common.protocol.frames import encode
from common.protocol.messages import Bye, ByeCode
from common.transport.sockets import bind, connect, make_socket

FIRST = """
import zmq
from common.transport.sockets import bind, connect, make_socket
context = zmq.Context()
with make_socket(context, zmq.ROUTER, "rx") as router, make_socket(context, zmq.DEALER, "tx") as dealer:
    connect(dealer, bind(router, "tcp://127.0.0.1:0"))
    dealer.send(b"")
    print(router.recv_multipart()[0].hex())
context.term()
"""
SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
GREETING = SIGNATURE + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def claim(port: int, identity: bytes) -> socket.socket:
    """A connection of somebody who says by himself who he is, which zmq's own interface does not allow."""
    peer = socket.create_connection(("127.0.0.1", port), 5)
    ready = b"\x05READY" + b"\x0bSocket-Type" + (6).to_bytes(4, "big") + b"DEALER"
    ready += b"\x08Identity" + len(identity).to_bytes(4, "big") + identity
    peer.sendall(GREETING + b"\x04" + bytes([len(ready)]) + ready)
    return peer


def is_in(peer: socket.socket) -> bool:
    """Whether the other side has let it in by now; it is said hello to then."""
    with peer.makefile("rb") as said:
        greeting = said.read(66)  # and the beginning of its READY
        if len(greeting) < 66 or not said.read(greeting[65]):
            return False
    peer.sendall(b"\x00\x02hi")
    return True


def test_the_first_identity_is_another_in_each_process() -> None:
    seen = {subprocess.check_output([sys.executable, "-c", FIRST], text=True, timeout=60) for _ in range(2)}
    assert len(seen) == 2
    assert not any(identity.startswith("006b8b4567") for identity in seen)


def test_the_first_identity_is_another_for_each_socket(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    first = []
    for _ in range(4):
        with make_socket(context, zmq.ROUTER, "rx") as router:
            port = int(bind(router, "tcp://127.0.0.1:0").rpartition(":")[2])
            with claim(port, b"") as peer:
                assert is_in(peer)
                first.append(router.recv_multipart()[0])
    starts = sorted(int.from_bytes(identity[1:], "big") for identity in first)
    assert all(later - earlier > 16 for earlier, later in pairwise(starts))


GUESSED = [b"\0" + (0x6B8B4567 + k).to_bytes(4, "big") for k in range(1, 40)]


@pytest.mark.parametrize("command", ["scrx", pytest.param("channel-emu", marks=pytest.mark.full)])
def test_who_claims_the_identities_that_would_come_next_ends_nothing(command: str) -> None:
    """As it was tried: claim what an unseeded generator gives next, then let somebody connect who gets it."""
    program = HOSTS[command]
    with (
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        ExitStack() as closing,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        claims = [closing.enter_context(claim(port, identity)) for identity in GUESSED]
        assert all(map(is_in, claims))
        honest = [closing.enter_context(claim(port, b"")) for _ in range(40)]
        assert all(map(is_in, honest))
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"alive\n"
        process.stdin.close()
        assert process.wait(60) == 0


def test_what_a_receiver_sees_of_an_emulator_does_not_tell_who_comes_next(
    context: "zmq.Context[zmq.Socket[bytes]]",
) -> None:
    """A receiver may be a trusted peer of the emulator, too, and claim the numbers that follow those it has seen."""
    with make_socket(context, zmq.ROUTER, "rx") as receiver, make_socket(context, zmq.DEALER, "tx") as transmitter:
        program = HOSTS["channel-emu"].replace("tcp://127.0.0.1:9", bind(receiver, "tcp://127.0.0.1:0"))
        with (
            subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
            ExitStack() as closing,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            port = int(process.stdout.readline())
            connect(transmitter, f"tcp://127.0.0.1:{port}")
            for _ in range(200):  # what comes before the emulator has reached its receiver is dropped
                transmitter.send_multipart(encode(Bye(bytes(16), ByeCode.DONE)))
                if receiver.poll(100):
                    break
            seen = int.from_bytes(receiver.recv_multipart()[1], "big")
            following = [((seen + k) % 2**32).to_bytes(5, "big") for k in range(1, 9)]
            assert all(map(is_in, [closing.enter_context(claim(port, identity)) for identity in following]))
            honest = [closing.enter_context(claim(port, b"")) for _ in range(10)]
            assert all(map(is_in, honest))
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"alive\n"
            process.stdin.close()
            assert process.wait(60) == 0


_LOOP = """
import select, sys
print(PLACE.rpartition(":")[2], flush=True)
while not select.select([0], [], [], 0)[0]:
    STEP
print("alive", flush=True)
sys.stdin.read()
"""
HOSTS = {
    "scrx": """
import time
from scrx.decoding.batcher import Batcher
from scrx.link import Link
from scrx.sessions.table import SessionTable, Terms
link = Link("tcp://127.0.0.1:0", SessionTable(Terms(bytes(32), 128, {}, 128, ())), Batcher(), print)
"""
    + _LOOP.replace("PLACE", "link.address").replace("STEP", "time.sleep(0.01)"),
    "channel-emu": """
import zmq
from common.channel.streams.channel import Channel
from common.channel.wire.proxy import Proxy
from common.channel.spec.spec import ChannelSpec
proxy = Proxy(zmq.Context(), Channel(ChannelSpec()), "tcp://127.0.0.1:0", "tcp://127.0.0.1:9")
"""
    + _LOOP.replace("PLACE", "proxy.address").replace("STEP", "proxy.step()"),
}
