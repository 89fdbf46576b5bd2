"""Captures as the link takes them: each one in turn, or only the newest. Knows nothing about frames or credit."""

import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from sctx.source import Capture


class InTurn:
    """Captures one after the other; the source waits for credit, and an image's age counts from when it is taken."""

    def __init__(self, captures: Iterable[Capture]) -> None:
        self._iterator = iter(captures)
        self.done = False

    def __enter__(self) -> "InTurn":
        return self

    def __exit__(self, *_: object) -> None:
        self.done = True

    def take(self) -> Capture | None:
        """The next capture; None at the end."""
        capture = next(self._iterator, None)
        self.done = capture is None
        return replace(capture, captured_ns=time.monotonic_ns()) if capture else None

    def skipped(self) -> list[int]:
        """Nothing is ever passed over."""
        return []


class Latest:
    """A thread reads captures; only the newest is kept, and the index of each one that is passed over is remembered."""

    def __init__(self, captures: Iterable[Capture]) -> None:
        self._captures = captures
        self._lock = threading.Lock()
        self._newest: Capture | None = None
        self._skipped: list[int] = []
        self._exhausted = self._stop = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="sctx-source", daemon=True)

    def __enter__(self) -> "Latest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True

    @property
    def done(self) -> bool:
        """True when the source has ended and nothing is left to take. Raises what the source raised."""
        with self._lock:
            if self._error:
                raise self._error
            return self._exhausted and self._newest is None

    def take(self) -> Capture | None:
        """The newest capture that was not taken yet; None if there is none."""
        with self._lock:
            capture, self._newest = self._newest, None
            return capture

    def skipped(self) -> list[int]:
        """Indices passed over since the last call."""
        with self._lock:
            skipped, self._skipped = self._skipped, []
            return skipped

    def _read(self) -> None:
        try:
            for capture in self._captures:
                with self._lock:
                    if self._newest is not None:
                        self._skipped.append(self._newest.index)
                    self._newest = capture
                if self._stop:
                    break
        except Exception as error:  # handed to the thread that asks
            self._error = error
        self._exhausted = True
