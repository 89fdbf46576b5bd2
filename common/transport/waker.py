"""Wakes a thread that polls sockets. Knows nothing about what there is to do."""

import threading
from contextlib import suppress

import zmq

from common.transport.multipart import arrivals

MOST_WAKES = 1024


class Waker:
    """Poll `reader` beside the other sockets; any thread may call `wake`."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.reader, self._writer = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self.reader.bind(f"inproc://waker-{id(self)}")
        self._writer.connect(f"inproc://waker-{id(self)}")
        self._lock = threading.Lock()

    def wake(self) -> None:
        """Make `reader` readable."""
        with self._lock, suppress(zmq.ZMQError):  # full: it has enough to wake up for; closed: nobody sleeps
            self._writer.send(b"", zmq.NOBLOCK)

    def drain(self) -> None:
        """Called by the woken thread before it looks at what there is to do."""
        for _ in arrivals(self.reader, MOST_WAKES):
            pass

    def close(self) -> None:
        """Close the writing end; the polling thread closes `reader`."""
        with self._lock:
            self._writer.close(0)
