"""Captures as the link takes them: read ahead by one in a thread of their own. Knows nothing about frames or credit.

A slow or paced source never keeps answers waiting, and the next image is read while the last one is on its way.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from sctx.capture.source import Capture


class Feed:
    """Holds one capture. Not live: the source waits until it is taken. Live: a newer one takes its place.

    wake: called when there is something new to see.
    """

    def __init__(self, captures: Iterable[Capture], live: bool, wake: Callable[[], None]) -> None:
        self._captures, self._live, self._wake = captures, live, wake
        self._changed = threading.Condition()
        self._slot: Capture | None = None
        self._skipped: list[int] = []
        self._ended = self._stop = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="sctx-source", daemon=True)

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    @property
    def done(self) -> bool:
        """True when the source has ended, by itself or with `error`, and nothing is left to take."""
        with self._changed:
            return self._ended and self._slot is None

    def take(self) -> Capture | None:
        """The next capture (live: the newest), or None if there is none now. Not live: its age counts from here."""
        with self._changed:
            capture, self._slot = self._slot, None
            self._changed.notify_all()
        return capture if capture is None or self._live else replace(capture, captured_ns=time.monotonic_ns())

    def skipped(self) -> list[int]:
        """Indices passed over since the last call."""
        with self._changed:
            skipped, self._skipped = self._skipped, []
            return skipped

    def _read(self) -> None:
        try:
            for capture in self._captures:
                if not self._put(capture):
                    return
        except Exception as error:  # handed to the thread that asks
            self.error = error
        with self._changed:
            self._ended = True
        self._wake()

    def _put(self, capture: Capture) -> bool:
        with self._changed:
            while not self._live and self._slot is not None and not self._stop:
                self._changed.wait()
            if self._slot is not None and self._live:
                self._skipped.append(self._slot.index)
            self._slot = capture
            stopped = self._stop
        self._wake()
        return not stopped
