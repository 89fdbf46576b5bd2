"""What a receiver shows of itself: counts for metrics, a view for the page, and whether it is ready.

Reads the receiver and changes nothing of it; knows nothing about HTTP.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from common import __version__
from common.live.board import About, Board
from common.live.drawn import finite, points
from common.live.families import SECONDS, SHARES, SIZES, Tally, Value
from common.live.pace import Pace
from common.protocol.messages import Result
from scrx.decoding.pool import TRIES

if TYPE_CHECKING:
    from scrx.demodulation.demodulate import SoftBatch
    from scrx.demodulation.tracker import ChannelEstimate
    from scrx.receiver import Receiver
    from scrx.sessions.table import Work

KEPT_ANSWERS, KEPT_SESSIONS = 8, 16


class Vitals:
    """Told of each batch by the receiver; `board` is for the loop of its link and for those who look."""

    def __init__(self, rx: "Receiver") -> None:
        self._rx = rx
        self.pace = Pace()
        self._batch, self._decode, self._queue = Tally(SIZES), Tally(SECONDS), Tally(SECONDS)
        self._confidence = Tally(SHARES)
        self._estimate: ChannelEstimate | None = None
        self._frame: tuple[Work, Any, Any] | None = None
        self._answers: deque[tuple[Result, dict[str, Any]]] = deque(maxlen=KEPT_ANSWERS)
        self._begun = 1
        about = About("scrx", __version__, rx.manifest.name, rx.manifest.id)
        self.board = Board(about, self._take, self.stuck, self.failing)

    def began(self, works: "Sequence[Work]", soft: "SoftBatch", estimates: "Sequence[ChannelEstimate | None]") -> None:
        """A batch goes to the decoder."""
        self._begun = len(works)
        self._estimate = estimates[-1]
        if self.board.watched:
            self._frame = works[-1], soft.symbols[-1], soft.gamma[-1]

    def answered(self, results: Sequence[Result], took_ns: int, heads: Sequence[dict[str, Any]]) -> None:
        """A batch was answered, how long that took, and what the heads of each result say."""
        self.pace.took(len(results), took_ns / 1e9)
        self._batch.add(len(results))
        self._decode.add(took_ns / 1e9)
        for result in results:
            self._queue.add(result.queue_us / 1e6)
            self._confidence.add(result.confidence)
        self._answers.extend(list(zip(results, heads, strict=True))[-KEPT_ANSWERS:])

    def stuck(self) -> str:
        """Why work is not being done. Busy is ready, hung is not: see `common/live/pace.py`."""
        rx = self._rx
        if rx.closed:
            return "it is going away"
        if rx.pool is not None and not rx.pool.ready:
            return "no worker is ready"
        waited_s, limit_s = rx.progress_age_ms / 1e3, self.pace.limit_s(self._begun)
        return f"work has waited for {waited_s:.1f} s with nothing decoded" if waited_s > limit_s else ""

    def failing(self) -> str:
        """Why no work should come, though another start of this process would mend nothing that its pool does not.

        A worker that was just started has shown nothing: where others ended over their batches, an answer has to come
        first, and so it is where the decoder is one of this process. One batch may have been the batch's fault or an
        accident, and nobody suffers where nobody is connected.
        """
        if (batches := self._rx.unanswered) < TRIES or not self._rx.table.peers:
            return ""
        return f"{'workers' if self._rx.pool else 'the decoder'} left the last {batches} batches unanswered"

    def _take(self) -> tuple[Mapping[str, Value], Mapping[str, Any]]:
        values = self._values()
        return values, self._view(values)

    def _values(self) -> dict[str, Value]:
        rx, found = self._rx, self._estimate
        values: dict[str, Value] = {
            "sessions": len(rx.table.peers),
            "frames_total": {"answered": rx.answered, "expired": rx.expired, "failed": rx.failed},
            "queue_depth": rx.queue_depth,
            "waiting_seconds": rx.progress_age_ms / 1e3,
            "batch_size": self._batch.spread,
            "decode_seconds": self._decode.spread,
            "queue_seconds": self._queue.spread,
            "confidence": self._confidence.spread,
            "handshakes_refused_total": dict(rx.table.refused),
            "naks_total": dict(rx.table.naks),
            "protocol_errors_total": dict(rx.link.protocol_errors),
            "unsent_total": rx.link.unsent,
        }
        if found is not None:
            values["snr_estimated_db"] = {"moment": found.snr_inst_db, "average": found.snr_avg_db}
            values["snr_error_db"] = {"moment": found.inst_error_db, "average": found.avg_error_db}
        if rx.pool is not None:
            values["workers"] = rx.pool.ready
            values["worker_restarts_total"] = rx.pool.restarts
            values["batches_retried_total"] = rx.pool.retries
        return values

    def _view(self, values: Mapping[str, Value]) -> dict[str, Any]:
        found, peers = self._estimate, list(self._rx.table.peers.values())
        plain = ("sessions", "frames_total", "queue_depth", "naks_total", "protocol_errors_total", "waiting_seconds")
        return {name: values[name] for name in plain} | {
            "workers": values.get("workers"),
            "snr_db": found and finite(found.snr_inst_db),
            "snr_avg_db": found and finite(found.snr_avg_db),
            "snr_error_db": found and finite(found.inst_error_db),
            "doppler": found and finite(found.fd, 7),
            "transmitters": [{"session": p.session.hex()[:8], "answered": p.answered} for p in peers[:KEPT_SESSIONS]],
            "answers": [
                {
                    "session": one.session.hex()[:8], "seq": one.seq, "confidence": finite(one.confidence),
                    "name": str((one.outputs.get("classify") or {}).get("name", "")),
                    "heads": {
                        head: {"name": said["name"], "confidence": finite(said["confidence"])}
                        for head, said in heads.items()
                    },
                }
                for one, heads in reversed(self._answers)
            ],
            **self._constellations(),
        }  # fmt: skip

    def _constellations(self) -> dict[str, Any]:
        """The newest frame as it was received, without its pilots, and as it was equalised."""
        if self._frame is None:
            return {"received": [], "equalised": []}
        work, symbols, gamma = self._frame
        pilots = self._rx.manifest.layout.pilots
        return {
            "received": points(np.asarray(work.data.symbols[pilots:])),
            "equalised": points(symbols[gamma > 0]),
            "seq": work.data.seq,
            "session": work.data.session.hex()[:8],
        }


def transmitters(rx: "Receiver") -> tuple[str, bool]:
    """How many there are, for people."""
    count = len(rx.table.peers)
    return (f"{count or 'no'} transmitter{'s' if count != 1 else ''}", True)


def told(rx: "Receiver") -> str:
    """What is known so far, for people; where nothing was lost, it fits a line of 80 columns."""
    parts = [f"answered {rx.answered}"]
    parts += [f"{name} {count}" for name, count in (("expired", rx.expired), ("failed", rx.failed)) if count]
    parts += [f"errors {errors}"] if (errors := rx.link.protocol_errors.total()) else []
    if (newest := rx.newest) is not None:
        parts += [f"SNR {newest.snr_inst_db:.1f} dB"] if newest.snr_inst_db is not None else []
        parts.append(f"decoded in {newest.decode_us / 1e3:.1f} ms")
    return "  ".join([*parts, f"queue {rx.queue_depth}"])
