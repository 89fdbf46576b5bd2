"""Messages of several parts in and out of a socket, without waiting. Knows nothing about what is in them.

pyzmq's own `send_multipart` and `recv_multipart` do more for each part, and so does `zmq.Socket.send` around that of
its base class, which is called here.
"""

from collections.abc import Iterator, Sequence

import zmq
from zmq.backend import Socket as Base

_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_EVENTS, _READABLE, _RCVMORE = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.RCVMORE)


MOST_PARTS = 16
"""Parts of a message that are kept: more than any has. Which of them it had beyond does not matter any more."""
MOST_PASSED_OVER = 2000
"""Parts beyond, read at a time (a few milliseconds): a message of millions must not keep its reader from all else."""


def arrivals(socket: "zmq.Socket[bytes]", most: int, signed: bool = False) -> Iterator[list[bytes]]:
    """Take what waits, `most` messages at most; signed: before their parts, the key that proved who sent them.

    It is over when a read finds nothing. libzmq needs such reads: with one it looks for connections that ended, and
    else at every 100th part, also between the parts of a message, which then ends the process. They are slow, so who is
    in a hurry breaks off sooner, and has one at the beginning of the next turn.

    What lies beyond MOST_PARTS is passed over, and where that is long, the next call goes on with it.
    """
    if socket.getsockopt(_RCVMORE) and not _pass_over(socket):
        return
    for _ in range(most):
        try:
            frame = socket.recv(_NOBLOCK, False)
        except zmq.Again:
            return
        parts = [str(frame.get("User-Id")).encode(), frame.bytes] if signed else [frame.bytes]
        while frame.more and len(parts) < MOST_PARTS:
            frame = socket.recv(_NOBLOCK, False)
            parts.append(frame.bytes)
        whole = not frame.more or _pass_over(socket)
        yield parts
        if not whole:
            return


def _pass_over(socket: "zmq.Socket[bytes]") -> bool:
    """Read on in a message that is too long; True where it is over."""
    try:
        return any(not socket.recv(_NOBLOCK, False).more for _ in range(MOST_PASSED_OVER))
    except zmq.Again:  # it has gone with its connection
        return True


def is_readable(socket: "zmq.Socket[bytes]") -> bool:
    """True where a message waits. Quicker than a read that finds nothing, but no substitute (see `arrivals`)."""
    return bool(int(socket.getsockopt(_EVENTS)) & _READABLE)


def put(socket: "zmq.Socket[bytes]", parts: Sequence[bytes | memoryview]) -> None:
    """Send a message, or nothing of it: raises `zmq.ZMQError`, such as `zmq.Again`, where it cannot leave at once."""
    for part in parts[:-1]:
        Base.send(socket, part, _MORE)
    Base.send(socket, parts[-1], _NOBLOCK)
