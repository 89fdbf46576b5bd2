"""Tells a supervisor (systemd, Type=notify) that a process is ready, how it is, and that it makes progress.

The watchdog is fed by progress: while the loop turns and work that waits is being done. A peer that is away feeds it as
well, since a restart would not bring it back. Knows nothing about what runs.
"""

import os
import socket
import threading
from contextlib import suppress

from common.live.board import Board
from common.text import safe

USUAL_S = 5.0


class Supervisor:
    """Speaks to the socket that `NOTIFY_SOCKET` names. watchdog_s: how long its silence may last."""

    def __init__(self, address: str, watchdog_s: float | None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every_s = USUAL_S if watchdog_s is None else watchdog_s / 3
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._over = threading.Event()

    def watch(self, board: Board) -> None:
        """The process is ready; from now on its progress is told, in a thread of our own."""
        self._tell("READY=1")
        threading.Thread(target=self._run, args=(board,), name="supervised", daemon=True).start()

    def close(self) -> None:
        """The process goes away."""
        self._over.set()
        self._tell("STOPPING=1")
        self._socket.close()

    def _run(self, board: Board) -> None:
        while not self._over.is_set():
            why = board.stuck()
            self._tell(f"STATUS={safe(why or board.why_now() or 'ready', 200)}" + ("" if why else "\nWATCHDOG=1"))
            self._over.wait(self._every_s)

    def _tell(self, words: str) -> None:
        with suppress(OSError):  # who does not listen loses nothing but news
            self._socket.sendto(words.encode(), self._address)


def supervisor() -> Supervisor | None:
    """The one of this process, if it was started by one."""
    address, watchdog_us = os.environ.get("NOTIFY_SOCKET", ""), os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if address[:1] not in ("/", "@"):
        return None
    return Supervisor(address, int(watchdog_us) / 1e6 if watchdog_us.isdigit() and ours else None)
