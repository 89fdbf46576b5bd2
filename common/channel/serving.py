"""An emulator that runs: its loop, and what is seen of it meanwhile. Knows nothing about flags."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from common.channel.spec.spec import as_field
from common.channel.wire.control import ControlPort, ask
from common.channel.wire.proxy import Proxy
from common.channel.wire.raw import RawWire
from common.channel.wire.trace_files import files_in
from common.channel.wire.vitals import Vitals, told, upstream
from common.errors import ConfigError
from common.live.asked import Faces
from common.live.board import Board
from common.shutdown import StopFlag

if TYPE_CHECKING:
    from common.live.line import Line


def serve(wire: Proxy | RawWire, control: ControlPort, seen: Faces, stop: StopFlag) -> str:
    """Until somebody asks to stop; what happened, in a line for people."""
    board = _exhibit(wire, seen)
    begun = time.monotonic()
    with _line(wire) as line:
        while not stop:
            control.serve(control.socket in wire.step())
            if line is not None:
                line.refresh()
            if board is not None:
                board.turned()
    counts = ", ".join(f"{name} {count}" for name, count in sorted(wire.counts.items())) or "no messages"
    return f"stopped after {time.monotonic() - begun:.1f} s: {counts}"


def _line(wire: Proxy | RawWire) -> AbstractContextManager[Line | None]:
    """What a terminal shows; elsewhere nothing is loaded for it."""
    if not sys.stderr.isatty():
        return nullcontext()
    from common.live.line import Line

    return Line(partial(upstream, wire), partial(told, wire))


def _exhibit(wire: Proxy | RawWire, seen: Faces) -> Board | None:
    if not seen:
        return None
    board = Vitals(wire).board
    seen.show(board)
    return board


def change(control: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """What the page asks for, through the same port as `channel-emu set`; files it may not name."""
    fields = {name: as_field(name, value) for name, value in parameters.items()}
    if files_in(fields):
        raise ConfigError("files are for `channel-emu set`")
    return {"channel": ask(control, {"op": "set", "parameters": fields})["channel"]}
