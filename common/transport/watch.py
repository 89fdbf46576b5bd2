"""Waiting at sockets: awake for a moment, then asleep. Knows nothing about messages.

Between two messages a processor goes to sleep, and so do the caches of whoever waits. Where the last message was not
long in coming, the next one is waited for awake: the sockets are asked again and again, and every other thread that
wants the processor goes first. That ends after AWAKE_S, so that whoever is idle costs nothing; it does not begin where
there is one processor, and it stops for a while where others had the processor for long, who then need it more.
"""

import os
import time

import zmq

AWAKE_S = 0.0005
LATE_S, REST_S = 0.001, 0.1
"""A processor that comes back later than that is wanted by others, and is left to them for so long."""


class Watch(zmq.Poller):
    """A poller with `wait`. For one thread at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._soon = False
        self._rest_s = 0.0 if len(os.sched_getaffinity(0)) > 1 else float("inf")

    def wait(self, timeout_ms: int, awake: bool = True) -> "dict[zmq.Socket[bytes], int]":
        """What is readable, after at most `timeout_ms`. awake: False where this thread has nothing to do with it."""
        ready, begun_s = self.poll(0), time.monotonic()
        if not ready and timeout_ms:
            if awake and self._soon and begun_s >= self._rest_s:
                ready = self._wait_awake(begun_s)
            ready = ready or self.poll(timeout_ms)
            self._soon = bool(ready) and time.monotonic() - begun_s < AWAKE_S
        return dict(ready)

    def _wait_awake(self, now_s: float) -> "list[tuple[zmq.Socket[bytes], int]]":
        until_s = now_s + AWAKE_S
        while now_s < until_s:
            os.sched_yield()
            if ready := self.poll(0):
                return ready
            was_s, now_s = now_s, time.monotonic()
            if now_s - was_s > LATE_S:
                self._rest_s = now_s + REST_S
        return []
