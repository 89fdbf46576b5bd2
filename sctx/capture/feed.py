"""Captures as the link takes them: read ahead by one in a thread of their own. Knows nothing about frames or credit.

A slow or paced source never keeps answers waiting, and the next image is read while the last one is on its way.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import replace

from common.errors import ConfigError
from sctx.capture.source import Capture

TAKEN = "such as sctx.Capture(0, image, None, time.monotonic_ns())"


def source_of(captures: Iterable[Capture]) -> Iterator[Capture]:
    """What gives them one by one, an iterator itself; ConfigError where nothing does."""
    try:
        return iter(captures)
    except TypeError as error:
        raise ConfigError(f"run takes many captures, each {TAKEN}, not one {type(captures).__name__}") from error


def kept(capture: Capture) -> Capture:
    """A capture with an image of its own: who gave it may fill the same buffer again. ConfigError for anything else."""
    if not isinstance(capture, Capture):
        raise ConfigError(f"run takes captures, each {TAKEN}, not {type(capture).__name__}")
    return replace(capture, image=copy(capture.image))


class Feed:
    """Not live: the source waits until its capture is taken. Live: a newer one takes its place.

    Reads `with` it only, and goes on where it stopped: what was read by then is taken next. source: read by one thread
    at a time, and no further than one capture that waits for one to be taken. wake: called when there is something new.
    """

    def __init__(self, source: Iterator[Capture], live: bool, wake: Callable[[], None]) -> None:
        self.source = source
        self._live, self._wake = live, wake
        self._changed = threading.Condition()
        self._ahead, self._skipped = deque[Capture](), deque[int]()
        self._reads = self._ended = self._stop = False
        self.error: BaseException | None = None

    def __enter__(self) -> "Feed":
        with self._changed:
            self._stop = False
            if not self._reads and not self._ended:  # else a slow source kept the last thread until now
                self._reads = True
                threading.Thread(target=self._read, name="sctx-source", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    @property
    def done(self) -> bool:
        """True when the source has ended, by itself or with `error`, and nothing is left to take."""
        with self._changed:
            return self._ended and not self._ahead

    def take(self) -> Capture | None:
        """The next capture (live: the newest), or None if there is none now. Not live: its age counts from here."""
        with self._changed:
            capture = self._ahead.popleft() if self._ahead else None
            self._changed.notify_all()
        return capture if capture is None or self._live else replace(capture, captured_ns=time.monotonic_ns())

    def skipped(self) -> Iterator[int]:
        """Indices passed over, each once."""
        while self._skipped:
            yield self._skipped.popleft()

    def _read(self) -> None:
        try:
            for capture in self.source:
                if not self._put(kept(capture)):
                    return
        except BaseException as error:  # handed to the thread that asks, also one that would end this thread in silence
            self.error = error
        with self._changed:
            self._ended = True
        self._wake()

    def _put(self, capture: Capture) -> bool:
        with self._changed:
            while not self._live and self._ahead and not self._stop:
                self._changed.wait()
            if self._live:
                self._skipped += (old.index for old in self._ahead)
                self._ahead.clear()
            self._ahead.append(capture)
            self._reads = goes_on = not self._stop
        self._wake()
        return goes_on
