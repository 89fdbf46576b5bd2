"""What was computed and may be asked for again, within a number of bytes in all. Knows nothing about what it keeps.

Everything on it is a function of its key: what is pushed out costs time when it is asked for again, and changes
nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Kept = TypeVar("Kept")

MOST_BYTES = 64 << 20
"""About 250 streams with Rayleigh fading; less than what makes a bound socket suspect a flood (256 MiB)."""


class Shelf:
    """Keeps what was used last, `most_bytes` of it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._room = most_bytes
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Kept], nbytes: Callable[[Kept], int]) -> Kept:
        """What stands under `key`, made where it is not there; nbytes: what it will take once it is in use."""
        if (entry := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            found: Kept = entry[1]
            return found
        made = make()
        size = nbytes(made)
        self._kept[key] = size, made
        self._room -= size
        while self._room < 0 and len(self._kept) > 1:
            _, (freed, _) = self._kept.popitem(last=False)
            self._room += freed
        return made
