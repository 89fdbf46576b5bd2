"""What a session keeps of its frames: those without an answer, and counts. Knows no rules."""

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
