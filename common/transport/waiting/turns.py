"""Who listens at the sockets of a link: whoever waits for something does, and a thread of ours while nobody waits.

So a message is read by the thread that wants it (the leader/followers pattern). Waking another thread for it costs more
than the network of one host. Knows nothing about sockets or messages.
"""

import threading
import time
from collections.abc import Callable

GRACE_S = 0.01
"""So long after the last turn of another thread, the one that stands in takes over."""
TICK_MS = 20
"""The longest that one turn may wait: at the speed of loopback a stranger sends 100 MB in it."""


class Turns:
    """Sockets that several threads use, one at a time: `with turns:` has them for itself.

    turn: waits at the sockets for so many ms, at most TICK_MS, and serves them; False once there is nothing more to
    wait for. It must not raise. wake: makes a turn that waits return; for any thread. (ZeroMQ allows a socket to move
    between threads where a lock lies between.)
    """

    def __init__(self, turn: Callable[[int], bool], wake: Callable[[], None], name: str) -> None:
        self._turn, self._wake = turn, wake
        self._next, self._held = threading.Lock(), threading.Lock()
        self._left_s = time.monotonic() - GRACE_S
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._stand_in, name=name, daemon=True)

    def start(self) -> None:
        """Let the thread stand in from now on."""
        self._thread.start()

    def __enter__(self) -> "Turns":
        with self._next:  # who waits here goes before the one that has just left
            if not self._held.acquire(blocking=False):
                self._wake()
                self._held.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.release()
        self._left_s = time.monotonic()

    def stop(self) -> None:
        """End the thread that stands in. For once."""
        self._over.set()
        self._wake()
        self._thread.join(timeout=5)

    def _stand_in(self) -> None:
        while not self._over.is_set():
            if self._next.locked() or self._held.locked():
                self._over.wait(GRACE_S)
            elif (rest_s := self._left_s + GRACE_S - time.monotonic()) > 0:
                self._over.wait(rest_s)
            elif self._held.acquire(blocking=False):
                try:
                    going = self._turn(TICK_MS)
                finally:
                    self._held.release()
                if not going:
                    return
