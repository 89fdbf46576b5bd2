"""A stranger with bad intentions: `python flooder.py KIND PORT` floods 127.0.0.1:PORT until it is killed.

Each kind is one way to make a receiver work, remember or keep what it should not.
"""

import random
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import zmq

from common.pair.manifest import find_pair
from common.protocol.frames import encode
from common.protocol.messages import VERSION, Bye, ByeCode, Data, Hello, Ping

RNG = random.Random(5)


def hello(session: bytes) -> list[bytes]:
    model = bytes.fromhex(find_pair("digits").id)
    return encode(Hello(session, VERSION, VERSION, "x" * 64, model, (0,), (), 0))


def hellos() -> Iterator[list[bytes]]:
    """A new session with every message."""
    pattern, session = hello(bytes(range(16))), bytes(range(16))
    while True:
        yield [pattern[0], pattern[1].replace(session, RNG.randbytes(16)), b""]


def sessions() -> Iterator[list[bytes]]:
    """Sessions that are used: HELLO, PING, a frame; every other one says BYE."""
    for greeting in hellos():
        session = greeting[1][3:19]
        yield greeting
        yield encode(Ping(session, 1, 0))
        yield encode(Data(session, 0, RNG.getrandbits(32), 0, 0, 0, 0, 0, 10, 0, 60_000, 0, bytes(80)))
        if session[0] & 1:
            yield encode(Bye(session, ByeCode.DONE))


def parts() -> Iterator[list[bytes]]:
    """Messages of twenty thousand parts."""
    while True:
        yield [b"SC\x01\x04"] * 20_000


def empties() -> Iterator[list[bytes]]:
    """Messages of a hundred thousand empty parts, which take thirty times as much memory as on the wire."""
    while True:
        yield [b""] * 100_000


def envelopes() -> Iterator[list[bytes]]:
    """A new route with every message, of three parts of almost a mebibyte."""
    rest = [bytes(1_000_000)] * 2
    while True:
        yield [RNG.randbytes(16) + rest[0], *rest, b"XX", b"", b""]


def frames() -> Iterator[list[bytes]]:
    """Frames of a mebibyte, three to a message."""
    while True:
        yield [bytes(1 << 20)] * 3


def strangers() -> Iterator[list[bytes]]:
    """Frames and pings of sessions that nobody opened."""
    while True:
        session = RNG.randbytes(16)
        yield encode(Ping(session, 1, 0))
        yield encode(Data(session, 0, RNG.getrandbits(32), 0, 0, 0, 0, 0, 10, 0, 60_000, 0, bytes(80)))


def garbage() -> Iterator[list[bytes]]:
    while True:
        yield [RNG.randbytes(RNG.randrange(40)) for _ in range(RNG.randrange(1, 5))]


def send(port: int, messages: Iterator[list[bytes]]) -> None:
    """As fast as the other side takes them; never reads an answer; a connection is renewed when it is cut."""
    dealer = zmq.Context().socket(zmq.DEALER)
    dealer.linger, dealer.reconnect_ivl, dealer.sndhwm = 0, 10, 100
    dealer.connect(f"tcp://127.0.0.1:{port}")
    for message in messages:
        dealer.send_multipart(message)


def endless(port: int) -> None:
    """One message that never ends, in frames of a megabyte, spoken by hand."""
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER\x08Identity" + struct.pack(">I", 0)
    frame = b"\x03" + struct.pack(">Q", 1_000_000) + bytes(1_000_000)
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\x00") + bytes(32))
            raw.sendall(b"\x04" + bytes([len(ready)]) + ready)
            while True:
                raw.sendall(frame)


def connections(port: int) -> None:
    """Connections that say nothing, a few hundred at a time."""
    held: list[socket.socket] = []
    while True:
        with suppress(OSError):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        if len(held) > 300:
            held.pop(0).close()


SENDERS = {"hellos": hellos, "sessions": sessions, "parts": parts, "empties": empties, "envelopes": envelopes,
           "frames": frames, "strangers": strangers, "garbage": garbage}  # fmt: skip
BY_HAND: dict[str, Callable[[int], None]] = {"endless": endless, "connections": connections}

if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    print("flooding", file=sys.stderr, flush=True)
    if kind in BY_HAND:
        BY_HAND[kind](port)
    else:
        send(port, SENDERS[kind]())
