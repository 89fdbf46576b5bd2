"""The addresses that people type -> ZeroMQ endpoints, and what a host's name stands for. Knows nothing about sockets.

`tcp://HOST:PORT` or `ipc://PATH`; the brackets of an IPv6 address stay.
"""

import ipaddress
import os
import re
import socket as system
from contextlib import suppress

from common.errors import ConfigError
from common.text import safe

_ANYWHERE = ("*", "0.0.0.0", "[::]")
MAX_IPC_PATH = 107


def parse_peer(text: str, flag: str = "peer") -> str:
    """`HOST:PORT` -> `tcp://HOST:PORT`; `tcp://` and `ipc://` addresses pass. Raises ConfigError."""
    if ipc := _ipc(text, flag):
        return ipc
    host, port = _split(text, flag, "HOST:PORT")
    if not host:
        raise ConfigError(f"{flag} {text}: no host; write HOST:PORT, such as 127.0.0.1:{port or 5555}")
    if host == "*":
        raise ConfigError(f"{flag} {text}: * is every address of a host that listens; write the host to connect to")
    if not port:
        raise ConfigError(f"{flag} {text}: nobody can be reached at port 0; write the port that the other side tells")
    return f"tcp://{as_ipv4(host)}:{port}"


def parse_listen(text: str, reachable: bool, flag: str = "listen", keyless: bool = False) -> str:
    """`PORT` or `ADDRESS:PORT` -> an address to bind. Raises ConfigError.

    reachable: other hosts may reach it, because there are keys or because `insecure` says that it is meant. Then a
    bare port is every interface; otherwise it is loopback only, and an address that other hosts can reach is refused.
    keyless: what is spoken there has no keys, so that they are no remedy.
    """
    if ipc := _ipc(text, flag):
        return ipc
    host, port = _split(text, flag, "PORT or ADDRESS:PORT")
    host = as_ipv4(host) or ("*" if reachable else "127.0.0.1")
    if not reachable and not is_loopback(host):
        keys = "" if keyless else "make keys with `python -m common.transport.keys`, or "
        raise ConfigError(
            f"{flag} {text}: other hosts could reach it without encryption; {keys}say insecure=True to allow that"
        )
    return f"tcp://{_numeric(host)}:{port}"


def is_own(listen: str, peer: str) -> bool:
    """True where who connects to `peer` meets what `listen` binds on this host: both addresses as parsed above."""
    if listen.startswith("ipc://") or peer.startswith("ipc://"):
        return listen[:6] == peer[:6] and os.path.realpath(listen[6:]) == os.path.realpath(peer[6:])
    (bound, bound_port), (host, port) = parts_of(listen), parts_of(peer)
    if not port or bound_port != port:
        return False
    if bound in _ANYWHERE:
        return host in _ANYWHERE or is_loopback(host) or any(map(is_here, resolve(host, port)))
    if host in _ANYWHERE:  # who connects there connects to loopback
        return any(number.is_loopback for number in _numbers(bound, port))
    return not _numbers(bound, port).isdisjoint(_numbers(host, port))


