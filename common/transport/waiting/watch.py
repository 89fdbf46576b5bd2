"""Waiting at sockets, awake for a moment and then asleep, and waking who waits. Knows nothing about messages.

Who is woken for a message is slower to begin than who was awake; `deploy/LINK.md` has what that was measured to cost.
So where the last message was not long in coming, the next one is waited for awake: the sockets are asked again and
again, and each time every other thread that wants the processor goes first. It ends after AWAKE_S, so that whoever is
idle costs nothing. It is not done at all where there is one processor, nor while others need it more. While it is
done, and until it next is not, libzmq's threads wait their turn (`io_threads.py`).
"""

import math
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import zmq
from zmq.backend import zmq_poll

from common.transport.waiting.io_threads import IoThreads

AWAKE_S = 0.001
LATE_S, NAP_S, REST_S, STEADY = 0.001, 0.01, 10.0, 16
"""A processor that comes back later than LATE_S is wanted by others, and is left to them: for NAP_S, since that happens
on an idle host as well, about once a second; where it is late again before STEADY waits went well, for twice as long
as the last time, REST_S at most."""
_WAKES = 4096


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Watch(zmq.Poller):
    """A poller with `wait`. For one thread at a time. context: of its sockets. give_way: lets other threads go first.

    A socket whose messages and commands were looked at gives a signal at its descriptor when there is another one. Who
    waits awake asks for these alone, which takes a quarter of the time, and leaves it to the reader what it was.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        clock: Callable[[], float] = time.monotonic,
        give_way: Callable[[], None] = os.sched_yield,
    ) -> None:
        super().__init__()
        self._io_threads = IoThreads(context)
        self._clock, self._give_way = clock, give_way
        self._signals, self._signalled = select.poll(), dict[int, Any]()
        self._soon = False
        self._nap_s, self._in_time = NAP_S, STEADY
        self._asleep_until_s = -float("inf") if processors() > 1 else float("inf")

    def register(self, socket: Any, flags: int = zmq.POLLIN) -> None:
        """Poll a socket, or a descriptor, from now on."""
        super().register(socket, flags)
        self._signals.register(descriptor := _descriptor(socket), select.POLLIN)
        self._signalled[descriptor] = socket

    def unregister(self, socket: Any) -> None:
        """Poll it no longer. Call before it is closed."""
        super().unregister(socket)
        self._signals.unregister(descriptor := _descriptor(socket))
        del self._signalled[descriptor]

    def wait(self, timeout_ms: int, awake: bool = True) -> dict[Any, int]:
        """What is readable, after at most `timeout_ms`. awake: False where this thread has nothing to do with it.

        Where it was waited for awake, a socket may be among them that has a signal and no message.
        """
        if not timeout_ms:
            self._io_threads.wait_their_turn(False)  # whoever does not wait has other work, and gives no way
            return dict(zmq_poll(self.sockets, 0))
        ready, begun_s = None, self._clock()
        if awake and self._soon and begun_s >= self._asleep_until_s:
            self._io_threads.wait_their_turn(True)
            ready = self._wait_awake(begun_s, min(AWAKE_S, timeout_ms / 1e3))
            if not ready:
                timeout_ms = max(0, timeout_ms - math.ceil(1e3 * (self._clock() - begun_s)))
        if not ready:
            self._io_threads.wait_their_turn(False)
            ready = zmq_poll(self.sockets, timeout_ms)  # which looks once before it sleeps
        self._soon = bool(ready) and self._clock() - begun_s < AWAKE_S
        return dict(ready)

    def give_way(self) -> None:
        """Let the I/O threads go first where they wait their turn: after a message was handed to them."""
        if self._io_threads.waiting:
            self._yield(self._clock())

    def _wait_awake(self, now_s: float, for_s: float) -> list[tuple[Any, int]]:
        until_s, ready = now_s + for_s, zmq_poll(self.sockets, 0)
        while not ready and now_s < until_s:
            now_s = self._yield(now_s)
            ready = [(self._signalled[descriptor], zmq.POLLIN) for descriptor, _ in self._signals.poll(0)]
        self._in_time += 1
        return list(ready)

    def _yield(self, now_s: float) -> float:
        """Let every other thread go first; the time after it."""
        self._give_way()
        after_s = self._clock()
        if after_s - now_s > LATE_S:
            self._nap_s = NAP_S if self._in_time >= STEADY else min(2 * self._nap_s, REST_S)
            self._asleep_until_s, self._in_time = after_s + self._nap_s, 0
        return after_s


def _descriptor(socket: Any) -> int:
    return socket if isinstance(socket, int) else int(socket.getsockopt(zmq.FD))


class Waker:
    """Poll `reader`, a descriptor, beside the sockets; any thread may call `wake`."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self.reader, self._lock = self._ours.fileno(), threading.Lock()

    def wake(self) -> None:
        """Make `reader` readable."""
        with self._lock, suppress(OSError):  # full: it has enough to wake up for; closed: nobody sleeps
            self._theirs.send(b"\0")

    def drain(self) -> None:
        """Called by the woken thread before it looks at what there is to do."""
        with suppress(BlockingIOError):
            self._ours.recv(_WAKES)

    def close(self) -> None:
        """Call when nobody polls any more."""
        with self._lock:
            self._theirs.close()
            self._ours.close()
