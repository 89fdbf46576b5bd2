"""What happens to whole messages on the way: delay, jitter, loss. Knows nothing about symbols or sockets.

Losses come alone with probability `drop`, or in bursts of mean length `burst` from the two-state chain of Gilbert
(1960) and Elliott (1963): P(bad -> good) = 1/burst, P(good -> bad) = drop / (1 - drop) / burst, and every message is
lost in the bad state.
"""

import heapq
from typing import Generic, TypeVar

import numpy as np

from common.channel.models.noise import KeyedBits, Use
from common.channel.spec.ways import TransitSpec

Item = TypeVar("Item")
MOST_BYTES = 64 << 20
"""What may be on the way at a time; a flood through a long delay is not kept beyond."""


class Fate:
    """Decides over the messages of one stream in the order in which they arrive; the same seed decides the same.

    use: TRANSIT on the way to the receiver, RETURN on the way back.
    """

    def __init__(self, spec: TransitSpec, seed: int, stream: int, use: Use = Use.TRANSIT) -> None:
        self._spec = spec
        self._random = np.random.Generator(KeyedBits().at((seed, use, stream), 0))
        self._bad = bool(spec.burst) and self._random.random() < spec.drop

    def lost(self) -> bool:
        """True where the next message is lost."""
        if not self._spec.drop:
            return False
        draw = self._random.random()
        if not self._spec.burst:
            return draw < self._spec.drop
        if self._bad:
            self._bad = draw >= 1.0 / self._spec.burst
        else:
            self._bad = draw < self._spec.drop / (1.0 - self._spec.drop) / self._spec.burst
        return self._bad

    def jitter_s(self) -> float:
        """Seconds that the next message takes on top of the delay."""
        return self._spec.jitter_ms * self._random.random() / 1e3 if self._spec.jitter_ms else 0.0


class OnTheWay(Generic[Item]):
    """Items that are due at a time; those due at the same time leave in the order in which they came."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._heap: list[tuple[float, int, int, Item]] = []
        self._count = 0
        self._room = most_bytes

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, item: Item, due_s: float, size: int = 0) -> bool:
        """Keep `item`, of `size` bytes, until `due_s`; False where too much is on the way already."""
        if size > self._room:
            return False
        heapq.heappush(self._heap, (due_s, self._count, size, item))
        self._count += 1
        self._room -= size
        return True

    def due(self, now_s: float) -> list[Item]:
        """Take out all items whose time has come."""
        items = []
        while self._heap and self._heap[0][0] <= now_s:
            _, _, size, item = heapq.heappop(self._heap)
            self._room += size
            items.append(item)
        return items

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the next item is due; None where nothing is on the way."""
        return max(0.0, self._heap[0][0] - now_s) if self._heap else None
