"""SIGTERM, SIGINT and SIGHUP -> a flag that loops look at. Knows nothing about what has to be drained.

SIGHUP comes where the terminal is gone, as with a line that is lost, and is obeyed unless whoever started us had it
ignored (nohup). The second SIGTERM or SIGINT ends the process at once. SIGHUP never does: a terminal that goes sends it
more than once (the system, the shell), and nobody is impatient.
"""

import os
import signal
from types import FrameType


class StopFlag:
    """False until the first of the signals. Make it in the main thread; loops test it between polls."""

    def __init__(self) -> None:
        self._set = self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            if self._asked:
                os._exit(128 + number)
            self._asked = True
        self._set = True

    def __bool__(self) -> bool:
        return self._set
