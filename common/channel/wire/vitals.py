"""What an emulator shows of itself: counts for metrics, a view for the page, and whether it is ready.

Reads the wire and changes nothing of it; knows nothing about HTTP.
"""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from common import __version__
from common.channel.streams.channel import Truth
from common.channel.wire.proxy import Proxy
from common.channel.wire.raw import RawWire
from common.errors import ProtocolError
from common.live.board import BEAT_S, About, Board
from common.live.drawn import finite, points
from common.live.families import Value

STUCK_S, RAW_TURN_S = 5.0, 30.0
"""How long nothing may leave while something waits to, and how long a turn of a raw wire may take: its messages have
any size."""


class Vitals:
    """`board` is for the loop of the emulator and for those who look."""

    def __init__(self, wire: Proxy | RawWire) -> None:
        self._wire = wire
        patience_s = BEAT_S if isinstance(wire, Proxy) else RAW_TURN_S
        self.board = Board(About("channel-emu", __version__), self._take, lambda: "", self.away, patience_s)

    def away(self) -> str:
        """Whether nobody is upstream, or takes what waits."""
        wire = self._wire
        if isinstance(wire, Proxy) and not wire.connected:
            return f"no receiver is connected at {wire.upstream}"
        if (since_s := wire.waiting_since_s) is not None and time.monotonic() - since_s > STUCK_S:
            return f"what waits for {wire.upstream} was not taken for {time.monotonic() - since_s:.1f} s"
        return ""

    def _take(self) -> tuple[Mapping[str, Value], Mapping[str, Any]]:
        wire, spec = self._wire, self._wire.channel.spec
        truth, seen = self._truth()
        snr_db = finite(truth.snr_inst_db) if truth else None
        values: dict[str, Value] = {
            "messages_total": dict(wire.counts),
            "talkers": len(wire.channel.tracks),
            "snr_set_db": finite(spec.snr_db),
            "doppler_set": spec.doppler,
            "snr_true_db": snr_db,
            "upstream_up": float(wire.connected) if isinstance(wire, Proxy) else None,
        }
        return values, seen | {
            "counts": dict(wire.counts),
            "talkers": values["talkers"],
            "channel": spec.describe(),
            "snr_set_db": values["snr_set_db"],
            "no_noise": spec.snr_db == math.inf,
            "snr_true_db": snr_db,
            "fading": spec.fading,
            "doppler": spec.doppler,
            "upstream": wire.upstream.removeprefix("tcp://"),
            "upstream_up": values["upstream_up"],
        }

    def _truth(self) -> tuple[Truth | None, dict[str, Any]]:
        """What the channel did to the newest frame, and its symbols as they came in."""
        if not isinstance(self._wire, Proxy) or self._wire.newest is None:
            return None, {}
        head, hop, payload = self._wire.newest
        x = np.frombuffer(payload, "<c8")
        seen = {"sent": points(x), "seq": head.seq, "session": head.session.hex()[:8]}
        with suppress(ProtocolError):  # what held there may be forgotten
            return self._wire.channel.truth(head.stream, head.air_start, x, head.round, hop, head.session), seen
        return None, seen


def upstream(wire: Proxy | RawWire) -> tuple[str, bool]:
    """Whether the receiver is there, for people."""
    if isinstance(wire, RawWire):
        return "raw", wire.waiting_since_s is None
    return ("link up", True) if wire.connected else ("no receiver", False)


def told(wire: Proxy | RawWire) -> str:
    """What is known so far, for people; where nothing was lost, it fits a line of 80 columns."""
    spec, counts = wire.channel.spec, dict(wire.counts)
    usual = ("data", "returned") if isinstance(wire, Proxy) else ("messages", "samples")
    snr = "no noise" if spec.snr_db == math.inf else f"SNR {spec.snr_db:g} dB"
    parts = [f"{name} {counts.get(name, 0)}" for name in usual]
    parts += [f"{name} {count}" for name, count in counts.items() if name not in (*usual, "passed")]
    return "  ".join([f"{snr}, {spec.fading}", f"talkers {len(wire.channel.tracks)}", *parts])
