"""The bounded queue between the link and the decode thread: batches that are fair over sessions.

Knows nothing about sockets or networks.
"""

import math
import threading
import time
from collections import OrderedDict, deque

from scrx.sessions.table import Work

TURN_S = 0.1
"""The longest to listen for at a time."""


class Batcher:
    """Work in, batches out, round-robin over sessions. The credit windows bound how much can wait here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: OrderedDict[bytes, deque[Work]] = OrderedDict()
        self._busy_since_ns: int | None = None
        self._in_hand = 0
        self._due_s = math.inf
        """When the wait for a fuller batch ends (monotonic); infinity: it has not begun."""
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

    @property
    def pause_s(self) -> float:
        """How long to listen before the next `take`: 0 where frames wait for nothing more, TURN_S at most."""
        if not self.depth:
            return TURN_S
        return 0.0 if self._due_s == math.inf else min(max(self._due_s - time.monotonic(), 0.0), TURN_S)

    def take(self, most: int, wait_s: float = 0.0) -> list[Work]:
        """Up to `most` frames, as soon as there is one; with `wait_s` a little later but fuller. Empty: none is due.

        The wait begins with the first `take` that finds a frame; `close` ends it.
        """
        with self._lock:
            now_s = time.monotonic()
            self._due_s = min(self._due_s, now_s + wait_s) if self.depth else math.inf
            if not self.depth or not (self.depth >= most or self._closed or now_s >= self._due_s):
                return []
            self._due_s = math.inf
            return self._batch(most)

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

    def finished(self, decoded: bool = True) -> None:
        """One batch that was taken is done with. decoded: it was answered; to give up on one is no progress."""
        with self._lock:
            self._in_hand -= 1
            if not (self._queues or self._in_hand):
                self._busy_since_ns = None
            elif decoded:
                self._busy_since_ns = time.monotonic_ns()

    def close(self) -> None:
        """From now on `take` waits for no fuller batch."""
        with self._lock:
            self._closed = True

    @property
    def progress_age_ms(self) -> int:
        """How long work has been waiting with no batch decoded; 0 when idle. A wedged decoder shows here.

        For any thread, and waits for none: whoever asks may want to know why another does not come on.
        """
        since = self._busy_since_ns
        return 0 if since is None else (time.monotonic_ns() - since) // 1_000_000

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    @property
    def over(self) -> bool:
        """True once it is closed and nothing is left."""
        return self._closed and not self.depth
