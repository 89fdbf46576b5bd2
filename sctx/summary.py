"""Outcomes of a run -> its summary. Knows nothing about sockets or terminals."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.phy.decibel import from_db, to_db
from sctx.transmitter import Answer, Missed


@dataclass(slots=True)
class Summary:
    """Counts and distributions of one run. `labels`: image number -> true class, where known."""

    stream: int
    sent: int = 0
    answered: int = 0
    correct: int = 0
    labelled: int = 0
    lost: int = 0
    expired: int = 0
    skipped: int = 0
    duplicates: int = 0
    symbols: list[int] = field(default_factory=list)
    uses: list[int] = field(default_factory=list)
    snr: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    def add(self, outcome: Answer | Missed, label: int | None) -> None:
        """Take one outcome; `label`: the image's true class, if known."""
        if isinstance(outcome, Missed):
            self.skipped += outcome.why == "skipped"
            self.expired += outcome.why == "expired"
            self.lost += outcome.why == "failed"
            return
        self.answered += 1
        self.labelled += label is not None
        self.correct += label is not None and outcome.answer == label
        self.symbols.append(outcome.symbols)
        self.uses.append(outcome.uses)
        self.latency_ms.append(outcome.latency_ms)
        if outcome.snr_est_db is not None:
            self.snr.append(from_db(outcome.snr_est_db))

    @property
    def accuracy(self) -> float | None:
        """Share of correct answers among the labelled ones."""
        return self.correct / self.labelled if self.labelled else None

    @property
    def snr_est_db(self) -> float | None:
        """Estimated SNR averaged linearly, then in dB."""
        return to_db(float(np.mean(self.snr))) if self.snr else None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints last. `sent`: distinct images; `correct` is null without labels."""
        return {
            "sent": self.sent,
            "answered": self.answered,
            "correct": self.correct if self.labelled else None,
            "lost": self.lost,
            "expired": self.expired,
            "skipped": self.skipped,
            "duplicates": self.duplicates,
            "mean_symbols": _mean(self.symbols),
            "mean_uses": _mean(self.uses),
            "snr_est_db": _round(self.snr_est_db),
            "p50_ms": _percentile(self.latency_ms, 50),
            "p99_ms": _percentile(self.latency_ms, 99),
            "stream": self.stream,
        }


def _mean(values: list[int]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _percentile(values: list[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 3) if values else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
