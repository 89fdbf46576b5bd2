"""Messages of several parts in and out of a socket, without waiting. Knows nothing about what is in them.

pyzmq's own `send_multipart` and `recv_multipart` do more for each part, and so does `zmq.Socket.send` around that of
its base class, which is called here.
"""

from collections.abc import Iterator, Sequence

import zmq
from zmq.backend import Socket as Base

_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)


MOST_PARTS = 16
"""Parts of a message that are kept: more than any has. Which of them it had beyond does not matter any more."""


def arrivals(socket: "zmq.Socket[bytes]", most: int, signed: bool = False) -> Iterator[list[bytes]]:
    """Take what waits, `most` messages at most; signed: before their parts, the key that proved who sent them.

    It is over when a read finds nothing. libzmq needs such reads: with one it looks for connections that ended, and
    else at every 100th part, also between the parts of a message, which then ends the process. They are slow, so who is
    in a hurry breaks off sooner, and has one at the beginning of the next turn.
    """
    for _ in range(most):
        try:
            frame = socket.recv(_NOBLOCK, False)
        except zmq.Again:
            return
        parts = [str(frame.get("User-Id")).encode(), frame.bytes] if signed else [frame.bytes]
        while frame.more:
            frame = socket.recv(_NOBLOCK, False)
            if len(parts) < MOST_PARTS:
                parts.append(frame.bytes)
        yield parts


def is_readable(socket: "zmq.Socket[bytes]") -> bool:
    """True where a message waits. Quicker than a read that finds nothing, but no substitute (see `arrivals`)."""
    return bool(int(socket.getsockopt(_EVENTS)) & _READABLE)


def put(socket: "zmq.Socket[bytes]", parts: Sequence[bytes | memoryview]) -> None:
    """Send a message, or nothing of it: raises `zmq.ZMQError`, such as `zmq.Again`, where it cannot leave at once."""
    for part in parts[:-1]:
        Base.send(socket, part, _MORE)
    Base.send(socket, parts[-1], _NOBLOCK)
