"""Asking a control port: one request, one answer, or an error that says why none came. Knows no request by name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import zmq

from common.control.port import unpack
from common.errors import ConfigError, LinkDown, SemlinkError
from common.transport.endpoints import reachable
from common.transport.sockets import MAX_FRAME_BYTES, connect, make_socket
from common.transport.waiting.io_threads import make_context

Shape = Mapping[str, Callable[[Any], bool]]
"""What an answer holds: name -> whether a value is one."""


class Client:
    """A connection to a control port, for any number of requests.

    who: what is asked, such as "emulator", and command: what runs it; shapes: request -> what its answer must hold,
    for whoever is asked may be somebody else. flag: who gave the address, for messages.
    """

    def __init__(
        self, address: str, who: str, command: str, shapes: Mapping[str, Shape], flag: str = "--control"
    ) -> None:
        self._address, self._flag, self._who, self._command, self._shapes = address, flag, who, command, shapes
        self._context = make_context()
        self._socket = make_socket(self._context, zmq.DEALER, "tx")
        try:
            connect(self._socket, reachable(address), flag)
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict[str, Any], timeout_s: float = 3.0) -> dict[str, Any]:
        """Send one request and return the answer.

        Raises LinkDown where nothing answers in time (then close the client: the answer may still come), and
        ConfigError where what is asked refuses, or is another program; SemlinkError where it failed.
        """
        try:
            raw = msgpack.packb(request)
        except (OverflowError, ValueError):  # a number of more than 64 bits, half a character, nested too deep
            raise ConfigError("a request takes text and numbers of at most 64 bits, and this one has others") from None
        self._socket.sndtimeo = int(timeout_s * 1e3)
        try:
            self._socket.send(raw)
        except zmq.Again:
            why = f"no {self._who} answers at {self._address}; is {self._command} running with this control port?"
            raise LinkDown(f"{self._flag}: {why}") from None
        if not self._socket.poll(int(timeout_s * 1e3)):
            raise LinkDown(f"{self._flag}: the {self._who} at {self._address} did not answer within {timeout_s:g} s")
        answer = unpack(self._socket.recv(), MAX_FRAME_BYTES)
        if not answer.get("ok"):
            failed = answer.get("exit_code") == SemlinkError.exit_code
            raise (SemlinkError if failed else ConfigError)(str(answer.get("error")))
        for name, fits in self._shapes.get(request["op"], {}).items():
            if not fits(answer.get(name)):
                told = f"what answers at {self._address} is no {self._who}: its {name} is none"
                raise ConfigError(f"{self._flag}: {told}")
        return answer

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close(0)
        self._context.term()


def is_text(value: Any) -> bool:
    """A text."""
    return type(value) is str


def is_whole(value: Any) -> bool:
    """A whole number."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """A finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def are_texts(value: Any) -> bool:
    """A list of texts."""
    return type(value) is list and all(map(is_text, value))
