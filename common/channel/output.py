"""A file written in whole pieces for as long as there is room. Knows nothing about what is in it.

A disk that is full, or an error of any other kind, must not stop the channel: the piece that did not fit is taken back,
one line tells it, and everything after it is only counted, so that what is in the file has no hole.
"""

import io
import logging
from pathlib import Path

from common.errors import ConfigError, SemlinkError

logger = logging.getLogger(__name__)


class Output:
    """Opens `path` for writing; `flag` is the option that named it. Raises ConfigError.

    pieces: written; missed: not written.
    """

    def __init__(self, path: Path, flag: str) -> None:
        self._path, self._flag = path, flag
        self.pieces = self.missed = self._size = 0
        try:
            self._file = io.FileIO(path, "w")  # no buffer: what was written is in the file, and an error comes here
        except OSError as error:
            raise ConfigError(f"{flag} {path}: {error.strerror}") from None

    def write(self, piece: bytes) -> bool:
        """Add a piece; False where it is not in the file."""
        if self.missed or not self._fits(piece):
            self.missed += 1
            return False
        self.pieces += 1
        self._size += len(piece)
        return True

    def close(self) -> None:
        """Close the file. Raises SemlinkError where something is missing in it."""
        self._file.close()
        if self.missed:
            told = f"{self.missed} of {self.missed + self.pieces} frames are not in it (see the log)"
            raise SemlinkError(f"{self._flag} {self._path}: {told}")

    def _fits(self, piece: bytes) -> bool:
        try:
            written = self._file.write(piece) if piece else 0
            if written == len(piece):
                return True
            why = "no room for the whole piece"
            self._file.truncate(self._size)
        except OSError as error:
            why = error.strerror or repr(error)
        logger.error("writing_stopped", extra={"option": self._flag, "path": str(self._path), "why": why})
        return False
