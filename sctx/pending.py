"""The frames without an answer: the one table of what is on its way, when each is sent again, and when it is given up.

Knows no handshake and no sockets. Pure: every call carries `now` (monotonic ns).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from common.errors import PeerRejected
from common.protocol.clock import ClockOffset
from common.protocol.messages import Data, NakCode, Result, Status
from sctx.actions import Action, Answered, Frame, Lost, Send, Terms

MS = 1_000_000
RESEND_FIRST_NS, RESEND_LAST_NS = 1000 * MS, 4000 * MS
MAX_EXPIRED, MAX_SENDS = 8, 30
MAX_REFUSED, MAX_REFUSED_FRAMES = 2, 8
"""A frame that is refused so often is given up, and the session after so many of them with no answer between."""
REFUSED = {
    NakCode.BAD_SYMBOLS: "an emulator on the path (their power, their length or their place on the air clock; "
    "its log and `channel-emu status` say which)",
    NakCode.MALFORMED: "the receiver (they are not as its model's layout says)",
}
"""Who refuses a frame with which code, and why. The same frame would be refused again for ever."""
Hear = Callable[[Result, int], None]
"""What listens to channel reports: a RESULT, and when it came in ns."""


@dataclass(slots=True)
class Pending:
    """A frame without an answer, and what was done for it."""

    frame: Frame
    age_from_ns: int
    sent_ns: int = 0
    sends: int = 0
    expired: int = 0
    refused: int = 0


@dataclass(slots=True)
class Counters:
    """What happened, for summaries and metrics."""

    sends: int = 0
    resends: int = 0
    duplicates: int = 0
    late: int = 0
    downs: int = 0
    header_bytes: int = 0
    untrue: int = 0
    refused: int = 0
    naks: dict[str, int] = field(default_factory=dict)


class Patience:
    """Runs out `limit_s` after the last progress, as long as something is wanted.

    A frame that is answered, or given up for good, is progress. What a receiver may say as often as it likes is not:
    PONG, NAK, BYE, answers to nothing. To be accepted is progress once, since after an outage answers need their time.
    Pure: every call carries `now` (monotonic ns).
    """

    def __init__(self, limit_s: float, now: int) -> None:
        self._limit_ns = limit_s * 1e9
        self._since_ns, self._accept_counts = now, True

    def advanced(self, now: int) -> None:
        """Something was reached, or nothing is wanted."""
        self._since_ns, self._accept_counts = now, True

    def accepted(self, now: int) -> None:
        """The receiver took us."""
        if self._accept_counts:
            self._since_ns, self._accept_counts = now, False

    def is_over(self, now: int) -> bool:
        """Whether it has run out."""
        return now - self._since_ns > self._limit_ns


class PendingFrames:
    """Frames by sequence number. hear: told each RESULT whose report can be true."""

    def __init__(self, terms: Terms, hear: Hear, patience: Patience) -> None:
        self.counters = Counters()
        self.clock = ClockOffset()
        self.deadline_cap_ms = 0xFFFF
        self._terms, self._hear, self._patience = terms, hear, patience
        self._frames: dict[int, Pending] = {}
        self._answered: deque[tuple[int, int]] = deque(maxlen=4096)
        self._sent_air = -1
        self._refused_in_a_row = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame, now: int) -> Action:
        """Send a new frame."""
        pending = self._frames[frame.seq] = Pending(frame, frame.captured_ns)
        return self._data(pending, now)

    def look_after(self, now: int, up: bool) -> list[Action]:
        """What time alone demands: live, frames that are too old are given up; else those that waited long go again."""
        if self._terms.live:
            return [self._lose(one, "expired") for one in list(self._frames.values()) if self._too_old(one, now)]
        waited = [one for one in self._frames.values() if now - one.sent_ns > _resend_after(one)] if up else []
        return self._send_again(waited, now)

    def accepted(self, now: int) -> list[Action]:
        """A receiver is there again, which may know nothing of what was sent: all frames go again, unless live."""
        return [] if self._terms.live else self._send_again(list(self._frames.values()), now)

    def reconnected(self, now: int) -> list[Action]:
        """The same over a new connection. A cable that flaps uses up no patience."""
        again = [] if self._terms.live else list(self._frames.values())
        for pending in again:
            pending.sends = max(pending.sends - 1, 0)
        return [self._restart(pending, now) for pending in again]

    def on_result(self, result: Result, now: int) -> list[Action]:
        """What becomes of the frame that a RESULT is about, if it is one that waits."""
        pending = self._frames.get(result.seq)
        if pending is None or pending.frame.round != result.round:
            if (result.seq, result.round) in self._answered:
                self.counters.duplicates += 1
            else:
                self.counters.late += 1
            return []
        if result.air_start <= self._sent_air:  # of what was never sent nothing can be known
            self._hear(result, now)
        else:
            self.counters.untrue += 1
        if result.status is Status.EXPIRED:
            return self._on_expired(pending, now)
        if result.status is Status.FAILED:
            self._patience.advanced(now)
            return [self._lose(pending, "failed")]
        if self._terms.live and self._too_old(pending, now):  # it waited here, while this process was kept from running
            return [self._lose(pending, "expired")]
        del self._frames[result.seq]
        self._patience.advanced(now)
        self._refused_in_a_row = 0
        self._answered.append((result.seq, result.round))
        if result.status is Status.LOW_CONFIDENCE and not 100.0 * result.confidence < pending.frame.ask_below:
            self.counters.untrue += 1  # nobody asked: an answer it is, and all that will come
            result = replace(result, status=Status.OK)
        return [Answered(pending.frame, result, now - pending.frame.captured_ns, now - pending.sent_ns)]

    def on_nak(self, seq: int, round_: int, code: NakCode) -> list[Action]:
        """A frame was not taken. Raises PeerRejected where so many were refused that none will ever be taken."""
        pending = self._frames.get(seq)
        if pending is None or pending.frame.round != round_:
            return []
        if code is NakCode.NEED_ROUND0 and round_ > 0:
            return [self._lose(pending, "forgotten")]
        if code not in REFUSED:
            return []
        pending.refused += 1
        if pending.refused < MAX_REFUSED and not self._terms.live:
            return []
        self.counters.refused += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= MAX_REFUSED_FRAMES:
            told = f"{self._refused_in_a_row} frames in a row were refused as {code.name} by {REFUSED[code]}"
            raise PeerRejected(told)
        return [self._lose(pending, "refused")]

    def _data(self, pending: Pending, now: int) -> Action:
        pending.sent_ns, pending.sends = now, pending.sends + 1
        self._sent_air = max(self._sent_air, pending.frame.air_start)
        self.counters.sends += 1
        self.counters.resends += pending.sends > 1
        frame = pending.frame
        age_ms = (now - pending.age_from_ns + self.clock.round_trip_ns // 2) // MS
        deadline_ms = min(self._terms.deadline_ms, self.deadline_cap_ms)
        return Send(
            Data(
                self._terms.session, frame.seq, frame.stream, frame.air_start, frame.round, 0, frame.start_id,
                frame.rate_id, len(frame.payload) // 8, min(max(age_ms, 0), 0xFFFF), deadline_ms,
                frame.ask_below, frame.payload, frame.words,
            )
        )  # fmt: skip

    def _restart(self, pending: Pending, now: int) -> Action:
        pending.age_from_ns = now
        return self._data(pending, now)

    def _send_again(self, frames: list[Pending], now: int) -> list[Action]:
        """Up to MAX_SENDS times (two minutes, where only time goes by): then nobody takes this frame."""
        return [self._restart(p, now) if p.sends < MAX_SENDS else self._lose(p, "failed") for p in frames]

    def _on_expired(self, pending: Pending, now: int) -> list[Action]:
        pending.expired += 1
        if self._terms.live or pending.expired >= MAX_EXPIRED:
            self._patience.advanced(now)
            return [self._lose(pending, "expired")]
        return [self._restart(pending, now)]

    def _too_old(self, pending: Pending, now: int) -> bool:
        return now - pending.frame.captured_ns > self._terms.deadline_ms * MS

    def _lose(self, pending: Pending, why: str) -> Action:
        del self._frames[pending.frame.seq]
        return Lost(pending.frame, why)


def _resend_after(pending: Pending) -> int:
    return min(RESEND_FIRST_NS << min(pending.sends - 1, 8), RESEND_LAST_NS)
