"""libzmq's I/O threads: whether they take the processor from who runs, or wait their turn. Knows nothing about sockets.

Linux gives a thread that is woken the processor of whoever has had it for a while. Where that is another processor, it
has to be interrupted, which a virtual machine does slowly; where it is our own, a message that is handed over is not
done with before the I/O thread has sent it. Neither is needed while everybody waits awake, and so gives way all the
time: then the I/O threads are SCHED_BATCH, which take no processor from anybody (`deploy/LINK.md` has what that saves).
Beside others who do not give way they would wait for a slice of time, so that all else is as Linux does it.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import zmq

_NAMED = count(1)
_SHOWN = 15
"""Characters of a thread's name that Linux keeps."""
_TASKS = Path("/proc/self/task")


def make_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """A context whose threads can be told from those of others in this process."""
    context = zmq.Context[zmq.Socket[bytes]]()
    context.set(zmq.THREAD_NAME_PREFIX, next(_NAMED))
    return context


class IoThreads:
    """Those of one context. Nothing is done where the system knows no such turns or allows no change, nor to threads
    that somebody gave another policy (`chrt`)."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self._prefix = int(context.get(zmq.THREAD_NAME_PREFIX))
        self._waiting = False
        self._found: list[int] | None = None

    def wait_their_turn(self, waiting: bool) -> None:
        """Have them take the processor from nobody from now on, or again from who has had it for long."""
        if waiting is self._waiting:
            return
        self._waiting = waiting
        if self._found is None:  # only now: a context without sockets has no threads
            self._found = list(self._find())
        for thread in self._found:
            with suppress(OSError):  # it ended, or a sandbox forbids it
                os.sched_setscheduler(thread, os.SCHED_BATCH if waiting else os.SCHED_OTHER, os.sched_param(0))

    def _find(self) -> Iterator[int]:
        name = (f"{self._prefix}/" if self._prefix else "") + "ZMQbg/IO"
        for task in _TASKS.iterdir() if _TASKS.exists() and hasattr(os, "SCHED_BATCH") else ():
            with suppress(OSError):
                thread = int(task.name)
                named = (task / "comm").read_text().startswith(name[:_SHOWN])
                if named and os.sched_getscheduler(thread) == os.SCHED_OTHER:
                    yield thread
