"""Without fresh reports the transmitter falls back to the most robust rate within the time-out that is documented.

The session under a fake clock; the documented time-out: 5 s, or 256 frames on the air.
"""

import re
from pathlib import Path

from common.pair.shapes import Accuracy
from common.phy.layout import Layout
from common.protocol.messages import VERSION, Accept, Bye, ByeCode, Result, Status
from sctx.actions import Frame, Terms
from sctx.pending import MS
from sctx.rate.belief import STALE_NS, STALE_SLOTS
from sctx.rate.controller import Controller
from sctx.rate.policy import RatePolicy
from sctx.session import Session
from sctx.settings import Settings

SESSION, MODEL, SLOT = b"s" * 16, b"m" * 32, 128
LAYOUT = Layout((4, 4, 8), slot=SLOT)
TERMS = Terms(SESSION, MODEL, "test", slot=SLOT, live=False, deadline_ms=10_000, give_up_s=60.0)
ACCEPT = Accept(SESSION, VERSION, MODEL, 2, SLOT, SLOT, 60_000, 250, 3, 1, ("classify",), 0, 0, 0)
TABLE = Accuracy((0.0, 10.0, 20.0), ((0.2, 0.5, 0.97), (0.3, 0.9, 0.97), (0.5, 0.95, 0.97)), 0.97)
CHEAP, ROBUST = 0, 2


class Run:
    """Frames and answers of one session; `rate` is what `Transmitter` would decide."""

    def __init__(self) -> None:
        self.controller = Controller(RatePolicy(), LAYOUT, TABLE)
        self.session = Session(TERMS, 0, self.controller.hear)
        self.session.on_message(ACCEPT, 0)

    def rate(self, seq: int, now: int) -> int:
        return self.controller.decide(seq * SLOT, now).rate

    def send(self, seq: int, now: int, snr_db: float | None, about: int | None = None) -> int:
        """A frame and its answer; the report, if any, is about frame `about` (default: itself)."""
        rate = self.rate(seq, now)
        self.session.submit(Frame(seq, 0, 7, seq * SLOT, 0, rate, now, b"\0" * 96), now)
        errors = (None, None) if snr_db is None else (0.5, 0.5)
        fd = None if snr_db is None else 1e-6
        air = (seq if about is None else about) * SLOT
        self.session.on_message(
            Result(SESSION, seq, 0, Status.OK, snr_db, snr_db, *errors, fd, air, 0.9, 100, 100, 2, {}), now
        )
        return rate


def test_lost_reports_lead_to_the_robust_rate_within_256_frames() -> None:
    run = Run()
    for seq in range(10):
        run.send(seq, 0, 25.0)
    rates = [run.send(seq, 0, None) for seq in range(10, 400)]
    assert rates[0] == CHEAP
    assert rates.index(ROBUST) == STALE_SLOTS  # the last report was about frame 9
    assert set(rates[STALE_SLOTS:]) == {ROBUST}


def test_lost_reports_lead_to_the_robust_rate_within_5_seconds() -> None:
    run = Run()
    run.send(0, 0, 25.0)
    times = [seq * 500 * MS for seq in range(1, 20)]
    rates = [run.send(seq, now, None) for seq, now in enumerate(times, 1)]
    assert {rate for rate, now in zip(rates, times, strict=True) if now <= STALE_NS} == {CHEAP}
    assert {rate for rate, now in zip(rates, times, strict=True) if now > STALE_NS} == {ROBUST}


def test_an_old_report_that_is_told_again_stays_old() -> None:
    """A delayed report keeps its place on the air, so it cannot keep a rate alive for ever."""
    run = Run()
    rates = [run.send(seq, 0, 25.0, about=0) for seq in range(400)]
    assert set(rates[1 : STALE_SLOTS + 1]) == {CHEAP}
    assert set(rates[STALE_SLOTS + 1 :]) == {ROBUST}


def test_one_report_is_enough_to_come_back() -> None:
    run = Run()
    for seq in range(300):
        run.send(seq, 0, None)
    assert run.send(300, 0, 25.0) == ROBUST
    assert run.rate(301, 0) == CHEAP


def test_a_channel_that_turned_bad_is_believed_at_the_next_report() -> None:
    run = Run()
    for seq in range(50):
        run.send(seq, 0, 25.0)
    run.send(50, 0, 0.0)
    assert run.rate(51, 0) == ROBUST


def test_a_receiver_that_was_away_finds_no_rate_of_before() -> None:
    run = Run()
    run.send(0, 0, 25.0)
    run.session.on_message(Bye(SESSION, ByeCode.DRAIN), 100 * MS)
    run.session.on_message(ACCEPT, 6000 * MS)
    assert run.rate(1, 6000 * MS) == ROBUST


def test_the_documented_time_out_is_the_one_in_force() -> None:
    document = (Path(__file__).parents[2] / "sctx" / "README.md").read_text()
    for text in (document, " ".join(str(Settings.__doc__).split())):
        assert re.search(rf"{STALE_NS // 10**9} s or {STALE_SLOTS} frames", text)
