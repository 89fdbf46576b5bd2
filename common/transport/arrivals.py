"""Messages that wait at a socket. Knows nothing about what is in them."""

from collections.abc import Iterator

import zmq

_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)


def arrivals(socket: "zmq.Socket[bytes]", most: int) -> Iterator[list[bytes]]:
    """Take what waits, `most` messages at most. Asking first costs less than being refused by an exception."""
    for _ in range(most):
        if not int(socket.getsockopt(_EVENTS)) & _READABLE:
            return
        yield socket.recv_multipart(zmq.NOBLOCK)
