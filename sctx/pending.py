"""What a session keeps of its frames: those without an answer, and counts. Knows no rules."""

from dataclasses import dataclass, field

from sctx.actions import Frame


@dataclass(slots=True)
class Pending:
    """A frame without an answer, and what was done for it."""

    frame: Frame
    age_from_ns: int
    sent_ns: int = 0
    sends: int = 0
    expired: int = 0


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
    naks: dict[str, int] = field(default_factory=dict)
