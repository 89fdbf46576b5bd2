"""Files from others, opened so that no file can hold the emulator up. Knows nothing about what is in them.

Only regular files, and of a bounded size: a FIFO would wait for ever, and a device has no end.
"""

import io
import os
import stat
from pathlib import Path

from common.errors import ConfigError
from common.text import safe

MOST_BYTES = 256 << 20
PATH = 300
"""Characters of a path that are shown at most."""


def open_regular(path: Path, most_bytes: int = MOST_BYTES, follow: bool = True) -> io.BufferedReader:
    """Open a file for reading. follow: a link to a file is a file. Raises ConfigError, with a name fit for a terminal.

    A file that grows while it is read is not read beyond what is asked of it.
    """
    name = safe(path, PATH)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        number = os.open(path, flags)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from None
    except ValueError:  # a zero byte in the name
        raise ConfigError(f"{name} cannot be read: this is no file name") from None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{name} cannot be read: it is no regular file")
        if found.st_size > most_bytes:
            raise ConfigError(f"{name} cannot be read: {found.st_size >> 20} MiB, and at most {most_bytes >> 20} are")
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise
