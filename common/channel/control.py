"""The control port: change a running channel, or ask how it is. Knows nothing about the link or its messages.

One ROUTER; a request and its answer are one msgpack map each:

    {"op": "set", "parameters": {"snr_db": 12.0}}  ->  {"ok": true, "channel": text, "applied": [[stream, air sample]]}
    {"op": "status"}                               ->  {"ok": true, "channel": text, "streams": [[stream, air sample]],
                                                        "counts": {name: count}, "uptime_s": seconds}
    anything wrong                                 ->  {"ok": false, "error": text}

`applied` names the first air sample of each stream that sees the change; a stream that comes later sees it from 0.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import zmq

from common.channel.channel import Channel
from common.channel.spec import as_field
from common.errors import ConfigError, LinkDown
from common.transport.sockets import bind, connect, make_socket

_MAX_REQUEST = 16 * 1024


class ControlPort:
    """The bound socket. `framed`: refuse channels that frames cannot use."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        address: str,
        channel: Channel,
        counts: Counter[str],
        framed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._counts = counts
        self._framed = framed
        self._clock = clock
        self._begun_s = clock()
        self.socket = make_socket(context, zmq.ROUTER, "emu")
        try:
            self.address = bind(self.socket, address, "--control")
        except BaseException:
            self.close()
            raise

    def serve(self) -> None:
        """Answer all requests that wait."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self.socket.send_multipart([parts[0], msgpack.packb(self._answer(parts[-1]))], zmq.NOBLOCK)
            except zmq.ZMQError as error:  # the client has left
                if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                    raise

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)

    def _answer(self, body: bytes) -> dict[str, Any]:
        try:
            request = _unpack(body)
            if request.get("op") == "set":
                applied = self._set(request.get("parameters"))
                return {"ok": True, "channel": self._channel.spec.describe(), "applied": applied}
            if request.get("op") == "status":
                return self._status()
            raise ConfigError("the request is neither set nor status")
        except ConfigError as error:
            return {"ok": False, "error": str(error)[:500]}

    def _set(self, parameters: Any) -> list[tuple[int, int]]:
        if not isinstance(parameters, dict) or not parameters:
            raise ConfigError("set needs parameters: a map of names to values")
        if "seed" in parameters:
            raise ConfigError("the seed cannot change while the channel runs")
        fields = {name: as_field(name, value) for name, value in parameters.items()}
        if self._framed:
            replace(self._channel.spec, **fields).require_flat()
        return sorted(self._channel.change(fields).items())

    def _status(self) -> dict[str, Any]:
        return {
            "ok": True,
            "channel": self._channel.spec.describe(),
            "streams": sorted(self._channel.streams.items()),
            "counts": dict(self._counts),
            "uptime_s": self._clock() - self._begun_s,
        }


def ask(address: str, request: dict[str, Any], timeout_s: float = 3.0) -> dict[str, Any]:
    """Send one request to a control port and return the answer.

    Raises LinkDown where nothing answers in time, and ConfigError where the emulator refuses.
    """
    context = zmq.Context[zmq.Socket[bytes]]()
    socket = make_socket(context, zmq.DEALER, "tx")
    try:
        connect(socket, address, "--control")
        socket.sndtimeo = int(timeout_s * 1e3)
        try:
            socket.send(msgpack.packb(request))
        except zmq.Again:
            raise LinkDown(f"no emulator answers at {address}; is channel-emu running with this --control?") from None
        if not socket.poll(int(timeout_s * 1e3)):
            raise LinkDown(f"the emulator at {address} did not answer within {timeout_s:g} s")
        answer = _unpack(socket.recv())
    finally:
        socket.close(0)
        context.term()
    if not answer.get("ok"):
        raise ConfigError(str(answer.get("error")))
    return answer


def _unpack(body: bytes) -> dict[str, Any]:
    try:
        if len(body) > _MAX_REQUEST:
            raise ValueError("too long")
        found = msgpack.unpackb(body, max_ext_len=0)
    except Exception as error:  # msgpack raises six unrelated classes on bad input
        raise ConfigError(f"not a msgpack map: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise ConfigError("not a msgpack map")
    return found
