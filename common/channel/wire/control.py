"""The control port: change a running channel, or ask how it is. Knows nothing about the link or its messages.

One ROUTER; a request and its answer are one msgpack map each:

    {"op": "set", "parameters": {"snr_db": 12.0}}  ->  {"ok": true, "channel": text, "applied": [[stream, air sample]],
                                                        "sessions": [text]}
    {"op": "status"}                               ->  {"ok": true, "channel": text, "streams": [[stream, air sample]],
                                                        "sessions": [text], "counts": {name: count},
                                                        "uptime_s": seconds}
    anything else                                  ->  {"ok": false, "error": text}

`applied` names the first air sample of each stream that sees the change, for each session that has sent on it (they are
in `sessions`, in the same order; empty on a raw wire). Who begins later sees it from 0.
"""

import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import zmq

from common.channel.spec.spec import CHANNEL, as_field
from common.channel.streams.channel import Channel, Who
from common.channel.wire.addresses import Claim
from common.channel.wire.trace_files import Reading, files_in, in_folder
from common.errors import ConfigError, LinkDown, ProtocolError
from common.text import safe
from common.transport.endpoints import reachable
from common.transport.multipart import Inbox
from common.transport.sockets import MAX_FRAME_BYTES, bind, connect, make_socket

logger = logging.getLogger(__name__)
_MAX_REQUEST = 16 * 1024
_BURST = 8
"""Requests that are answered before the channel gets its turn."""


