"""Messages of several parts in and out of a socket, without waiting. Knows nothing about what is in them.

pyzmq's own `send_multipart` and `recv_multipart` do more for each part, and the latter ends in an exception where
nothing waits.
"""

from collections.abc import Iterator, Sequence

import zmq

_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def arrivals(socket: "zmq.Socket[bytes]", most: int) -> Iterator[list[bytes]]:
    """Take what waits, `most` messages at most."""
    for _ in range(most):
        if not int(socket.getsockopt(_EVENTS)) & _READABLE:
            return
        frame = socket.recv(_NOBLOCK, copy=False)
        parts = [frame.bytes]
        while frame.more:
            frame = socket.recv(_NOBLOCK, copy=False)
            parts.append(frame.bytes)
        yield parts


def put(socket: "zmq.Socket[bytes]", parts: Sequence[bytes]) -> None:
    """Send a message, or nothing of it: raises `zmq.ZMQError`, such as `zmq.Again`, where it cannot leave at once."""
    for part in parts[:-1]:
        socket.send(part, _MORE)
    socket.send(parts[-1], _NOBLOCK)
