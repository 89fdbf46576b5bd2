"""What happens to channel reports on their way back: wrong, quantised, lost, delayed. Knows nothing about sockets.

    report -> + `bias_db` -> quantiser -> lost with probability `loss` -> waits until a frame `delay` later is answered

The answer itself passes in time: a RESULT whose own report was lost or still waits carries the newest report that has
arrived since the answer before, under that report's air_start, or none; older ones that arrived with it are dropped,
and no report is carried twice, though its RESULT be repeated. Who loses a report is a function of (seed, stream, seq,
round), and delay is counted on the air clock, so that runs can be compared frame by frame whatever their timing.
"""

import math
from bisect import bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np

from common.channel.models.noise import KeyedBits, Use, hop_seed
from common.channel.spec.ways import FeedbackSpec
from common.protocol.frames import ResultHead

_SESSIONS = 256
"""Sessions whose waiting reports are kept."""
_WAITING = 4096
"""Reports of a session that can wait; older ones are forgotten."""
_WAITING_IN_ALL = 65_536
"""Reports of all sessions together that can wait; beyond, sessions are forgotten."""
_TAKEN = 512
"""Reports of a session that are known again when their RESULT is repeated: twice what can be in flight."""


@dataclass(frozen=True, slots=True)
class _Session:
    """waiting: reports on their way, by air_start; taken: (seq, round) of those that were put there last."""

    waiting: list[ResultHead] = field(default_factory=list)
    taken: dict[tuple[int, int], None] = field(default_factory=dict)

    def put(self, report: ResultHead) -> None:
        if (report.seq, report.round) in self.taken:
            return
        self.taken[report.seq, report.round] = None
        insort(self.waiting, report, key=_air_start)
        if len(self.waiting) > _WAITING:
            del self.waiting[0]
        if len(self.taken) > _TAKEN:
            del self.taken[next(iter(self.taken))]

    def take(self, until: int) -> ResultHead | None:
        """Take out all reports up to air sample `until` and return the newest of them."""
        due = bisect_right(self.waiting, until, key=_air_start)
        newest = self.waiting[due - 1] if due else None
        del self.waiting[:due]
        return newest


def _air_start(report: ResultHead) -> int:
    return report.air_start


class Feedback:
    """The way back of all streams: takes the report of one RESULT, gives the one that it carries on arrival."""

    def __init__(self, spec: FeedbackSpec, seed: int) -> None:
        self._spec = spec
        self._seed = seed
        self._bits = KeyedBits()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._waiting = 0

    def carry(self, stream: int, head: ResultHead, hop: int = 0) -> ResultHead:
        """`head` of a RESULT as the receiver sent it -> as the transmitter sees it. Call in the order of sending."""
        session = self._sessions.setdefault(head.session, _Session())
        self._sessions.move_to_end(head.session)
        self._waiting -= len(session.waiting)
        if head.snr_inst_db is not None and not self._lost(stream, head, hop):
            session.put(self._quantised(self._biased(head)))
        arrived = session.take(head.air_start - self._spec.delay)
        self._waiting += len(session.waiting)
        self._make_room()
        if arrived is None:
            return replace(head, snr_inst_db=None, snr_avg_db=None, inst_error_db=None, avg_error_db=None, fd=None)
        return replace(arrived, seq=head.seq, round=head.round, status=head.status)

    def _make_room(self) -> None:
        """Forget those who have not been heard for longest."""
        while len(self._sessions) > 1 and (len(self._sessions) > _SESSIONS or self._waiting > _WAITING_IN_ALL):
            _, session = self._sessions.popitem(last=False)
            self._waiting -= len(session.waiting)

    def _lost(self, stream: int, head: ResultHead, hop: int) -> bool:
        if not self._spec.loss:
            return False
        key = (hop_seed(self._seed, hop), Use.FEEDBACK, stream, head.seq)
        return float(np.random.Generator(self._bits.at(key, head.round)).random()) < self._spec.loss

    def _biased(self, head: ResultHead) -> ResultHead:
        def off(value: float | None) -> float | None:
            return None if value is None else min(max(value + self._spec.bias_db, -100.0), 100.0)

        if not self._spec.bias_db:
            return head
        return replace(head, snr_inst_db=off(head.snr_inst_db), snr_avg_db=off(head.snr_avg_db))

    def _quantised(self, head: ResultHead) -> ResultHead:
        """SNRs on the nearest of 2^bits levels; a uniform error of one step adds step^2/12 to the stated variance."""
        spec = self._spec
        if not spec.bits:
            return head
        step = (spec.high_db - spec.low_db) / (2**spec.bits - 1)

        def level(value: float | None) -> float | None:
            if value is None:
                return None
            steps = round((min(max(value, spec.low_db), spec.high_db) - spec.low_db) / step)
            return float(min(spec.low_db + step * steps, spec.high_db))

        def error(value: float | None) -> float | None:
            return None if value is None else min(math.hypot(value, step / math.sqrt(12.0)), 100.0)

        return replace(
            head,
            snr_inst_db=level(head.snr_inst_db), snr_avg_db=level(head.snr_avg_db),
            inst_error_db=error(head.inst_error_db), avg_error_db=error(head.avg_error_db),
        )  # fmt: skip
