"""The bound end of a control port: each request gets one answer, and what runs goes on. Knows no request by name.

One ROUTER; a request and its answer are one msgpack map each, and the answer says whether it is `ok`:

    {"op": "status"}  ->  {"ok": true, ...}        anything that is not understood  ->  {"ok": false, "error": text}
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import msgpack
import zmq

from common.errors import ConfigError, ProtocolError, SemlinkError
from common.text import safe
from common.transport.claimed import Claim
from common.transport.multipart import Inbox
from common.transport.sockets import Role, make_socket

logger = logging.getLogger(__name__)
LONGEST_REQUEST = 16 * 1024
BURST = 8
"""Requests that are answered before what runs gets its turn."""


class Port(ABC):
    """The bound socket. Whatever a request holds, it gets one answer.

    Only this user can reach a socket that is a file (`private.py`). longest: bytes of a request that are read.
    ConfigError where the address cannot be bound.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, role: Role, longest: int = LONGEST_REQUEST
    ) -> None:
        self._longest = longest
        self._claim = Claim(address, "--control")
        self.socket = make_socket(context, zmq.ROUTER, role)
        self._inbox = Inbox(self.socket)
        others = os.umask(0o177)
        try:
            self.address = self._claim.bind(self.socket)
        except BaseException:
            self.close()
            raise
        finally:
            os.umask(others)

    @abstractmethod
    def _answer(self, request: dict[str, Any], envelope: list[bytes]) -> dict[str, Any] | None:
        """The answer to a request; None where it comes later, by `_send` to this envelope. Raises SemlinkError."""

    def serve(self, waits: bool = True) -> None:
        """Answer requests that wait, but no more than a burst of them, so that they cannot starve what runs.

        waits: whether there may be any.
        """
        for parts in self._inbox.take(BURST) if waits else ():
            if not 2 <= len(parts) <= 3:  # a REQ socket puts an empty part between
                continue
            envelope = parts[:-1]
            answer = self._guarded(partial(self._read, parts[-1], envelope))
            if answer is not None:
                self._send(envelope, answer)

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket; answers that were given may take so long to leave."""
        self.socket.close(linger_ms)
        self._claim.release()

    def _read(self, body: bytes, envelope: list[bytes]) -> dict[str, Any] | None:
        return self._answer(unpack(body, self._longest), envelope)

    def _send(self, envelope: list[bytes], answer: dict[str, Any] | None) -> None:
        try:
            self.socket.send_multipart([*envelope, msgpack.packb(answer)], zmq.NOBLOCK)
        except zmq.ZMQError as error:  # the client has left
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise

    def _guarded(self, work: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """An answer in any case: whoever asks must not be able to end what runs."""
        try:
            return work()
        except (ConfigError, ProtocolError) as error:
            return {"ok": False, "error": safe(error, 500)}
        except SemlinkError as error:
            return {"ok": False, "error": safe(error, 500), "exit_code": error.exit_code}
        except Exception as error:
            logger.exception("control_request_failed")
            return {"ok": False, "error": f"this request failed: {type(error).__name__} (its log says more)"}


def unpack(body: bytes, most: int) -> dict[str, Any]:
    """A msgpack map of at most so many bytes, with names as text. ConfigError for anything else."""
    try:
        if len(body) > most:
            raise ValueError("too long")
        found = msgpack.unpackb(body, max_ext_len=0)
    except Exception as error:  # msgpack raises six unrelated classes on bad input
        raise ConfigError(f"not a msgpack map: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise ConfigError("not a msgpack map")
    return found
