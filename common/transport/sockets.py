"""Sockets with every option set, and the addresses that people type. Knows nothing about messages.

One factory for the whole project: what is not set here keeps libzmq's default. Reasons for the less obvious ones:
IMMEDIATE keeps frames from queueing for a peer that is away; small buffers and high-water marks bound what can hide on
the way (the credit window bounds age, these are the back-stop); ROUTER_MANDATORY turns a silent drop into an error.

Only the side that connects sends ZMTP heartbeats, and says with each (TTL) when the other may take it for gone. libzmq
4.3.5 ends the process where a heartbeat is due on a connection that its peer has ended and whose messages were more
than RCVHWM and wait unread (issues 4364 and 3937 of libzmq): a bound socket, which strangers reach, must not send any.
"""

import ipaddress
import os
import re
from typing import Literal

import zmq

from common.errors import ConfigError

Role = Literal["tx", "emu", "rx"]
HIGH_WATER: dict[str, int] = {"tx": 4, "emu": 16, "rx": 64}
MAX_FRAME_BYTES = 1 << 20


def make_socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, role: Role) -> "zmq.Socket[bytes]":
    """A socket of `kind` with the project's options; bind or connect it afterwards."""
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


def parse_peer(text: str, flag: str = "--peer") -> str:
    """`HOST:PORT` -> `tcp://HOST:PORT`; `tcp://` and `ipc://` addresses pass. Raises ConfigError."""
    if text.startswith("ipc://"):
        return text
    host, port = _split(text, flag, "HOST:PORT")
    if not host:
        raise ConfigError(f"{flag} {text}: no host; write HOST:PORT, such as 127.0.0.1:{port}")
    return f"tcp://{_numeric(host)}:{port}"


def parse_listen(text: str, reachable: bool, flag: str = "--listen") -> str:
    """`PORT` or `ADDRESS:PORT` -> an address to bind. Raises ConfigError.

    reachable: other hosts may reach it, because there are keys or because `--insecure` says that it is meant. Then a
    bare port is every interface; otherwise it is loopback only, and an address that other hosts can reach is refused.
    """
    if text.startswith("ipc://"):
        return text
    host, port = _split(text, flag)
    host = host or ("*" if reachable else "127.0.0.1")
    if not reachable and not is_loopback(host):
        raise ConfigError(
            f"{flag} {text}: other hosts could reach it without encryption; "
            "make keys with `python -m common.transport.keys`, or add --insecure to allow that"
        )
    return f"tcp://{_numeric(host)}:{port}"


def is_loopback(host: str) -> bool:
    """True for localhost and the loopback addresses of IPv4 and IPv6."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bind(socket: "zmq.Socket[bytes]", address: str, flag: str = "--listen") -> str:
    """Bind and return the address in full (port 0 takes a free one). Raises ConfigError where that is not possible."""
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise ConfigError(f"{flag}: cannot listen on {address}: {_reason(error)}; choose another") from None
    # A socket with IPV6 set reports 127.0.0.1 as [::ffff:127.0.0.1].
    return re.sub(r"\[::ffff:([\d.]+)\]", r"\1", socket.getsockopt_string(zmq.LAST_ENDPOINT))


def host_of(address: str) -> str:
    """The host of a `tcp://` address as it was typed, without brackets; empty for a local file."""
    return "" if address.startswith("ipc://") else _split(address, "")[0].strip("[]")


def connect(socket: "zmq.Socket[bytes]", address: str, flag: str = "--peer") -> None:
    """Connect; the peer need not be there yet. Raises ConfigError where no address of this form can ever be reached."""
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        raise ConfigError(f"{flag}: cannot connect to {address}: {_reason(error)}; write HOST:PORT") from None


def _reason(error: zmq.ZMQError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _numeric(host: str) -> str:
    """localhost is ::1 first on many hosts, where nothing of ours listens."""
    return "127.0.0.1" if host == "localhost" else host


def _split(text: str, flag: str, form: str = "PORT or ADDRESS:PORT") -> tuple[str, int]:
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ConfigError(f"{flag} {text}: {port!r} is not a port (0 to 65535); write {form}")
    return host, int(port)
