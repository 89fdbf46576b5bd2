"""SIGTERM and SIGINT -> a flag that loops look at. Knows nothing about what has to be drained.

The second signal ends the process at once.
"""

import os
import signal
from types import FrameType


class StopFlag:
    """False until the first SIGTERM or SIGINT. Make it in the main thread; loops test it between polls."""

    def __init__(self) -> None:
        self._set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._set:
            os._exit(128 + number)
        self._set = True

    def __bool__(self) -> bool:
        return self._set
