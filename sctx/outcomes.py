"""What becomes of images: an answer, or nothing, and the summary of a run. Knows nothing about sockets or terminals."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.phy.decibel import from_db, to_db

KEPT_LATENCIES = 100_000
"""Percentiles are over the last so many answers, so that a run of weeks stays small."""


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


@dataclass(slots=True)
class Summary:
    """Counts and distributions of one run; every image that was sent or skipped is in exactly one count.

    unreadable: pictures of the source that never became images, beside all others.
    """

    stream: int
    answered: int = 0
    correct: int = 0
    labelled: int = 0
    lost: int = 0
    expired: int = 0
    skipped: int = 0
    unreadable: int = 0
    duplicates: int = 0
    header_bytes: int = 0
    report_correction_db: float = 0.0
    beyond_distortion: int | None = None
    symbols: int = 0
    uses: int = 0
    snr: float = 0.0
    estimates: int = 0
    latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))

    def add(self, outcome: Answer | Missed, label: int | None) -> None:
        """Take one outcome; `label`: the image's true class, if known."""
        if isinstance(outcome, Missed):
            self.skipped += outcome.why == "skipped"
            self.expired += outcome.why == "expired"
            self.lost += outcome.why in ("failed", "refused")
            return
        self.answered += 1
        self.labelled += label is not None
        self.correct += label is not None and outcome.answer == label
        self.symbols += outcome.symbols
        self.uses += outcome.uses
        self.latency_ms.append(outcome.latency_ms)
        if outcome.snr_est_db is not None:
            self.snr += from_db(outcome.snr_est_db)
            self.estimates += 1

    @property
    def sent(self) -> int:
        """Distinct images that were sent, or skipped because the link was busy."""
        return self.answered + self.lost + self.expired + self.skipped

    @property
    def accuracy(self) -> float | None:
        """Share of correct answers among the labelled ones."""
        return self.correct / self.labelled if self.labelled else None

    @property
    def snr_est_db(self) -> float | None:
        """Estimated SNR averaged linearly, then in dB."""
        return to_db(self.snr / self.estimates) if self.estimates else None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints last. `correct` of the `labelled`, null without labels; `mean_*` are per answered image.

        `mean_uses`: payload symbols and the pilots of every round; `mean_header_bytes`: beside them, on the wire.
        """
        return {
            "sent": self.sent,
            "answered": self.answered,
            "labelled": self.labelled,
            "correct": self.correct if self.labelled else None,
            "lost": self.lost,
            "expired": self.expired,
            "skipped": self.skipped,
            "unreadable": self.unreadable,
            "duplicates": self.duplicates,
            "mean_symbols": self._mean(self.symbols),
            "mean_uses": self._mean(self.uses),
            "mean_header_bytes": self._mean(self.header_bytes),
            "report_correction_db": self.report_correction_db,
            "beyond_distortion": self.beyond_distortion,
            "snr_est_db": None if self.snr_est_db is None else round(self.snr_est_db, 3),
            "p50_ms": self._percentile(50),
            "p99_ms": self._percentile(99),
            "stream": self.stream,
        }

    def told(self) -> str:
        """What is known so far, for people; where nothing was lost, it fits a line of 80 columns."""
        values = self.as_dict()
        parts = [f"{name} {values[name]}" for name in ("lost", "expired", "skipped", "unreadable") if values[name]]
        if self.accuracy is not None:
            parts.append(f"accuracy {100 * self.accuracy:.1f} %")
        p50 = "p50 {:.1f} ms" if (values["p50_ms"] or 0.0) < 100.0 else "p50 {:.0f} ms"
        texts = {"mean_symbols": "{:.1f} symbols", "snr_est_db": "SNR {:.1f} dB", "p50_ms": p50}
        parts += [text.format(values[name]) for name, text in texts.items() if values[name] is not None]
        return "  ".join(parts)

    def _mean(self, total: int) -> float | None:
        return round(total / self.answered, 3) if self.answered else None

    def _percentile(self, percent: float) -> float | None:
        return round(float(np.percentile(self.latency_ms, percent)), 3) if self.latency_ms else None


def class_of(output: Any) -> int:
    """The class that `classify` answered with; -1 where the output, which comes from outside, names none."""
    index = output.get("index") if isinstance(output, dict) else None
    return index if type(index) is int else -1
