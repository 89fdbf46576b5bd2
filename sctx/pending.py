"""What a session keeps: frames without an answer, counts, and how long to go on. Knows no rules and no sockets."""

from dataclasses import dataclass, field

from common.protocol.messages import NakCode
from sctx.actions import Frame

MAX_REFUSED, MAX_REFUSED_FRAMES = 2, 8
"""A frame that is refused so often is given up, and the session after so many of them with no answer between."""
REFUSED = {
    NakCode.BAD_SYMBOLS: "an emulator on the path (their power, their length or their place on the air clock; "
    "its log and `channel-emu status` say which)",
    NakCode.MALFORMED: "the receiver (they are not as its model's layout says)",
}
"""Who refuses a frame with which code, and why. The same frame would be refused again for ever."""


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
