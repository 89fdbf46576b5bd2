"""Sockets with every option set, bound and connected. Knows nothing about messages.

One factory for the whole project: what is not set here keeps libzmq's default. Reasons for the less obvious ones:
IMMEDIATE keeps frames from queueing for a peer that is away; small buffers and high-water marks bound what can hide on
the way (the credit window bounds age, these are the back-stop), but libzmq tells the other thread of room whenever half
a mark was read, and wakes it for that: with marks of 4 at the transmitter, both ways at every message. ROUTER_MANDATORY
turns a silent drop into an error.

Only the side that connects sends ZMTP heartbeats, and says with each (TTL) when the other may take it for gone. libzmq
4.3.5 ends the process where a heartbeat is due on a connection that its peer has ended and whose messages were more
than RCVHWM and wait unread (issues 4364 and 3937 of libzmq): a bound socket, which strangers reach, must not send any.
"""

import ctypes
import os
import secrets
from typing import Literal

import zmq

from common.errors import ConfigError
from common.transport.endpoints import as_ipv4_peer

Role = Literal["tx", "emu", "rx"]
HIGH_WATER: dict[str, int] = {"tx": 64, "emu": 16, "rx": 64}
MAX_FRAME_BYTES = 1 << 20


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


def bind(socket: "zmq.Socket[bytes]", address: str, flag: str = "listen") -> str:
    """Bind and return the address in full (port 0 takes a free one). Raises ConfigError where that is not possible.

    The file of an `ipc://` address stays behind: `Claim` binds there and takes it away.
    """
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise ConfigError(f"{flag}: cannot listen on {address}: {_reason(error)}; choose another") from None
    return as_ipv4_peer(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def connect(socket: "zmq.Socket[bytes]", address: str, flag: str = "peer") -> None:
    """Connect to one address of the peer, which need not be there yet; `Dialer` tries all that a name has.

    Raises ConfigError where no address of this form can ever be reached.
    """
    try:
        socket.connect(address.replace("tcp://localhost:", "tcp://127.0.0.1:"))
    except zmq.ZMQError as error:
        raise ConfigError(f"{flag}: cannot connect to {address}: {_reason(error)}; write HOST:PORT") from None


def _reason(error: zmq.ZMQError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _seed() -> None:
    """Let nobody guess the identities that a ROUTER gives: it counts on from a number of the C library's `rand`, which
    libzmq never seeds. Whoever claims the next one ends the process (`deploy/SECURITY.md`)."""
    ctypes.CDLL(None).srand(ctypes.c_uint(secrets.randbits(32)))
