"""The heads of a receiver, in memory and in a folder: what is there after `put` returned is there after any kill.

Knows nothing about who asks for it. A folder belongs to one receiver at a time.

    DIR/NAME.safetensors     a head; written beside, synced, renamed
    DIR/.lock                held while a receiver runs
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import ConfigError, ModelError, SemlinkError
from common.files import write_atomic
from common.pair.agreement import Agreement
from common.text import safe
from scrx.heads.head import Head, parse_head
from scrx.heads.judging import Judge
from scrx.heads.packed import read_file
from scrx.heads.space import Space

SUFFIX, _LOCK = ".safetensors", ".lock"


class Shelf:
    """Judges by the name of their head. Read by any thread, changed by one. folder: None keeps them in memory alone.

    Raises ConfigError where the folder cannot be used or another receiver has it, ModelError for a file in it that is
    no head of this pair.
    """

    def __init__(self, pair: Agreement, space: Space, folder: Path | None, unknown: float) -> None:
        self.pair, self.space, self.folder, self._unknown = pair, space, folder, unknown
        self.judges: dict[str, Judge] = {}
        """Replaced as a whole, never changed."""
        self._lock: int | None = None
        if folder is not None:
            self._lock = _locked(folder)
            for path in folder.glob(f".*{SUFFIX}.*.tmp"):  # by a write that was killed
                with suppress(OSError):
                    path.unlink()
            try:
                self.judges = {head.name: self._judge(head) for head in self._there(folder)}
            except BaseException:
                self.close()
                raise

    def get(self, name: str) -> Head | None:
        """The head of a name."""
        judge = self.judges.get(name)
        return None if judge is None else judge.head

    def put(self, head: Head) -> None:
        """Keep a head, in the place of one of that name, and judge by it from now on. SemlinkError where it cannot be
        written: then nothing has changed."""
        judge = self._judge(head)
        if self.folder is not None:
            with _told(f"head '{head.name}' was not kept"):
                write_atomic(self.folder / f"{head.name}{SUFFIX}", head.packed())
                _sync(self.folder)
        self.judges = {**self.judges, head.name: judge}

    def remove(self, name: str) -> None:
        """Forget a head, which must be there."""
        if self.folder is not None:
            with _told(f"head '{name}' was not removed"):
                (self.folder / f"{name}{SUFFIX}").unlink(missing_ok=True)
                _sync(self.folder)
        self.judges = {other: judge for other, judge in self.judges.items() if other != name}

    def parse(self, raw: bytes, name: str) -> Head:
        """A head's file as one of this receiver's pair; ModelError says why not."""
        return parse_head(raw, name, self.pair, self.space.wide)

    def close(self) -> None:
        """Let another receiver have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _judge(self, head: Head) -> Judge:
        return Judge(head, self.space, self._unknown)

    def check(self, folder: Path) -> int:
        """How many heads a shelf with this folder would have. Raises as that would, and leaves everything as it is."""
        check_folder(folder)
        return sum(1 for _ in self._there(folder))

    def _there(self, folder: Path) -> Iterator[Head]:
        for path in sorted(folder.glob(f"[!.]*{SUFFIX}")):
            try:
                yield self.parse(read_file(path), path.name.removesuffix(SUFFIX))
            except SemlinkError as error:
                told = str(error).removeprefix(f"{path}: ")
                raise ModelError(f"{safe(path, 300)}: {told}; move it out of the folder") from None


def check_folder(folder: Path) -> None:
    """Raise ConfigError where this process cannot have the folder. What is made for that is taken away again."""
    if os.path.lexists(folder / _LOCK):
        os.close(_locked(folder))
        return
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        with _usable(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # no lock, which nobody holds
                pass
    finally:
        for one in missing:
            with suppress(OSError):
                one.rmdir()


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"heads: {safe(folder, 300)} cannot be used: {error.strerror}") from None


def _locked(folder: Path) -> int:
    """The folder, made where it is not there, for this process alone; the number of its lock."""
    with _usable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        raise ConfigError(f"heads: another receiver uses {safe(folder, 300)}; give each a folder of its own") from None
    return number


def _sync(folder: Path) -> None:
    """What was renamed or removed in a folder is so after the power fails, too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SemlinkError(f"{what}: {error.strerror}; make room or mend the folder, and ask again") from None
