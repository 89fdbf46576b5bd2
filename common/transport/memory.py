"""Memory that strangers make a process keep -> when to cut their connections. Knows nothing about sockets.

ZeroMQ bounds frames, and how many messages wait, but a message may have any number of frames, and those of an
unfinished one are seen by nobody. What is weighed is the memory of the whole process without what is mapped from files:
who made it grow cannot be seen. Growth of our own by MEMORY_STEP cuts too, until CUTS_IN_VAIN in a row have not made it
less: only then is it ours, and the next step begins there. Sooner would let a flood raise its own limit, since memory
is freed late.
"""

import os
import time
from collections.abc import Callable

WEIGH_EVERY_S = 0.02
MEMORY_STEP = 256 << 20
CUTS_IN_VAIN = 25


def own_bytes() -> int:
    """Memory that this process holds, files that are mapped aside; 0 where it cannot be seen, as outside Linux."""
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY)  # bare: this is asked 50 times a second
    except OSError:
        return 0
    try:
        _, resident, shared, *_ = map(int, os.read(file, 128).split())
    finally:
        os.close(file)
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


class MemoryGuard:
    """For one socket that others write to. Each makes up its own mind: none knows whose the memory is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._weighed_s = clock, clock()
        self._floor, self._in_vain = own_bytes(), 0

    def grown_bytes(self) -> int:
        """By how much this process has grown, where that is too much and its connections are to be cut; else 0."""
        if self._clock() - self._weighed_s < WEIGH_EVERY_S:
            return 0
        self._weighed_s, now = self._clock(), own_bytes()
        if not now:
            return 0
        self._floor = min(self._floor or now, now)
        if (grown := now - self._floor) <= MEMORY_STEP:
            self._in_vain = 0
            return 0
        self._in_vain += 1
        if self._in_vain == CUTS_IN_VAIN:
            self._floor, self._in_vain = now, 0
        return grown
