"""Commands that find what others wrote loaded: each is a process of its own, forked from one that imported it once.

Knows nothing about what the commands do. To import torch takes two to four seconds of a processor, the other libraries
half of one, and the tests start a hundred commands. All else happens as when a person types the command: its script
runs from its first line, imports this project, reads its arguments, and ends as it ends, except that what torch made is
not taken apart, which is half a second more. Tests about starting itself start cold.

    words, folder, environment, pipes --> stem, which has torch --fork--> keeper --fork--> the command
              process id, then exit code, through a pipe <-----------------'
"""

import atexit
import faulthandler
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

COMMANDS = ("sctx", "scrx", "channel-emu")
LOADED = (
    "torch", "numpy.random", "zmq", "msgpack", "click", "rich.console", "rich.progress", "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin", "safetensors.numpy", "http.server", "multiprocessing.connection",
)  # fmt: skip
"""What the commands import, of others, but for ONNX Runtime: importing it starts a thread, and a process that is forked
beside a thread may wait for ever for what that thread held."""


class Stem:
    """The process that has them."""

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
        return Forked(self._socket, words) if Path(words[0]).name in COMMANDS else subprocess.Popen(words, **pipes)

    def start(self, *words: str, **environment: str) -> "Forked":
        """Start a command, such as start("channel-emu", "--snr", "5"), with these variables besides those of here."""
        return Forked(self._socket, [str(Path(sys.executable).with_name(words[0])), *words[1:]], environment)

    def run(self, *words: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as `subprocess.run`."""
        started = Forked(self._socket, [str(Path(sys.executable).with_name(words[0])), *words[1:]], environment, stdin)
        output, errors = started.communicate(120)
        return subprocess.CompletedProcess(started.args, started.wait(), output, errors)

    def close(self) -> None:
        """End the stem. A command that still runs goes on."""
        self._socket.close()
        self._process.communicate(timeout=60)


class Forked:
    """A command that was forked. Has of `subprocess.Popen` what `training.lab.processes.Command` and the tests use."""

    def __init__(
        self, stem: socket.socket, words: Sequence[str], more: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> None:
        self.args = list(words)
        self.returncode: int | None = None
        self._lock = threading.Lock()
        pipes = [os.pipe() for _ in range(3)]
        given, fed = os.pipe()
        environment = {**os.environ, **(more or {})}
        request = json.dumps({"words": self.args, "folder": os.getcwd(), "environment": environment}).encode()
        socket.send_fds(stem, [request], [theirs for _, theirs in pipes] + [given])
        for theirs in (given, *(theirs for _, theirs in pipes)):
            os.close(theirs)
        self.stdin = None
        self._feeding = threading.Thread(target=feed, args=(fed, stdin), daemon=True)
        self._feeding.start()
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

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it still says, on output and errors, until its end. Raises subprocess.TimeoutExpired."""
        said: dict[str, str] = {}
        streams = {"output": self.stdout, "errors": self.stderr}
        readers = [
            threading.Thread(target=lambda name=name, one=one: said.update({name: one.read()}), daemon=True)
            for name, one in streams.items()
        ]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            for reader in (*readers, self._feeding):
                reader.join()
            for one in streams.values():
                one.close()
        return said["output"], said["errors"]

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


def feed(pipe: int, given: bytes) -> None:
    """Write all of it, unless the reader leaves."""
    with suppress(BrokenPipeError), os.fdopen(pipe, "wb") as out:
        out.write(given)


def grow(stem: socket.socket) -> dict[str, Any]:
    """In the stem: fork for each request. Returns only in the command's own process, with the request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request, pipes, *_ = socket.recv_fds(stem, 1 << 20, 4)
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


def keep(request: bytes, output: int, errors: int, told: int, given: int) -> dict[str, Any]:
    """In the keeper: fork, tell the process id and then the exit code. Returns only in the command's own process."""
    if child := os.fork():
        for pipe in (0, 1, 2, output, errors, given):  # so that who reads them sees the end of the command
            os.close(pipe)
        os.write(told, b"%d\n" % child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(BrokenPipeError):
            os.write(told, b"%d\n" % code)
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for pipe, place in ((given, 0), (output, 1), (errors, 2)):
        os.dup2(pipe, place)
        os.close(pipe)
    os.close(told)
    return dict(json.loads(request))


def end(code: int) -> NoReturn:
    """What Python does at its end, in that order, but for taking apart every module."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # which commands set before they import numpy, and it looks only then
    for needed in LOADED:
        importlib.import_module(needed)

    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        sys.exit(f"one of {LOADED} starts a thread, {threads} in all: nothing may be forked beside it")

    faulthandler.enable()  # a command that does not end says where it hangs (`Command.stop`)
    gc.freeze()  # or the end of each command would copy what they share

    asked = grow(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = asked["words"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as asked_for:
        if not isinstance(asked_for.code, int):
            raise
        end(asked_for.code)
    end(0)
