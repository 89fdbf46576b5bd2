"""Messages of several parts in and out of a socket, without waiting. Knows nothing about what is in them.

pyzmq's own `send_multipart` and `recv_multipart` do more for each part, and so does `zmq.Socket.send` around that of
its base class, which is called here.
"""

from collections.abc import Iterator, Sequence

import zmq
from zmq.backend import Socket as Base
from zmq.backend import zmq_poll

_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_READABLE = int(zmq.POLLIN)

MOST_PARTS = 16
"""Parts of a message that are kept: more than any has. Which of them it had beyond does not matter any more."""
MOST_PASSED_OVER = 2000
"""Parts beyond, read at a time (a few milliseconds): a message of millions must not keep its reader from all else."""
MOST_READS = 24
"""Reads after which one is due that finds nothing; libzmq does by itself at every 100th what it does then."""


class Inbox:
    """The messages that wait at a socket. For one thread at a time; nobody else may read from the socket.

    Every so often there must be a read that finds nothing: with one libzmq looks for connections that ended, and else
    at every 100th part, also between the parts of a message, which then ends the process. Such a read is slow (an
    exception of pyzmq's). So after a first message it is asked instead whether another one waits; where one does, all
    are read until a read finds nothing.
    """

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket, self._reads, self._unfinished = socket, 0, False
        self._alone = [(socket, _READABLE)]

    @property
    def due(self) -> bool:
        """Whether to `take` before the next wait, whatever waits there: somebody breaks off after each message."""
        return self._reads >= MOST_READS

    def take(self, most: int, signed: bool = False) -> Iterator[list[bytes]]:
        """What waits, `most` messages at most; signed: before their parts, the key that proved who sent them.

        For whoever knows that something waits, since the first read is slow where it finds nothing. What lies beyond
        MOST_PARTS is passed over, and where that is long, the next call goes on with it.
        """
        if self._unfinished and not self._pass_over():
            return
        recv = self._socket.recv
        for taken in range(most):
            try:
                frame = recv(_NOBLOCK, False)
            except zmq.Again:
                self._reads = 0
                return
            parts = [str(frame.get("User-Id")).encode(), frame.bytes] if signed else [frame.bytes]
            while frame.more and len(parts) < MOST_PARTS:
                frame = recv(_NOBLOCK, False)
                parts.append(frame.bytes)
            self._reads += len(parts)
            self._unfinished = frame.more
            whole = not frame.more or self._pass_over()
            yield parts
            if not whole or (taken == 0 and not self.due and not zmq_poll(self._alone, 0)):
                return

    def _pass_over(self) -> bool:
        """Read on in a message that is too long; True where it is over."""
        self._reads += MOST_PASSED_OVER
        recv = self._socket.recv
        try:
            for _ in range(MOST_PASSED_OVER):
                if not recv(_NOBLOCK, False).more:
                    self._unfinished = False
                    break
        except zmq.Again:  # it has gone with its connection
            self._unfinished = False
        return not self._unfinished


def put(socket: "zmq.Socket[bytes]", parts: Sequence[bytes | memoryview]) -> None:
    """Send a message, or nothing of it: raises `zmq.ZMQError`, such as `zmq.Again`, where it cannot leave at once."""
    for part in parts[:-1]:
        Base.send(socket, part, _MORE)
    Base.send(socket, parts[-1], _NOBLOCK)
