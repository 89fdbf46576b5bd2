"""Waiting at sockets, awake for a moment and then asleep, and waking who waits. Knows nothing about messages.

Who is woken for a message is slower to begin than who was awake; `deploy/LINK.md` has what that was measured to cost.
So where the last message was not long in coming, the next one is waited for awake: the sockets are asked again and
again, and each time every other thread that wants the processor goes first. It ends after AWAKE_S, so that whoever is
idle costs nothing. It is not done at all where there is one processor, nor while others need it more.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import zmq

from common.transport.multipart import Inbox

AWAKE_S = 0.0005
LATE_S, NAP_S, REST_S = 0.001, 0.1, 10.0
"""A processor that comes back later than LATE_S is wanted by others, and is left to them: for NAP_S, since that happens
on an idle host as well, and where it is late again within REST_S after that, for REST_S."""
MOST_WAKES = 1024


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Watch(zmq.Poller):
    """A poller with `wait`. For one thread at a time. give_way: lets other threads go first."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, give_way: Callable[[], None] = os.sched_yield
    ) -> None:
        super().__init__()
        self._clock, self._give_way = clock, give_way
        self._soon = False
        self._asleep_until_s = -float("inf") if processors() > 1 else float("inf")

    def wait(self, timeout_ms: int, awake: bool = True) -> "dict[zmq.Socket[bytes], int]":
        """What is readable, after at most `timeout_ms`. awake: False where this thread has nothing to do with it."""
        ready, begun_s = self.poll(0), self._clock()
        if not ready and timeout_ms:
            if awake and self._soon and begun_s >= self._asleep_until_s:
                ready = self._wait_awake(begun_s, min(AWAKE_S, timeout_ms / 1e3))
                if not ready:
                    timeout_ms = max(0, timeout_ms - math.ceil(1e3 * (self._clock() - begun_s)))
            ready = ready or self.poll(timeout_ms)
            self._soon = bool(ready) and self._clock() - begun_s < AWAKE_S
        return dict(ready)

    def _wait_awake(self, now_s: float, for_s: float) -> "list[tuple[zmq.Socket[bytes], int]]":
        until_s = now_s + for_s
        while now_s < until_s:
            self._give_way()
            if ready := self.poll(0):
                return ready
            was_s, now_s = now_s, self._clock()
            if now_s - was_s > LATE_S:
                again = now_s - self._asleep_until_s < REST_S
                self._asleep_until_s = now_s + (REST_S if again else NAP_S)
        return []


class Waker:
    """Poll `reader` beside the other sockets; any thread may call `wake`."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.reader, self._writer = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self.reader.bind(f"inproc://waker-{id(self)}")
        self._writer.connect(f"inproc://waker-{id(self)}")
        self._inbox, self._lock = Inbox(self.reader), threading.Lock()

    def wake(self) -> None:
        """Make `reader` readable."""
        with self._lock, suppress(zmq.ZMQError):  # full: it has enough to wake up for; closed: nobody sleeps
            self._writer.send(b"", zmq.NOBLOCK)

    def drain(self) -> None:
        """Called by the woken thread before it looks at what there is to do."""
        for _ in self._inbox.take(MOST_WAKES):
            pass

    def close(self) -> None:
        """Close the writing end; the polling thread closes `reader`."""
        with self._lock:
            self._writer.close(0)
