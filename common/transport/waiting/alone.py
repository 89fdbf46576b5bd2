"""Calls that must not meet: each has an object for itself. Knows nothing about what the object is, or does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import ConfigError


class Alone:
    """`with turn():` for a call: threads take turns. `with begun():` for a generator, whose reader does other things
    between its values: until it has ended or was closed, whoever else calls gets ConfigError with `refusal`, and so
    does a call inside a call of the same thread. For any thread.
    """

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._turn, self._begun = threading.RLock(), False

    @contextmanager
    def begun(self) -> Iterator[None]:
        """From now on alone. Waits for a call that is going on."""
        with self._turn:
            if self._begun:
                raise ConfigError(self._refusal)
            self._begun = True
        try:
            yield
        finally:
            self._begun = False

    @contextmanager
    def turn(self, wait_s: float = -1.0) -> Iterator[bool]:
        """Alone, and others wait meanwhile; False where it was not one's turn within `wait_s` (-1: whenever it is)."""
        if not self._turn.acquire(timeout=wait_s):
            yield False
            return
        try:
            with self.begun():
                yield True
        finally:
            self._turn.release()
