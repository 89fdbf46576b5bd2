"""CURVE on a socket, and the doorman that lets only trusted keys in. Knows nothing about messages.

CURVE alone encrypts and proves the server's key, but lets any client in; the list is asked through ZAP (ZeroMQ RFC 27).
The domain is enforced: where no doorman answers, nobody comes in.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from common.text import safe
from common.transport.endpoints import as_ipv4, host_of, is_loopback, parse_peer
from common.transport.keystore import Keys, find_keys

logger = logging.getLogger(__name__)
DOMAIN = b"semlink"
TELL_AGAIN_S = 60.0
KEPT_TOLD = 256


def secure_server(socket: "zmq.Socket[bytes]", keys: Keys) -> None:
    """Encrypt what this socket will accept. Call before `bind`, with a Doorman in the same context."""
    socket.curve_server = True
    socket.curve_secretkey = keys.own.secret
    socket.zap_domain = DOMAIN
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def secure_client(socket: "zmq.Socket[bytes]", keys: Keys, address: str) -> None:
    """Encrypt what this socket sends to `address`, and accept only the key that is trusted for it.

    Call before `connect`. Raises ConfigError where no key is trusted for that host.
    """
    socket.curve_serverkey = _key_of(keys, address)
    socket.curve_publickey, socket.curve_secretkey = keys.own.public, keys.own.secret


def _key_of(keys: Keys, address: str) -> bytes:
    host = host_of(address)
    return keys.of_host(host, local=not host or is_loopback(host))


def reach(peer: str, keys: str | Path | None, insecure: bool) -> tuple[str, Keys | None]:
    """Address and keys for `secure_client`; without a look at the network. Raises ConfigError as that would."""
    address, found = parse_peer(peer), find_keys(keys, insecure)
    if found is not None:
        _key_of(found, address)
    return address, found


class Doorman:
    """Answers the handshakes of all servers of a context; poll `socket` and call `serve` when it is readable."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        keys: Keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self._clock = keys, clock
        self._inside: set[bytes] = set()
        self._told: dict[bytes, float] = {}
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind("inproc://zeromq.zap.01")

    def serve(self) -> None:
        """Answer every handshake that waits, by the keys that are trusted now."""
        while self.socket.poll(0):
            version, request, domain, address, _, mechanism, *credentials = self.socket.recv_multipart()
            self._keys.refresh()
            public = credentials[0] if mechanism == b"CURVE" and domain == DOMAIN and credentials else b""
            if self._keys.admits(public):
                self._inside.add(public)
                answer = [b"200", b"", public.hex().encode(), b""]  # the User-Id of what it will send
            else:
                self._tell(public, address)
                answer = [b"400", b"", b"", b""]
            self.socket.send_multipart([version, request, *answer])

    def outcasts(self) -> list[str]:
        """Names of keys that were let in and are no longer trusted; each is told once."""
        self._keys.refresh()
        gone = {public for public in self._inside if not self._keys.admits(public)}
        self._inside -= gone
        return [self._keys.name_of(public) for public in gone]

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)

    def _tell(self, public: bytes, address: bytes) -> None:
        """Log a refusal, each key once a minute."""
        now = self._clock()
        if now - self._told.get(public, -TELL_AGAIN_S) < TELL_AGAIN_S:
            return
        self._told[public] = now
        while len(self._told) > KEPT_TOLD:
            del self._told[next(iter(self._told))]
        who = self._keys.name_of(public)
        host = as_ipv4(address.decode("ascii", "replace"))
        logger.warning("key_refused", extra={"who": who, "address": safe(host)})