def resolve(host: str, port: int) -> list[str]:
    """All `tcp://` addresses of a host, in the order in which they are to be tried; none where nobody knows it."""
    if host == "localhost":  # many hosts say ::1 first, where few programs listen
        return [f"tcp://127.0.0.1:{port}", f"tcp://[::1]:{port}"]
    try:
        found = system.getaddrinfo(host.strip("[]"), port, type=system.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    hosts = [
        as_ipv4(f"[{place[0]}]" if family == system.AF_INET6 else str(place[0])) for family, _, _, _, place in found
    ]
    return [f"tcp://{one}:{port}" for one in dict.fromkeys(hosts)]


def reachable(address: str, patience_s: float = 1.0) -> str:
    """For one short conversation: the first address of a name where somebody listens now, or `address` itself."""
    if is_numeric(address):
        return address
    found = resolve(*parts_of(address))
    for one in found if len(found) > 1 else ():
        host, port = parts_of(one)
        with suppress(OSError), system.create_connection((host.strip("[]"), port), patience_s):
            return one
    return found[0] if found else address


def is_loopback(host: str) -> bool:
    """True for localhost and the loopback addresses of IPv4 and IPv6."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(as_ipv4(host.strip("[]"))).is_loopback
    except ValueError:
        return False


def as_ipv4(host: str) -> str:
    """`10.0.0.1` for `::ffff:10.0.0.1`, in brackets or without: a socket of both families calls IPv4 peers so.

    All else stays as it is. RFC 4291, section 2.5.5.2.
    """
    try:
        mapped = ipaddress.IPv6Address(host[1:-1] if host.startswith("[") and host.endswith("]") else host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


def as_ipv4_peer(endpoint: str) -> str:
    """What ZeroMQ calls `tcp://[::ffff:10.0.0.1]:5555` by its IPv4 address; others stay as they are."""
    return re.sub(r"\[[0-9A-Fa-f:.]+\]", lambda found: as_ipv4(found[0]), endpoint)


def host_of(address: str) -> str:
    """The host of a `tcp://` address as it was typed, without brackets; empty for a local file."""
    return "" if address.startswith("ipc://") else parts_of(address)[0].strip("[]")


def is_numeric(address: str) -> bool:
    """Whether a parsed address is one address and not a name: what a name stands for must be asked, and may change."""
    return address.startswith("ipc://") or re.fullmatch(r"[0-9.]+|\[.*\]", parts_of(address)[0]) is not None


def parts_of(address: str) -> tuple[str, int]:
    """Host, with its brackets, and port of a `tcp://` address that was parsed before."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def _numeric(host: str) -> str:
    """localhost is ::1 first on many hosts, where nothing of ours listens."""
    return "127.0.0.1" if host == "localhost" else host


def _ipc(text: str, flag: str) -> str:
    """The address of a local file, or nothing where `text` means none. Raises ConfigError for what no text can mean."""
    if not isinstance(text, str):
        raise ConfigError(f"{flag}: an address is text such as HOST:PORT, not {safe(repr(text))}")
    scheme, found, path = text.partition("://")
    if found and scheme not in ("tcp", "ipc"):
        raise ConfigError(f"{flag} {safe(text)}: {safe(scheme)}:// is not spoken here; write HOST:PORT or ipc://PATH")
    if not text.isprintable() or " " in text:
        raise ConfigError(f"{flag} {safe(text)!r}: no address has a space or a sign like that in it")
    if scheme != "ipc":
        return ""
    if not 0 < len(os.fsencode(path)) <= MAX_IPC_PATH:
        raise ConfigError(f"{flag} {safe(text)}: the path of a local socket has 1 to {MAX_IPC_PATH} bytes")
    return text


def _split(text: str, flag: str, form: str) -> tuple[str, int]:
    """Host and port as typed; no host where there is only a port."""
    body = text.removeprefix("tcp://")
    host, _, port = body.rpartition(":")
    if body.count(":") > 1 and "[" not in body:
        raise ConfigError(f"{flag} {text}: an IPv6 address goes in brackets; write [ADDRESS]:PORT, such as [::1]:5555")
    if body.startswith("[") and body.endswith("]"):
        host, port = body, ""
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        least = 1 if "HOST" in form else 0
        raise ConfigError(f"{flag} {text}: {port!r} is not a port ({least} to 65535); write {form}")
    if host and host != "*":
        _check_host(host, f"{flag} {text}")
    return host, int(port)


def _check_host(host: str, told: str) -> None:
    if host.startswith("[") or host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1] if host.endswith("]") else "")
        except ValueError:
            raise ConfigError(f"{told}: {host} is no IPv6 address; write [ADDRESS]:PORT, such as [::1]:5555") from None
    elif re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ConfigError(f"{told}: {host} is no IPv4 address, and no host has such a name") from None
    elif len(host) > 253 or not re.fullmatch(r"[\w.-]+", host) or host.startswith(("-", ".")):
        raise ConfigError(f"{told}: {host[:80]} is no name of a host")


def _numbers(host: str, port: int) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return {ipaddress.ip_address(parts_of(one)[0].strip("[]").partition("%")[0]) for one in resolve(host, port)}


def is_here(address: str) -> bool:
    """Whether this host has a numeric address: only then can it bind to it."""
    host = parts_of(address)[0]
    family = system.AF_INET6 if host.startswith("[") else system.AF_INET
    with suppress(OSError), system.socket(family, system.SOCK_STREAM) as probe:
        probe.bind((host.strip("[]").partition("%")[0], 0))
        return True
    return False
