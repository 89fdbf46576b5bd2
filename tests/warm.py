"""Commands that find torch loaded: each is a process of its own, forked from one that has imported it once.

Knows nothing about what the commands do. To import torch takes two to four seconds of a processor, and the tests start
dozens of commands that need it. All else happens as when a person types the command: its script runs from its first
line, imports this project, reads its arguments, and ends as it ends. Tests about starting itself start cold.

    words, folder, environment, pipes --> stem, which has torch --fork--> keeper --fork--> the command
              process id, then exit code, through a pipe <-----------------'
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

NEED_TORCH = ("sctx", "scrx")


class Stem:
    """The process that has torch."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [sys.executable, __file__, str(theirs.fileno())]
            pipe = subprocess.PIPE  # as the commands have: Python looks at what its streams are once, at its start
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, pass_fds=[theirs.fileno()]
            )

    def begin(self, words: Sequence[str], **pipes: Any) -> "Forked | subprocess.Popen[str]":
        """For `Command`, in the place of `subprocess.Popen`: run words[0] with the other words.

        Whatever `pipes` says, a forked command has an empty standard input, and two text pipes for output and errors.
        """
        return Forked(self._socket, words) if Path(words[0]).name in NEED_TORCH else subprocess.Popen(words, **pipes)

    def close(self) -> None:
        """End the stem. A command that still runs goes on."""
        self._socket.close()
        self._process.communicate(timeout=60)


class Forked:
    """A command that was forked. Has of `subprocess.Popen` what `training.lab.processes.Command` and the tests use."""

    def __init__(self, stem: socket.socket, words: Sequence[str]) -> None:
        self.args = list(words)
        self.returncode: int | None = None
        self._lock = threading.Lock()
        pipes = [os.pipe() for _ in range(3)]
        request = json.dumps({"words": self.args, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
        socket.send_fds(stem, [request], [theirs for _, theirs in pipes])
        for _, theirs in pipes:
            os.close(theirs)
        self.stdin = None
        self.stdout, self.stderr, self._told = (os.fdopen(ours) for ours, _ in pipes)
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended. Raises subprocess.TimeoutExpired."""
        if (code := self._wait(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout_s: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._told], [], [], timeout_s)[0]:
                self.returncode = int(self._told.readline())
                self._told.close()
            return self.returncode


def grow(stem: socket.socket) -> dict[str, object]:
    """In the stem: fork for each request. Returns only in the command's own process, with the request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request, pipes, *_ = socket.recv_fds(stem, 1 << 20, 3)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # keepers that ended since
                pass
        if not request:
            os._exit(0)
        if not os.fork():
            stem.close()
            return keep(request, *pipes)
        for pipe in pipes:
            os.close(pipe)


def keep(request: bytes, output: int, errors: int, told: int) -> dict[str, object]:
    """In the keeper: fork, tell the process id and then the exit code. Returns only in the command's own process."""
    if child := os.fork():
        for pipe in (1, 2, output, errors):  # so that who reads them sees the end of the command
            os.close(pipe)
        os.write(told, b"%d\n" % child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(BrokenPipeError):
            os.write(told, b"%d\n" % code)
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for pipe, place in ((output, 1), (errors, 2)):
        os.dup2(pipe, place)
        os.close(pipe)
    os.close(told)
    return dict(json.loads(request))


if __name__ == "__main__":
    import torch  # noqa: F401

    gc.freeze()  # or the end of each command would copy what they share

    asked = grow(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = asked["words"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
