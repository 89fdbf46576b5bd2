"""An address to listen at, for this process alone as long as it has it. Knows nothing about what is said there.

The system sees to that for ports. For the file of an `ipc://` address nobody does: ZeroMQ puts its own in the place of
whatever socket is there, be it another process's that runs, and leaves it behind at the end. So a lock beside the file
(FILE.lock) says whose it is; both are taken away when the address is released, and the file only if it is still ours.
"""

import fcntl
import os
import socket as system
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import zmq

from common.errors import ConfigError
from common.text import safe
from common.transport.endpoints import parts_of
from common.transport.sockets import bind, make_socket
from common.transport.waiting.io_threads import make_context

_IPC = "ipc://"
_NO_FILE = ("@", "*")
"""Begin of an `ipc://` address that is a name and no file, and of one whose file is ZeroMQ's own to make and remove."""
_PATIENCE_S = 0.2


class Claim:
    """`address` as parsed before. Raises ConfigError where another process listens there, as far as can be seen."""

    def __init__(self, address: str, flag: str = "listen") -> None:
        self._address, self._flag = address, flag
        path = address.removeprefix(_IPC)
        self._path = path if address.startswith(_IPC) and not path.startswith(_NO_FILE) else ""
        self._number: int | None = None
        self._ours: tuple[int, int] | None = None
        if self._path:
            with suppress(OSError):
                if not stat.S_ISSOCK(os.lstat(path).st_mode):
                    raise ConfigError(f"{flag}: {safe(path, 300)} is there and is no socket; name another")
            self._lock()
            if _is_served(path):  # by who knows no such lock
                self.release()
                raise self._taken()

    def bind(self, socket: "zmq.Socket[bytes]") -> str:
        """Bind and return the address in full, which is bound another time (port 0 takes a free one).

        ConfigError where that is not possible.
        """
        self._address = bind(socket, self._address, self._flag)
        if self._path:
            self._ours = _identity(self._path)
        return self._address

    def release(self) -> None:
        """Let others have it, and leave nothing there. After the socket was closed; a second time changes nothing."""
        if self._number is None:
            return
        with suppress(OSError):
            if self._ours is not None and _identity(self._path) == self._ours:
                os.unlink(self._path)
        with suppress(OSError):
            os.unlink(f"{self._path}.lock")
        os.close(self._number)
        self._number = None

    def _lock(self) -> None:
        name = f"{self._path}.lock"
        while True:
            try:
                number = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                why = f"cannot listen on {safe(self._address, 300)}: {error.strerror}"
                raise ConfigError(f"{self._flag}: {why}; choose another") from None
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(number)
                raise self._taken() from None
            found = os.fstat(number)
            if _identity(name) == (found.st_dev, found.st_ino):
                self._number = number
                return
            os.close(number)  # whoever had it has just taken it away

    def _taken(self) -> ConfigError:
        told = f"cannot listen on {safe(self._address, 300)}: another process does"
        return ConfigError(f"{self._flag}: {told}; choose another")


def check_free(address: str, flag: str = "listen") -> None:
    """Raise ConfigError as `Claim` and its `bind` would, before what takes long."""
    with held(address, flag):
        pass


@contextmanager
def held(address: str, flag: str = "listen") -> Iterator[None]:
    """The address is taken until the end of the block. Raises ConfigError as `Claim` and its `bind` would."""
    if address.startswith(_IPC):
        claim = Claim(address, flag)
        try:
            yield
        finally:
            claim.release()
    elif not parts_of(address)[1]:
        yield
    else:
        context = make_context()
        try:
            with make_socket(context, zmq.ROUTER, "rx") as probe:
                bind(probe, address, flag)
                yield
        finally:
            context.term()


def _identity(path: str) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none."""
    with suppress(OSError):
        found = os.lstat(path)
        return found.st_dev, found.st_ino
    return None


def _is_served(path: str) -> bool:
    """Whether somebody takes connections at a socket's file."""
    with system.socket(system.AF_UNIX, system.SOCK_STREAM) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(path)
        except (TimeoutError, BlockingIOError):  # somebody is there who is behind
            return True
        except OSError:
            return False
        return True
