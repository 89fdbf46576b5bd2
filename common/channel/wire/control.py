"""The control port: change a running channel, or ask how it is. Knows nothing about the link or its messages.

As of `common/control/port.py`:

    {"op": "set", "parameters": {"snr_db": 12.0}}  ->  {"ok": true, "channel": text, "applied": [[stream, air sample]],
                                                        "sessions": [text]}
    {"op": "status"}                               ->  {"ok": true, "channel": text, "streams": [[stream, air sample]],
                                                        "sessions": [text], "counts": {name: count},
                                                        "uptime_s": seconds}
    anything else                                  ->  {"ok": false, "error": text}

`applied` names the first air sample of each stream that sees the change, for each session that has sent on it (they are
in `sessions`, in the same order; empty on a raw wire). Who begins later sees it from 0.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from common.channel.spec.spec import CHANNEL, as_field, require_flat
from common.channel.streams.channel import Channel, Who
from common.channel.wire.trace_files import Reading, files_in, in_folder
from common.control.client import Client, Shape, are_texts, is_number, is_text
from common.control.port import Port
from common.errors import ConfigError


class ControlPort(Port):
    """The bound socket. `framed`: refuse channels that frames cannot use. traces: folder of files that may be named."""

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
        super().__init__(context, address, "emu")

    def serve(self, waits: bool = True) -> None:
        """See `Port`. What is to be done for an earlier request is done in any case."""
        if self._reading and self._reading[0].done:
            (reading, envelope), self._reading = self._reading, None
            self._send(envelope, self._guarded(lambda: self._finish(reading)))
        super().serve(waits)

    def _answer(self, request: dict[str, Any], envelope: list[bytes]) -> dict[str, Any] | None:
        """None where the answer comes later, when a file has been read."""
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
            spec = self._channel.spec
            require_flat(fields.get("fading", spec.fading), fields.get("cfo", spec.cfo))
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


class ControlClient(Client):
    """A connection to an emulator's control port, for any number of requests."""

    def __init__(self, address: str, flag: str = "--control") -> None:
        super().__init__(address, "emulator", "channel-emu", _ANSWERS, flag)


def ask(address: str, request: dict[str, Any], timeout_s: float = 3.0) -> dict[str, Any]:
    """One request over a connection of its own; see `ControlClient.ask`."""
    client = ControlClient(address)
    try:
        return client.ask(request, timeout_s)
    finally:
        client.close()


def _are_places(value: Any) -> bool:
    return type(value) is list and all(
        type(place) is list and len(place) == 2 and set(map(type, place)) == {int} for place in value
    )


def _are_names(value: Any) -> bool:  # an emulator of before has none
    return value is None or are_texts(value)


def _are_counts(value: Any) -> bool:
    return type(value) is dict and all(map(is_text, value)) and set(map(type, value.values())) <= {int}


_ANSWERS: dict[str, Shape] = {
    "set": {"channel": is_text, "applied": _are_places, "sessions": _are_names},
    "status": {
        "channel": is_text, "streams": _are_places, "sessions": _are_names, "counts": _are_counts,
        "uptime_s": is_number,
    },
}  # fmt: skip
"""What an answer holds. Whoever is asked may be somebody else than an emulator."""


def _places(found: list[tuple[Who, int]]) -> list[tuple[int, int]]:
    return [(stream, sample) for (_, stream, _), sample in found]


def _sessions(found: list[tuple[Who, int]]) -> list[str]:
    return [session.hex() for (session, _, _), _ in found]
