"""libzmq's I/O threads: whether they take the processor from who runs, or wait their turn. Knows nothing about sockets.

Linux gives a thread that is woken the processor of whoever has had it for a while. Where that is another processor, it
has to be interrupted, which a virtual machine does slowly; where it is our own, a message that is handed over is not
done with before the I/O thread has sent it. Neither is needed while everybody waits awake, and so gives way all the
time: then the I/O threads are SCHED_BATCH, which take no processor from anybody (`deploy/LINK.md` has what that saves).
Beside others who do not give way they would wait for a slice of time. So whoever goes to sleep, or only looks and does
not wait, has them as Linux does it.
"""

import os
import resource
from contextlib import suppress
from itertools import count
from pathlib import Path

import zmq

from common.errors import ConfigError

_NUMBERS = count(1)
_SHOWN = 15
"""Characters of a thread's name that Linux keeps."""
_TASKS = Path("/proc/self/task")
FEWEST_FILES = 64
"""That a process must be able to hold open. Where libzmq gets none it ends the process: a receiver with two workers
where 20 may be open."""


def check_files() -> None:
    """ConfigError where this process may hold so few files open that libzmq would end it."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < FEWEST_FILES:  # no limit is -1 on Linux
        raise ConfigError(f"only {files} files may be open at a time, and {FEWEST_FILES} must be: raise `ulimit -n`")


def make_context() -> "zmq.Context[zmq.Socket[bytes]]":
    """A context whose threads can be told from those of others in this process. Raises ConfigError (`check_files`)."""
    check_files()
    context = zmq.Context[zmq.Socket[bytes]]()
    context.set(zmq.THREAD_NAME_PREFIX, next(_NUMBERS))
    return context


class IoThreads:
    """Those of one context that `make_context` made; those of others cannot be told apart.

    Nothing is done where the system knows no such turns or allows no change, nor to threads that somebody gave another
    policy (`chrt`).
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self._prefix = int(context.get(zmq.THREAD_NAME_PREFIX))
        self.waiting = False
        """Whether they wait their turn."""
        self._found: list[int] | None = None
        self._changed: list[int] = []

    def wait_their_turn(self, waiting: bool) -> None:
        """Have them take the processor from nobody from now on, or again from who has had it for long."""
        if waiting is self.waiting:
            return
        self.waiting = waiting
        if self._found is None:  # only now: a context without sockets has no threads
            self._found = _named(f"{self._prefix}/ZMQbg/IO"[:_SHOWN]) if self._prefix else []
        if waiting:
            self._changed = [thread for thread in self._found if _changed(thread, os.SCHED_OTHER, os.SCHED_BATCH)]
        else:
            for thread in self._changed:
                _changed(thread, os.SCHED_BATCH, os.SCHED_OTHER)


def _changed(thread: int, before: int, after: int) -> bool:
    """Give a thread another policy where it has the one before; whether it was given."""
    with suppress(OSError):  # it ended, or a sandbox forbids it
        if os.sched_getscheduler(thread) == before:
            os.sched_setscheduler(thread, after, os.sched_param(0))
            return True
    return False


def _named(name: str) -> list[int]:
    """Threads of this process whose name begins so."""
    found = []
    with suppress(OSError):  # a sandbox forbids to look
        for task in _TASKS.iterdir() if hasattr(os, "SCHED_BATCH") else ():
            with suppress(OSError):  # it has ended
                if (task / "comm").read_text().startswith(name):
                    found.append(int(task.name))
    return found
