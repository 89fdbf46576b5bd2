"""Sockets with every option set, and the addresses that people type. Knows nothing about messages.

One factory for the whole project: what is not set here keeps libzmq's default. Reasons for the less obvious ones:
IMMEDIATE keeps frames from queueing for a peer that is away; small buffers and high-water marks bound what can hide on
the way (the credit window bounds age, these are the back-stop); ROUTER_MANDATORY turns a silent drop into an error.

Only the side that connects sends ZMTP heartbeats, and says with each (TTL) when the other may take it for gone. libzmq
4.3.5 ends the process where a heartbeat is due on a connection that its peer has ended and whose messages were more
than RCVHWM and wait unread (issues 4364 and 3937 of libzmq): a bound socket, which strangers reach, must not send any.
"""

import ctypes
import ipaddress
import os
import re
import secrets
import socket as system
from contextlib import suppress
from typing import Literal

import zmq

from common.errors import ConfigError
from common.text import safe

_ANYWHERE = ("*", "0.0.0.0", "[::]")
Role = Literal["tx", "emu", "rx"]
HIGH_WATER: dict[str, int] = {"tx": 4, "emu": 16, "rx": 64}
MAX_FRAME_BYTES = 1 << 20
MAX_IPC_PATH = 107


def make_socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, role: Role) -> "zmq.Socket[bytes]":
    """A socket of `kind` with the project's options; bind or connect it afterwards."""
    if kind == zmq.ROUTER:
        _seed()
    socket = context.socket(kind)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = HIGH_WATER[role]
    for option, value in (
        (zmq.SNDBUF, 65536),
        (zmq.RCVBUF, 65536),
        (zmq.MAXMSGSIZE, MAX_FRAME_BYTES),
        (zmq.IMMEDIATE, 1),
        (zmq.RECONNECT_IVL, 50),
        (zmq.RECONNECT_IVL_MAX, 250),
        (zmq.HEARTBEAT_IVL, 0 if kind == zmq.ROUTER else 1000),
        (zmq.HEARTBEAT_TIMEOUT, 3000),
        (zmq.HEARTBEAT_TTL, 3000),
        (zmq.HANDSHAKE_IVL, 2000),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.IPV6, 1),
    ):
        socket.setsockopt(option, value)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    return socket


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
    return f"tcp://{host}:{port}"


def parse_listen(text: str, reachable: bool, flag: str = "listen") -> str:
    """`PORT` or `ADDRESS:PORT` -> an address to bind. Raises ConfigError.

    reachable: other hosts may reach it, because there are keys or because `insecure` says that it is meant. Then a
    bare port is every interface; otherwise it is loopback only, and an address that other hosts can reach is refused.
    """
    if ipc := _ipc(text, flag):
        return ipc
    host, port = _split(text, flag, "PORT or ADDRESS:PORT")
    host = host or ("*" if reachable else "127.0.0.1")
    if not reachable and not is_loopback(host):
        raise ConfigError(
            f"{flag} {text}: other hosts could reach it without encryption; "
            "make keys with `python -m common.transport.keys`, or say insecure=True to allow that"
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
        return host in _ANYWHERE or is_loopback(host) or any(map(_is_here, resolve(host, port)))
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
    hosts = [f"[{place[0]}]" if family == system.AF_INET6 else str(place[0]) for family, _, _, _, place in found]
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
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bind(socket: "zmq.Socket[bytes]", address: str, flag: str = "listen") -> str:
    """Bind and return the address in full (port 0 takes a free one). Raises ConfigError where that is not possible."""
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise ConfigError(f"{flag}: cannot listen on {address}: {_reason(error)}; choose another") from None
    # A socket with IPV6 set reports 127.0.0.1 as [::ffff:127.0.0.1].
    return re.sub(r"\[::ffff:([\d.]+)\]", r"\1", socket.getsockopt_string(zmq.LAST_ENDPOINT))


def check_free(address: str, flag: str = "listen") -> None:
    """Raise ConfigError as `bind` would, before what takes long."""
    if address.startswith("ipc://") or not parts_of(address)[1]:
        return
    context = zmq.Context[zmq.Socket[bytes]]()
    try:
        with make_socket(context, zmq.ROUTER, "rx") as probe:
            bind(probe, address, flag)
    finally:
        context.term()


def host_of(address: str) -> str:
    """The host of a `tcp://` address as it was typed, without brackets; empty for a local file."""
    return "" if address.startswith("ipc://") else parts_of(address)[0].strip("[]")


def connect(socket: "zmq.Socket[bytes]", address: str, flag: str = "peer") -> None:
    """Connect to one address of the peer, which need not be there yet; `Caller` tries all that a name has.

    Raises ConfigError where no address of this form can ever be reached.
    """
    try:
        socket.connect(address.replace("tcp://localhost:", "tcp://127.0.0.1:"))
    except zmq.ZMQError as error:
        raise ConfigError(f"{flag}: cannot connect to {address}: {_reason(error)}; write HOST:PORT") from None


def _reason(error: zmq.ZMQError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def is_numeric(address: str) -> bool:
    """Whether a parsed address is one address and not a name: what a name stands for must be asked, and may change."""
    return address.startswith("ipc://") or re.fullmatch(r"[0-9.]+|\[.*\]", parts_of(address)[0]) is not None


def parts_of(address: str) -> tuple[str, int]:
    """Host, with its brackets, and port of a `tcp://` address that was parsed before."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def _seed() -> None:
    """Let nobody guess the identities that a ROUTER gives: it counts on from a number of the C library's `rand`, which
    libzmq never seeds. Whoever claims the next one ends the process (`deploy/SECURITY.md`)."""
    ctypes.CDLL(None).srand(ctypes.c_uint(secrets.randbits(32)))


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
    found = [ipaddress.ip_address(parts_of(one)[0].strip("[]").partition("%")[0]) for one in resolve(host, port)]
    return {getattr(number, "ipv4_mapped", None) or number for number in found}


def _is_here(address: str) -> bool:
    """Whether this host has a numeric address: only then can it bind to it."""
    host = parts_of(address)[0]
    family = system.AF_INET6 if host.startswith("[") else system.AF_INET
    with suppress(OSError), system.socket(family, system.SOCK_STREAM) as probe:
        probe.bind((host.strip("[]").partition("%")[0], 0))
        return True
    return False
