"""What becomes of one image: an answer, or nothing. Knows nothing about how it came about."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one image. SNR in dB (Es/N0 as the receiver estimated it), times in ms.

    symbols: the payload symbols that the answer rests on; uses: all that was sent for it, every round's pilots included
    (a frame that is repeated because the network lost it is not a use of the channel). answer, name: number and name of
    the class that was answered; outputs: all that came, by task. session (32 hex digits) and seq name its frames at the
    receiver and in the emulator's --truth.
    """

    index: int
    answer: int
    name: str
    confidence: float
    outputs: dict[str, Any]
    symbols: int
    uses: int
    snr_est_db: float | None
    latency_ms: float
    round: int
    stages_us: dict[str, int]
    session: str
    seq: int


@dataclass(frozen=True, slots=True)
class Missed:
    """An image that got no answer, and why: "skipped" (no credit), "expired", "failed" or "refused"."""

    index: int
    why: str
