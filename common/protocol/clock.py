"""Offset between two hosts' monotonic clocks from four-timestamp pings. Knows nothing about sockets.

Offset = ((t2 - t1) + (t3 - t4)) / 2 as in NTP (RFC 5905, section 8); of the last eight pings the one with the shortest
round trip is believed, and half its round trip bounds the error.
"""

from collections import deque


class ClockOffset:
    """Peer clock minus own clock, in nanoseconds, from the best of the last eight round trips."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=8)
        self._best: tuple[int, int] | None = None  # asked for at every frame

    def update(self, t1: int, t2: int, t3: int, t4: int) -> None:
        """t1, t4: own send and receive time; t2, t3: peer's receive and send time (ns). What cannot be is left out."""
        if not 0 <= t3 - t2 <= t4 - t1:
            return
        self._samples.append(((t4 - t1) - (t3 - t2), ((t2 - t1) + (t3 - t4)) // 2))
        self._best = min(self._samples)

    @property
    def round_trip_ns(self) -> int:
        """Shortest recent round trip without the peer's own time; 0 before the first ping."""
        return self._best[0] if self._best else 0

    @property
    def offset_ns(self) -> int | None:
        """Peer clock minus own clock; None before the first ping."""
        return self._best[1] if self._best else None

    @property
    def error_ns(self) -> int | None:
        """Bound of the offset's error: half the round trip it came from."""
        return self.round_trip_ns // 2 if self._best else None
