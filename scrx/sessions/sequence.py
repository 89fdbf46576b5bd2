"""Which frames of a session arrived: a window over their numbers. Knows nothing about what they hold. Pure."""

from dataclasses import dataclass

WIDTH = 64
_FULL = (1 << WIDTH) - 1


@dataclass(slots=True)
class SequenceWindow:
    """A 64-frame window over seq: which were seen, and how many fell out of it without being seen.

    Whatever number a peer says next, the work is the same.
    """

    highest: int = -1
    seen: int = 0
    lost: int = 0
    duplicate: int = 0
    late: int = 0

    def add(self, seq: int) -> None:
        """Note a frame's arrival."""
        behind = self.highest - seq
        if self.highest < 0:  # what came before the first frame is not ours to miss
            self.highest, self.seen = seq, _FULL
        elif behind < 0:
            self._advance(-behind)
            self.highest = seq
        elif behind >= WIDTH:
            self.late += 1
        elif self.seen >> behind & 1:
            self.duplicate += 1
        else:
            self.late += 1
            self.seen |= 1 << behind

    def _advance(self, step: int) -> None:
        leaving = self.seen >> max(WIDTH - step, 0)
        self.lost += step - leaving.bit_count()
        self.seen = (self.seen << step | 1) & _FULL if step < WIDTH else 1
