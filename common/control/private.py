"""Where a control port is: a socket in a folder that only this user can enter, or an address in full.

Knows nothing about messages, or about what is controlled.

`--control 5557` is the file `control-5557` in there, mode 0600: the system keeps everybody else out, and nothing
listens on the network. The folder is $XDG_RUNTIME_DIR/semlink, /run/user/UID/semlink or /tmp/semlink-UID, the first
that is possible; a client looks in all of them. An address in full (`tcp://HOST:PORT`, `ipc://FILE`) is taken as it is.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from common.errors import ConfigError
from common.text import safe
from common.transport.claimed import check_free
from common.transport.endpoints import MAX_IPC_PATH, is_loopback, parse_listen, parse_peer, parts_of

_IPC = "ipc://"
_STALE_S = 60.0


def control_to_bind(text: str, insecure: bool, flag: str = "--control", sweep: bool = True) -> str:
    """What was typed -> the address to bind: a number is a private socket, 0 one that is free. Raises ConfigError.

    sweep: with 0, take away what processes that were killed have left.
    """
    number = _number(text, flag)
    if number is not None:
        folder = _private_folder(flag)
        if not number and sweep:
            _sweep(folder)
        return f"{_IPC}{folder / f'control-{number or os.getpid()}'}"
    address = parse_listen(text, insecure, flag, keyless=True)
    if not (insecure or address.startswith(_IPC)):
        raise ConfigError(
            f"{flag} {safe(text)}: every user of this host could control what runs there; write a number for a socket "
            "of your own, or add insecure=True to allow that"
        )
    return address


def check_control(text: str, insecure: bool) -> str:
    """The address that `control_to_bind` gives. Raises ConfigError where a `Port` would; leaves nothing behind."""
    missing = [folder for folder in _folders() if not folder.exists()]
    try:
        address = control_to_bind(text, insecure, sweep=False)
        check_free(address, "--control")
        return address
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def control_to_ask(text: str, flag: str = "--control") -> str:
    """What was typed -> the address to connect to. Raises ConfigError."""
    number = _number(text, flag)
    if number is None:
        return parse_peer(text, flag)
    sockets = [folder / f"control-{number}" for folder in _folders()]
    found = next((path for path in sockets if path.is_socket()), None)
    if found is None and ":" in text:  # nothing of this user's: it may be one that listens on the network
        return parse_peer(text, flag)
    return f"{_IPC}{found or sockets[0]}"


def _number(text: str, flag: str) -> int | None:
    """The number of a private socket, where `text` is one, or a port of this host that names no scheme."""
    if text.isascii() and text.isdecimal():
        if len(text) > 9:
            raise ConfigError(f"{flag} {safe(text)}: write a number of at most 9 digits")
        return int(text)
    if "://" in text:
        return None
    address = parse_peer(text, flag) if not text.startswith(("*", "0.0.0.0", "[::]")) else ""
    return parts_of(address)[1] if address and is_loopback(parts_of(address)[0]) else None


def _folders() -> Iterator[Path]:
    user = os.getuid()
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        if base.startswith("/") and _is_private(base, user):
            yield Path(base) / "semlink"
    yield Path("/tmp") / f"semlink-{user}"


def _private_folder(flag: str) -> Path:
    """The first folder that only this user can enter, made where it is not there."""
    why = ""
    for folder in _folders():
        try:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        except OSError as error:
            why = f"{folder}: {error.strerror}"
            continue
        if not _is_private(str(folder), os.getuid()):
            why = f"{folder} is not a folder of yours alone (mode 0700)"
        elif len(os.fsencode(folder / "control-123456789.lock")) > MAX_IPC_PATH:
            why = f"{folder}: the path is too long"
        else:
            return folder
    raise ConfigError(f"{flag}: no place for a private socket ({safe(why, 300)}); give ipc://FILE")


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have left there."""
    os.utime(folder)
    now_s = folder.stat().st_mtime
    for lock in folder.glob("control-*.lock"):
        with suppress(OSError):
            if now_s - lock.stat().st_mtime > _STALE_S:  # a younger one may not be locked yet
                with lock.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    lock.with_suffix("").unlink(missing_ok=True)
                    lock.unlink()


def _is_private(path: str, user: int) -> bool:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077
