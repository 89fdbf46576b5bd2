"""The bounded queue between the link and the decode thread: batches that are fair over sessions.

Knows nothing about sockets or networks.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from scrx.sessions.table import Work

TURN_S = 0.1
"""The longest that `take` asks to listen for at a time."""


class Batcher:
    """Work in, batches out, round-robin over sessions. The credit windows bound how much can wait here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: OrderedDict[bytes, deque[Work]] = OrderedDict()
        self._busy_since_ns: int | None = None
        self._in_hand = 0
        self.depth = 0
        """Frames that wait."""
        self._closed = False
        self._known: set[bytes] = set()
        """Sessions of which a frame was in a batch: only for them anything is kept elsewhere."""
        self._dropped: list[bytes] = []
        self.ended: list[bytes] = []
        """Sessions that ended before the newest batch was taken: what is kept for them can go before it is decoded."""

    def put(self, work: Work) -> None:
        """Queue a frame."""
        with self._lock:
            self._queues.setdefault(work.data.session, deque()).append(work)
            self.depth += 1
            if self._busy_since_ns is None:
                self._busy_since_ns = time.monotonic_ns()

    def drop(self, session: bytes) -> None:
        """A session ended: nobody waits for what it has queued."""
        with self._lock:
            self.depth -= len(self._queues.pop(session, ()))
            if session in self._known:  # of the others nothing was decoded, and a flood of them must leave nothing
                self._known.remove(session)
                self._dropped.append(session)
            if not self._queues and not self._in_hand:
                self._busy_since_ns = None

    def take(self, most: int, listen: Callable[[float], None], wait_s: float = 0.0) -> list[Work] | None:
        """Up to `most` frames, as soon as there is one; with `wait_s` a little later but fuller. None once closed.

        listen: called to wait for at most so many seconds, in which this thread or another may `put`; at least once.
        """
        until_s = math.inf  # of the wait for a fuller batch
        left_s = 0.0 if self.depth else TURN_S
        while True:
            listen(left_s)
            now_s = time.monotonic()
            with self._lock:
                until_s = min(until_s, now_s + wait_s) if self.depth else math.inf
                if self.depth and (self.depth >= most or self._closed or now_s >= until_s):
                    return self._batch(most)
                if self._closed:
                    return None
            left_s = min(TURN_S, until_s - now_s)

    def _batch(self, most: int) -> list[Work]:
        self.ended, self._dropped = self._dropped, []
        batch: list[Work] = []
        while self._queues and len(batch) < most:
            session, queue = self._queues.popitem(last=False)
            batch.append(queue.popleft())
            self._known.add(session)
            if queue:
                self._queues[session] = queue  # to the back: each session gives one frame a turn
        self._in_hand += 1
        self.depth -= len(batch)
        return batch

    def finished(self) -> None:
        """One batch that was taken is done with."""
        with self._lock:
            self._in_hand -= 1
            self._busy_since_ns = time.monotonic_ns() if self._queues or self._in_hand else None

    def close(self) -> None:
        """Let `take` return what is left, then None."""
        with self._lock:
            self._closed = True

    @property
    def progress_age_ms(self) -> int:
        """How long work has been waiting without a finished batch; 0 when idle. A wedged decoder shows here."""
        with self._lock:
            since = self._busy_since_ns
            return 0 if since is None else (time.monotonic_ns() - since) // 1_000_000

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed
