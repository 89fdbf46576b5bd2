"""One host's key pair and the public keys that it trusts: two text files in a folder. Knows nothing about sockets.

    own.secret   `NAME KEY`, this host's secret key; refused if anybody else can read it
    trusted      `NAME KEY` for each peer, its public key; lines that begin with # are remarks

Keys are CURVE25519 keys in 64 hex digits. A peer that is connected to is looked up by the name of its host; a peer that
connects is let in whatever its name. Either may be edited by hand; `python -m common.transport.keys` does it safely.
"""

import fcntl
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from common.check import switch
from common.errors import ConfigError
from common.text import safe
from common.transport.endpoints import as_ipv4

logger = logging.getLogger(__name__)
TOOL = "python -m common.transport.keys"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A host's name and its two keys, 32 bytes each. The secret is never shown."""

    name: str
    public: bytes
    secret: bytes = field(repr=False)


def default_folder() -> Path | None:
    """Where keys lie unless `--keys` says otherwise; None for a user who has no home."""
    try:
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "semlink" / "keys"
    except RuntimeError:
        return None


def find_keys(folder: str | Path | None, insecure: bool = False) -> "Keys | None":
    """The keys of `folder`, or of the default folder if there are any; None: speak without encryption.

    Raises ConfigError where keys that were asked for are missing, damaged, or open to others.
    """
    if not isinstance(folder, str | Path | None):
        raise ConfigError(f"keys is {safe(repr(folder))} and must be a folder")
    if switch("insecure", insecure) and folder is not None:
        raise ConfigError("keys and insecure exclude each other: with keys the link is encrypted")
    if folder is None and not insecure and (folder := default_folder()) is not None and not _is_there(folder):
        folder = None
    return None if folder is None else Keys(Path(folder))


def _is_there(folder: Path) -> bool:
    """Whether there are keys. Raises ConfigError where that cannot be seen: in doubt nothing is said in the clear."""
    try:
        (folder / "own.secret").stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        why = f"cannot look for keys in {folder}: {error.strerror}"
        raise ConfigError(f"{why}; say keys=DIR or insecure=True") from None
    return True


def tell_access(keys: "Keys | None", insecure: bool) -> str:
    """Who can reach a bare port, in a line for people."""
    if keys is not None:
        count = len(keys.trusted)
        return f"encrypted; lets in {keys.own.name} and the {count} key{'s' * (count != 1)} trusted in {keys.folder}"
    if insecure:
        return "anybody can reach it, without encryption (--insecure)"
    return f"only this host can reach it; to let others in make keys with `{TOOL}`, or say --insecure"


def tell_keys(keys: "Keys | None") -> str:
    """How a peer is spoken to, in a line for people."""
    return "in the clear" if keys is None else f"encrypted, by the key of {keys.own.name} in {keys.folder}"


class Keys:
    """The keys in a folder. `trusted`: name -> public key, as of the last `refresh`. For one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = _read_own(folder / "own.secret")
        self.trusted: dict[str, bytes] = {}
        self._seen: tuple[int, ...] | None = None
        self._unreadable = ""
        problems = self._read_trusted()
        if problems:
            raise ConfigError(problems[0])

    def refresh(self) -> None:
        """Read `trusted` again if it has changed. A line that cannot be read lets nobody in, and is logged."""
        for problem in self._read_trusted():
            logger.error("trusted_keys", extra={"why": problem})

    def admits(self, public: bytes) -> bool:
        """Whether a peer with this public key may connect: one that is trusted, or this host itself."""
        return public == self.own.public or public in self.trusted.values()

    def name_of(self, public: bytes) -> str:
        """The name that a public key is trusted under; its first digits where it is not."""
        names = [name for name, key in [(self.own.name, self.own.public), *self.trusted.items()] if key == public]
        return names[0] if names else f"unknown key {public.hex()[:12]}"

    def of_host(self, host: str, local: bool) -> bytes:
        """The public key that a peer at `host` must hold; a `local` one holds this host's own. Raises ConfigError."""
        if host in self.trusted:
            return self.trusted[host]
        if local or host == self.own.name:
            return self.own.public
        raise ConfigError(
            f"no trusted key for {host} in {self.folder}: run `{TOOL} show` there and `{TOOL} trust {host} KEY` here"
        )

    def trust(self, name: str, public: bytes) -> None:
        """Add a peer or give it another key."""
        check_name(name)
        name = as_ipv4(name)
        with _locked(self.folder):
            lines = self._lines()
            at = next((at for at, line in enumerate(lines) if _is_of(name, line)), len(lines))
            self._write([*lines[:at], f"{name} {public.hex()}", *(x for x in lines[at:] if not _is_of(name, x))])

    def forget(self, name: str) -> None:
        """Remove a peer. Raises ConfigError if there is none of that name."""
        with _locked(self.folder):
            lines = self._lines()
            self.refresh()
            name = as_ipv4(name)
            if name not in self.trusted:
                others = ", ".join(sorted(self.trusted)) or "nobody"
                raise ConfigError(f"no key is trusted as {name}; trusted: {others}")
            self._write([line for line in lines if not _is_of(name, line)])

    def _lines(self) -> list[str]:
        """The list as it stands, remarks too. Raises ConfigError where it cannot be read: it must not be replaced."""
        try:
            return _read(self.folder / "trusted", may_be_read=True).splitlines()
        except FileNotFoundError:
            return []

    def _write(self, lines: list[str]) -> None:
        _write_private(self.folder / "trusted", "".join(f"{line}\n" for line in lines), replace=True)
        self.refresh()

    def _read_trusted(self) -> list[str]:
        """Take over the file as it is now; returns what is wrong with it, once as long as that stays the same."""
        path = self.folder / "trusted"
        try:
            about = path.stat()
            seen = (about.st_ino, about.st_mtime_ns, about.st_size, about.st_mode)
            if seen == self._seen:
                return []
            text = _read(path, may_be_read=True)
        except FileNotFoundError:  # by now
            self.trusted, self._seen, self._unreadable = {}, None, ""
            return []
        except (ConfigError, OSError) as error:  # looked at again every time: it may pass
            told = str(error) if isinstance(error, ConfigError) else f"{path}: {error.strerror}"
            problems = [told] if told != self._unreadable else []
            self.trusted, self._seen, self._unreadable = {}, None, told
            return problems
        self.trusted, self._seen, self._unreadable = {}, seen, ""
        return self._parse(text)

    def _parse(self, text: str) -> list[str]:
        problems = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                try:
                    name, public = parse_line(line)
                    self.trusted[name] = public
                except ConfigError as error:
                    problems.append(f"{self.folder / 'trusted'}, line {number}: {error}")
        return problems


