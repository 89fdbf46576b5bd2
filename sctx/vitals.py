"""What a transmitter shows of itself: counts for metrics, a view for the page, and whether it is ready.

Reads the transmitter and changes nothing of it; knows nothing about HTTP.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from common import __version__
from common.live.board import About, Board
from common.live.drawn import finite, picture, points
from common.live.families import SECONDS, Tally, Value
from common.live.pace import LEAST_S, Pace
from common.text import safe
from sctx.outcomes import Answer, Missed, Summary

if TYPE_CHECKING:
    from sctx.transmitter import Transmitter


class Vitals:
    """Told of each outcome by the command; `board` is for the loop of the link and for those who look."""

    def __init__(self, tx: "Transmitter", summary: Summary) -> None:
        self._tx, self._summary = tx, summary
        self._latency = Tally(SECONDS)
        self._stages: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._answers, self._encodes = Pace(), Pace()
        layout = tx.manifest.layout
        self._robust = layout.rates[-1] + layout.pilots
        self.board = Board(
            About("sctx", __version__, tx.manifest.name, tx.manifest.id), self._take, self.stuck, self.away
        )

    def add(self, outcome: Answer | Missed) -> None:
        """Take one outcome."""
        if isinstance(outcome, Missed):
            self._lost[outcome.why] += 1
            return
        self._latency.add(outcome.latency_ms / 1e3)
        self._answers.took(1, outcome.latency_ms / 1e3)
        self._encodes.took(1, outcome.stages_us["encode"] / 1e6)
        for stage, us in outcome.stages_us.items():
            self._stages[stage] += us

    def stuck(self) -> str:
        """Whether the encoder hangs."""
        encoding_ns, now = self._tx.activity.encoding_ns, time.monotonic_ns()
        if encoding_ns and (now - encoding_ns) / 1e9 > self._encodes.limit_s(1):
            return f"an image has been encoded for {(now - encoding_ns) / 1e9:.1f} s"
        return ""

    def away(self) -> str:
        """Whether a receiver is missing, or answers nothing of what is sent."""
        link, activity, now = self._tx.link, self._tx.activity, time.monotonic_ns()
        if not link.session.up:
            return f"no receiver is heard behind {link.peer}"
        asked_ns = activity.asked_ns
        limit_s = self._answers.limit_s(1)
        wants = link.in_flight or (now - activity.sent_ns) / 1e9 < LEAST_S
        if wants and asked_ns and (now - asked_ns) / 1e9 > limit_s:
            return f"nothing that was sent for {(now - asked_ns) / 1e9:.1f} s was answered"
        return ""

    def _take(self) -> tuple[Mapping[str, Value], Mapping[str, Any]]:
        values = self._values()
        return values, self._view(values)

    def _outcomes(self) -> dict[str, int]:
        lost = {why: self._lost[why] for why in ("expired", "skipped", "failed", "refused")}
        return {"answered": self._summary.answered, **lost, "unreadable": self._summary.unreadable}

    def _values(self) -> dict[str, Value]:
        tx, summary, counters = self._tx, self._summary, self._tx.link.session.counters
        report, decision = tx.report, tx.activity.decision
        return {
            "images_total": self._outcomes(),
            "images_labelled_total": summary.labelled,
            "images_correct_total": summary.correct,
            "symbols_total": summary.symbols,
            "uses_total": summary.uses,
            "robust_uses_total": summary.answered * self._robust,
            "latency_seconds": self._latency.spread,
            "stage_seconds_total": {stage: us / 1e6 for stage, us in self._stages.items()},
            "frames_sent_total": counters.sends,
            "frames_resent_total": counters.resends,
            "in_flight": tx.in_flight,
            "link_up": float(tx.link.session.up),
            "link_downs_total": counters.downs,
            "naks_total": dict(counters.naks),
            "snr_reported_db": None if report is None else report.snr_inst_db,
            "snr_acted_on_db": None if decision is None else finite(decision.told_snr_db),
            "report_correction_db": tx.correction_db,
            "report_age_seconds": None if report is None else (time.monotonic_ns() - report.heard_ns) / 1e9,
            "rate_symbols": None if decision is None else tx.manifest.layout.rates[decision.rate],
        }

    def _view(self, values: Mapping[str, Value]) -> dict[str, Any]:
        tx = self._tx
        plain = (
            "images_total", "images_labelled_total", "images_correct_total", "uses_total", "robust_uses_total",
            "link_up", "naks_total", "rate_symbols", "snr_acted_on_db", "frames_resent_total", "symbols_total",
        )  # fmt: skip
        answered = max(self._summary.answered, 1)
        return {name: values[name] for name in plain} | {
            "session": tx.accept.session.hex()[:8] if tx.accept else None,
            "hops": tx.accept.hops if tx.accept else None,
            "peer": tx.link.peer.removeprefix("tcp://"),
            "policy": str(tx.settings.rate_policy.kind),
            "snr_db": values["snr_acted_on_db"],
            "rates": list(tx.manifest.layout.rates),
            "ledger_ms": {stage: round(us / 1e3 / answered, 3) for stage, us in self._stages.items()},
            **self._newest(),
        }

    def _newest(self) -> dict[str, Any]:
        """The image that was answered last, and its symbols as they were sent."""
        if self._tx.activity.shown is None:
            return {"picture": None, "sent": []}
        image, answer = self._tx.activity.shown
        labels, label = self._tx.manifest.labels, image.capture.label
        return {
            "picture": picture(image.capture.image),
            "file": None if image.capture.file is None else safe(image.capture.file, None),
            "sent": points(image.symbols[: answer.symbols]),
            "answer": answer.name,
            "label": labels[label] if label is not None and 0 <= label < len(labels) else None,
            "confidence": finite(answer.confidence),
            "symbols": answer.symbols,
            "latency_ms": finite(answer.latency_ms),
            "seq": answer.seq,
        }
