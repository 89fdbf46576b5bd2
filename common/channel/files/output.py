"""A file written in whole pieces for as long as there is room. Knows nothing about what is in it.

A disk that is full, a pipe that nobody reads, or an error of any other kind, must not stop the channel: the piece that
did not fit is taken back, one line tells it, and everything after it is only counted, so that what is in the file has
no hole.

The file is readable by its owner alone. What is there already is not touched unless that is asked for, and then it is
replaced and not written over; a link is never followed.
"""

import errno
import io
import logging
import os
import select
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import ConfigError, SemlinkError
from common.inputs import PATH
from common.text import safe

logger = logging.getLogger(__name__)
READ_WITHIN_S = 0.25
"""So long a piece waits for the reader of a pipe that is full, and the channel with it: less than half a second, after
which that would count as hung."""


class Output:
    """Opens `path` for writing; `flag` is the option that named it. Raises ConfigError.

    overwrite: replace a file of this name. kept: bytes that a last piece (`finish`) takes; a file has room for it from
    the beginning on, in blanks behind what is written. pieces: written; missed: not written; size: bytes written.
    """

    def __init__(self, path: Path, flag: str, overwrite: bool = False, kept: int = 0) -> None:
        self._path, self._flag = path, flag
        self.pieces = self.missed = self.size = 0
        with _told(path, flag):
            self._file = io.FileIO(_create(path, flag, overwrite), "w")  # no buffer: an error comes where it belongs
            self._kept = b" " * kept if self._file.seekable() else b""
            if self._kept:
                self._keep()

    def write(self, piece: bytes) -> bool:
        """Add a piece; False where it is not in the file."""
        if self.missed or not self._fits(piece):
            self.missed += 1
            return False
        self.pieces += 1
        self.size += len(piece)
        return True

    def take_back(self, size: int) -> None:
        """Leave out the last `size` bytes, a piece of which another file could not take its part."""
        self.size -= size
        self.pieces -= 1
        self.missed += 1
        with suppress(OSError):
            self._cut()

    def finish(self, piece: bytes) -> None:
        """Add a last piece and close, whatever was missed before. Raises OSError where it is not in the file."""
        with self._file:
            if piece and self._file.write(piece) != len(piece):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._kept:
                self._file.truncate()

    def discard(self) -> None:
        """Close the file and take it away; a device or a pipe is not ours."""
        self._file.close()
        if self._path.is_file():
            self._path.unlink()

    def close(self) -> None:
        """Close the file. Raises SemlinkError where something is missing in it."""
        self._file.close()
        if self.missed:
            told = f"{self.missed} of {self.missed + self.pieces} frames are not in it (see the log)"
            raise SemlinkError(f"{self._flag} {safe(self._path, PATH)}: {told}")

    def _fits(self, piece: bytes) -> bool:
        raw = piece + self._kept if piece else b""
        try:
            written = self._file.write(raw) if piece else 0
            if written is None and select.select([], [self._file], [], READ_WITHIN_S)[1]:
                written = self._file.write(raw)
            if written == len(raw):
                if self._kept:
                    self._file.seek(self.size + len(piece))
                return True
            if written is None:
                raise OSError(errno.EAGAIN, f"nobody reads it for {READ_WITHIN_S:g} s")
            why = "no room for the whole piece"
            self._cut()
        except OSError as error:
            why = error.strerror or repr(error)
        logger.error("writing_stopped", extra={"option": self._flag, "path": str(self._path), "why": why})
        return False

    def _keep(self) -> None:
        try:
            if self._file.write(self._kept) != len(self._kept):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._file.seek(0)
        except BaseException:
            self._file.close()
            os.unlink(self._path)
            raise

    def _cut(self) -> None:
        """Take back what lies behind the pieces, but for the room of the last."""
        self._file.truncate(self.size + len(self._kept))
        self._file.seek(self.size)


def check_output(path: Path, flag: str, overwrite: bool) -> None:
    """Raise ConfigError where `Output` would, and leave everything as it is."""
    with _told(path, flag):
        check_free(path, flag, overwrite)
        if not os.path.lexists(path):
            os.close(_create(path, flag, overwrite))  # and taken away again: a trial knows all reasons
            os.unlink(path)
        elif path.is_file():  # it would be replaced
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        elif path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not os.access(path, os.W_OK):  # a device or a pipe, whose reader would see it opened
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _told(path: Path, flag: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{flag} {safe(path, PATH)}: {error.strerror}") from None
    except ValueError:  # a zero byte in the name
        raise ConfigError(f"{flag} {safe(path, PATH)}: this is no file name") from None


def check_free(path: Path, flag: str, overwrite: bool) -> None:
    """Raise ConfigError where a name is taken and not to be replaced, or where it is a link."""
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISLNK(mode):
        raise ConfigError(f"{flag} {safe(path, PATH)}: this is a link; name the file itself")
    if stat.S_ISREG(mode) and not overwrite:
        raise ConfigError(f"{flag} {safe(path, PATH)}: there is such a file already; name another, or add --overwrite")


def _create(path: Path, flag: str, overwrite: bool) -> int:
    check_free(path, flag, overwrite)
    create = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_CREAT | os.O_EXCL
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):  # a device or a pipe; a folder says so itself
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        os.unlink(path)
    return os.open(path, create, 0o600)