def make_keys(folder: Path, name: str) -> Keys:
    """Make a new key pair in `folder`, which is made too. Raises ConfigError if there is one already."""
    check_name(name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from None
    _check_mode(folder, folder.stat(), 0o022, "changed")
    secret = z85.decode(zmq.curve_keypair()[1])
    _write_private(folder / "own.secret", f"{name} {secret.hex()}\n", replace=False)
    return Keys(folder)


def check_name(name: str) -> None:
    """A name is a host name or an address. Raises ConfigError."""
    if not re.fullmatch(r"[A-Za-z0-9:][A-Za-z0-9._:-]{0,62}", name):
        raise ConfigError(f"{name!r} is no name for a key: use the host's name or address, as peers type it")


def parse_line(line: str) -> tuple[str, bytes]:
    """`NAME KEY` -> name, 32 bytes. The message of an error never repeats the key. Raises ConfigError."""
    words = line.split()
    if len(words) != 2 or not re.fullmatch("[0-9a-fA-F]{64}", words[1]):
        raise ConfigError("not a name and a key of 64 hex digits")
    check_name(words[0])
    return as_ipv4(words[0]), bytes.fromhex(words[1])


def _is_of(name: str, line: str) -> bool:
    return [as_ipv4(word) for word in line.split()[:1]] == [name]


def _read_own(path: Path) -> KeyPair:
    try:
        name, secret = parse_line(_read(path, may_be_read=False))
    except FileNotFoundError:
        raise ConfigError(f"no key in {path.parent}: make one with `{TOOL} --keys {path.parent} new NAME`") from None
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if str(path) in text else f"{path}: {text}") from None
    return KeyPair(name, z85.decode(zmq.curve_public(z85.encode(secret))), secret)


def _read(path: Path, may_be_read: bool) -> str:
    """A file's text, if only its owner can change it, and read it unless it `may_be_read`. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            _check_mode(path.parent, path.parent.stat(), 0o022, "changed")
            forbidden, verb = (0o022, "changed") if may_be_read else (0o077, "read")
            _check_mode(path, os.fstat(file.fileno()), forbidden, verb)
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB, which no list of keys is")
            return file.read(MAX_FILE_BYTES).decode("ascii")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not text in ASCII") from None


def _check_mode(path: Path, about: os.stat_result, forbidden: int, verb: str) -> None:
    if about.st_mode & forbidden:
        usual = "700" if stat.S_ISDIR(about.st_mode) else "600"
        raise ConfigError(f"{path} can be {verb} by others than its owner: chmod {usual} {path}")
    if about.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path} belongs to another user (uid {about.st_uid}): keys must be your own")


def _write_private(path: Path, text: str, replace: bool) -> None:
    """Write a file of mode 0600 in one step: it is there whole or not at all. Raises ConfigError."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            half.replace(path)
        else:
            os.link(half, path)
    except FileExistsError:
        raise ConfigError(f"{path} is there already: it was not touched; remove it first if you mean that") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    finally:
        half.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time, or one of two changes would be lost."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