class ControlPort:
    """The bound socket. `framed`: refuse channels that frames cannot use. traces: folder of files that may be named.

    Whatever a request holds, it gets one answer, and the channel goes on. Only this user can reach a socket that is a
    file (`addresses.py`).
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        address: str,
        channel: Channel,
        counts: Counter[str],
        framed: bool,
        clock: Callable[[], float] = time.monotonic,
        traces: Path | None = None,
    ) -> None:
        self._channel = channel
        self._counts = counts
        self._framed = framed
        self._clock = clock
        self._begun_s = clock()
        self._traces = traces
        self._reading: tuple[Reading, list[bytes]] | None = None
        self._claim = Claim(address, "--control") if address.startswith("ipc://") else None
        self.socket = make_socket(context, zmq.ROUTER, "emu")
        self._inbox = Inbox(self.socket)
        others = os.umask(0o177)
        try:
            self.address = bind(self.socket, address, "--control")
        except BaseException:
            self.close()
            raise
        finally:
            os.umask(others)

    def serve(self, waits: bool = True) -> None:
        """Answer requests that wait, but no more than a burst of them, so that they cannot starve the channel.

        waits: whether there may be any; what is to be done for an earlier one is done in any case.
        """
        if self._reading and self._reading[0].done:
            (reading, envelope), self._reading = self._reading, None
            self._send(envelope, self._guarded(lambda: self._finish(reading)))
        for parts in self._inbox.take(_BURST) if waits else ():
            if not 2 <= len(parts) <= 3:  # a REQ socket puts an empty part between
                continue
            envelope = parts[:-1]
            answer = self._guarded(partial(self._answer, parts[-1], envelope))
            if answer is not None:
                self._send(envelope, answer)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)
        if self._claim:
            self._claim.release()
            self._claim = None

    def _send(self, envelope: list[bytes], answer: dict[str, Any] | None) -> None:
        try:
            self.socket.send_multipart([*envelope, msgpack.packb(answer)], zmq.NOBLOCK)
        except zmq.ZMQError as error:  # the client has left
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise

    def _guarded(self, work: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """An answer in any case: whoever asks must not be able to end the emulator."""
        try:
            return work()
        except (ConfigError, ProtocolError) as error:
            return {"ok": False, "error": safe(error, 500)}
        except Exception as error:
            logger.exception("control_request_failed")
            return {"ok": False, "error": f"this request failed: {type(error).__name__} (see the emulator's log)"}

    def _answer(self, body: bytes, envelope: list[bytes]) -> dict[str, Any] | None:
        """The answer to a request; None where it comes later, when a file has been read."""
        request = _unpack(body, _MAX_REQUEST)
        if request.get("op") == "set":
            return self._set(request.get("parameters"), envelope)
        if request.get("op") == "status":
            return self._status()
        raise ConfigError("the request is neither set nor status")

    def _set(self, parameters: Any, envelope: list[bytes]) -> dict[str, Any] | None:
        if not isinstance(parameters, dict) or not parameters:
            raise ConfigError("set needs parameters: a map of names to values")
        if fixed := [name for name, one in CHANNEL.items() if name in parameters and not one.live]:
            raise ConfigError(f"the {fixed[0]} cannot change while the channel runs")
        fields = {name: as_field(name, value) for name, value in parameters.items()}
        named = files_in(fields)
        if named:
            fields |= {name: in_folder(self._traces, name, fields[name]) for name in named}
            if self._reading:
                raise ConfigError("the file of another request is being read; ask again")
            self._reading = Reading(self._channel.spec, fields, self._framed), envelope
            return None
        return self._change(fields)

    def _finish(self, reading: Reading) -> dict[str, Any]:
        if reading.error is not None:
            raise reading.error
        self._channel.adopt(reading.tables)
        return self._change(reading.fields)

    def _change(self, fields: dict[str, Any]) -> dict[str, Any]:
        if self._framed:
            replace(self._channel.spec, **fields).require_flat()
        applied = self._channel.change(fields)
        return {
            "ok": True, "channel": self._channel.spec.describe(), "applied": _places(applied),
            "sessions": _sessions(applied),
        }  # fmt: skip

    def _status(self) -> dict[str, Any]:
        return {
            "ok": True,
            "channel": self._channel.spec.describe(),
            "streams": _places(self._channel.tracks),
            "sessions": _sessions(self._channel.tracks),
            "counts": dict(self._counts),
            "uptime_s": self._clock() - self._begun_s,
        }


class ControlClient:
    """A connection to a control port, for any number of requests. `flag`: who gave the address, for messages."""

    def __init__(self, address: str, flag: str = "--control") -> None:
        self._address, self._flag = address, flag
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = make_socket(self._context, zmq.DEALER, "tx")
        try:
            connect(self._socket, reachable(address), flag)
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict[str, Any], timeout_s: float = 3.0) -> dict[str, Any]:
        """Send one request and return the answer.

        Raises LinkDown where nothing answers in time (then close the client: the answer may still come), and
        ConfigError where the emulator refuses, or where it is none.
        """
        self._socket.sndtimeo = int(timeout_s * 1e3)
        try:
            self._socket.send(msgpack.packb(request))
        except zmq.Again:
            why = f"no emulator answers at {self._address}; is channel-emu running with this control port?"
            raise LinkDown(f"{self._flag}: {why}") from None
        if not self._socket.poll(int(timeout_s * 1e3)):
            raise LinkDown(f"{self._flag}: the emulator at {self._address} did not answer within {timeout_s:g} s")
        answer = _unpack(self._socket.recv(), MAX_FRAME_BYTES)
        if not answer.get("ok"):
            raise ConfigError(str(answer.get("error")))
        for name, fits in _ANSWERS.get(request["op"], {}).items():
            if not fits(answer.get(name)):
                raise ConfigError(f"{self._flag}: what answers at {self._address} is no emulator: its {name} is none")
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._socket.close(0)
        self._context.term()


def ask(address: str, request: dict[str, Any], timeout_s: float = 3.0) -> dict[str, Any]:
    """One request over a connection of its own; see `ControlClient.ask`."""
    client = ControlClient(address)
    try:
        return client.ask(request, timeout_s)
    finally:
        client.close()


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and not math.isnan(value)


def _are_places(value: Any) -> bool:
    return type(value) is list and all(
        type(place) is list and len(place) == 2 and set(map(type, place)) == {int} for place in value
    )


def _are_names(value: Any) -> bool:  # an emulator of before has none
    return value is None or (type(value) is list and all(map(_is_text, value)))


def _are_counts(value: Any) -> bool:
    return type(value) is dict and all(map(_is_text, value)) and set(map(type, value.values())) <= {int}


_ANSWERS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "set": {"channel": _is_text, "applied": _are_places, "sessions": _are_names},
    "status": {
        "channel": _is_text, "streams": _are_places, "sessions": _are_names, "counts": _are_counts,
        "uptime_s": lambda value: _is_number(value) and math.isfinite(value),
    },
}  # fmt: skip
"""What an answer holds. Whoever is asked may be somebody else than an emulator."""


def _places(found: list[tuple[Who, int]]) -> list[tuple[int, int]]:
    return [(stream, sample) for (_, stream, _), sample in found]


def _sessions(found: list[tuple[Who, int]]) -> list[str]:
    return [session.hex() for (session, _, _), _ in found]


def _unpack(body: bytes, most: int) -> dict[str, Any]:
    try:
        if len(body) > most:
            raise ValueError("too long")
        found = msgpack.unpackb(body, max_ext_len=0)
    except Exception as error:  # msgpack raises six unrelated classes on bad input
        raise ConfigError(f"not a msgpack map: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise ConfigError("not a msgpack map")
    return found
