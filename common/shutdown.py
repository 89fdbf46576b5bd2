"""The signals that ask a process to end -> a flag or a count that loops look at, or KeyboardInterrupt. Knows nothing
about what has to be drained.

They are SIGTERM, SIGINT, and SIGHUP (the terminal or the ssh line is gone) unless it was ignored at the start, as nohup
does. The second signal (where they are counted, the third) ends the process at once, but for SIGHUP, which a terminal
that goes away may send twice.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_asked_s = math.inf
"""When the first of them came (monotonic)."""


def asked_for_s() -> float:
    """How long ago this process was first asked to end, in s; -infinity: it was not. For any thread."""
    return time.monotonic() - _asked_s


def _note() -> None:
    global _asked_s
    _asked_s = min(_asked_s, time.monotonic())


def ending_signals() -> tuple[signal.Signals, ...]:
    """What asks this process to end. Ask before handlers are set."""
    hang_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hang_up)


def interrupt_on_end() -> None:
    """Raise KeyboardInterrupt in the main thread, as Ctrl-C does, for each of them."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _note()
        if number == signal.SIGHUP:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in ending_signals():
        signal.signal(number, interrupt)


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Raise nothing in this block; how many of them came in it is for loops to look at. For what must not be broken off
    between two lines: KeyboardInterrupt is raised at any. Main thread only.
    """
    came = list[int]()

    def count(number: int, frame: FrameType | None) -> None:
        _note()
        came.append(number)
        if number == signal.SIGHUP:
            signal.signal(number, signal.SIG_IGN)
        elif len(came) > 2:
            os._exit(128 + number)

    before = {number: signal.signal(number, count) for number in ending_signals()}
    try:
        yield came.__len__
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is count:
                signal.signal(number, handler)


class StopFlag:
    """False until the first such signal. Make it in the main thread; loops test it between polls."""

    def __init__(self) -> None:
        self._set = False
        for number in ending_signals():
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._set and number != signal.SIGHUP:
            os._exit(128 + number)
        _note()
        self._set = True

    def __bool__(self) -> bool:
        return self._set
