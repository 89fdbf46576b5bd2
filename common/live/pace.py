"""Slow or hung? How long work may take, judged by what was answered before. Pure: knows no clock.

A fixed limit calls a slow model hung, and a generous one finds a hung model late. So each answer is a measure: a larger
batch takes at most in proportion, a smaller one at most as long, and what takes four times as long as that is hung.
"""

from collections import deque

LEAST_S, FIRST_S, TIMES = 5.0, 60.0, 4.0
"""A limit is never below the first; before anything was answered (kernels are compiled, pages are read) it is the
second."""
KEPT = 16


class Pace:
    """What batches took. For one thread; `limit_s` may be asked by any."""

    def __init__(self) -> None:
        self._took: dict[int, deque[tuple[int, float]]] = {}

    def took(self, count: int, time_s: float) -> None:
        """`count` things were answered together within `time_s`."""
        size = count.bit_length()
        if size not in self._took:
            self._took = self._took | {size: deque(maxlen=KEPT)}  # another one, for those who read meanwhile
        self._took[size].append((count, time_s))

    def limit_s(self, count: int) -> float:
        """How long `count` things may take together before they count as hung."""
        bounds = [max(s * max(1.0, count / n) for n, s in tuple(kept)) for kept in self._took.values() if kept]
        return max(LEAST_S, TIMES * min(bounds)) if bounds else FIRST_S
