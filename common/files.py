"""Files and folders that a command is to write: whether it will be able to is told before the work, not after it.

Knows nothing about what is written. `UserPath`, `OutFile` and `OutFolder` are types of click options; `writable` is for
places that no option names.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from common.errors import ConfigError

FIGURES = (".png", ".svg", ".pdf")
ROOM = 32 << 20
"""Bytes that must be free at least: a pair with its checkpoint, or any table and figure."""


def writable(place: Path, *, folder: bool, room: int = ROOM) -> Path:
    """`place`, if a file of `room` bytes (folder=True: files in a folder) can be written there; nothing is left behind.

    ConfigError says why not: the folder is a file, may not be written to, or its disk is full.
    """
    above = Path(os.path.realpath(place.parent))
    lent = above == Path("/dev") or above.match("/proc/*/fd")  # such as /dev/stdout, wherever it leads
    device = lent or (place.exists() and not place.is_file())
    if not folder and device:  # it would be replaced by a file
        raise ConfigError(f"{place} is a {'folder' if place.is_dir() else 'device'}: give the name of a file")
    if not folder and place.is_symlink():
        real = os.path.realpath(place)
        if os.path.islink(real) or not os.path.isdir(os.path.dirname(real)):  # a circle, or into a folder that is gone
            raise ConfigError(f"{place} is a link to nothing: give the name of a file, or make the folder it leads to")
    above = place if folder else place.parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        what = "no folder" if above.exists() else "a link to nothing"
        raise ConfigError(f"{above} is {what}: {place} cannot be written")
    try:
        with tempfile.TemporaryFile(dir=above):
            free = shutil.disk_usage(above).free
    except OSError as error:
        raise ConfigError(f"cannot write to {above}: {error.strerror}; give another place than {place}") from None
    if free < room:
        raise ConfigError(f"{above} has {free >> 20} MiB left, and {place} may need {room >> 20}: make room first")
    return place


class UserPath(click.Path):
    """Every path that an option or an argument takes, `~` put in full as `user_path` does.

    A shell does that at the beginning of a word alone: not in `--keys=~/x`, and what stands in a file or in the
    environment no shell reads.
    """

    def __init__(self, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists, file_okay, dir_okay, path_type=Path)

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> Path:
        return Path(str(super().convert(str(user_path(str(value))), parameter, context)))


class _Out(UserPath):
    """A path that is checked when the command line is read."""

    folder = False

    def __init__(self) -> None:
        super().__init__()

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> Path:
        return writable(super().convert(value, parameter, context), folder=self.folder)


class OutFile(_Out):
    """A file to be written, with the folders above it. suffixes: those that there are formats for, none for any."""

    def __init__(self, suffixes: Sequence[str] = ()) -> None:
        super().__init__()
        self.suffixes = suffixes

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> Path:
        path = super().convert(value, parameter, context)
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            raise ConfigError(f"{path}: give a name that ends in {', '.join(self.suffixes)}")
        return path


class OutFolder(_Out):
    """A folder to write files to; it may be there already."""

    folder = True


def write_atomic(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all: temporary file beside it, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """`value` as JSON in ASCII with a newline at its end, whole or not at all; folders above `path` are made.

    indent: spaces per level; None: all on one line. TypeError where `value` has what JSON has not.
    """
    raw = json.dumps(value, indent=indent).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, raw)


def user_path(text: str) -> Path:
    """A path as it was typed, `~` and `~USER` put in full; in `./~x` there is none. ConfigError: no such user."""
    full = os.path.expanduser(text)  # a Path would have lost the "./"
    if full == text and text.startswith("~"):
        raise ConfigError(f"{text}: there is no such user here; write ./{text} for a file of that name")
    return Path(full)
