"""The way back of channel reports: quantised, lost, delayed, and the same again for the same addresses."""

import math
from dataclasses import replace

import numpy as np
import pytest

from common.channel.spec.ways import FeedbackSpec
from common.channel.wire.impaired_reports import Feedback
from common.errors import ConfigError
from common.protocol.frames import ResultHead

SLOT, SESSION = 128, bytes(16)


def head(seq: int, snr_db: float | None = 7.3, round_: int = 0, session: bytes = SESSION) -> ResultHead:
    report = (None,) * 5 if snr_db is None else (snr_db, snr_db + 1.0, 0.5, 0.1, 1e-4)
    return ResultHead(session, seq, round_, 0, *report, (seq + round_) * SLOT)


def lost(feedback: Feedback, stream: int, seqs: range, round_: int = 0) -> list[bool]:
    return [feedback.carry(stream, head(seq, round_=round_)).snr_inst_db is None for seq in seqs]


def test_a_clean_way_back_changes_nothing() -> None:
    feedback = Feedback(FeedbackSpec(), 0)
    assert FeedbackSpec().clean
    for seq, snr in ((0, 7.3), (1, None), (2, -40.0)):
        assert feedback.carry(3, head(seq, snr)) == head(seq, snr)


def test_losses_have_their_rate_and_take_the_report_only() -> None:
    feedback = Feedback(FeedbackSpec(loss=0.3), 0)
    carried = [feedback.carry(1, head(seq)) for seq in range(20_000)]
    gone = [one for one in carried if one.snr_inst_db is None]
    assert len(gone) / len(carried) == pytest.approx(0.3, abs=0.01)
    assert all((one.snr_avg_db, one.inst_error_db, one.avg_error_db, one.fd) == (None,) * 4 for one in gone)
    assert [(one.seq, one.air_start) for one in carried] == [(seq, seq * SLOT) for seq in range(20_000)]


def test_a_bias_moves_both_snrs_before_they_are_quantised_and_nothing_else() -> None:
    sent = head(0, 7.3)
    assert not FeedbackSpec(bias_db=-3.0).clean
    wrong = Feedback(FeedbackSpec(bias_db=-3.0), 0).carry(1, sent)
    assert wrong == replace(sent, snr_inst_db=pytest.approx(4.3), snr_avg_db=pytest.approx(5.3))
    assert Feedback(FeedbackSpec(bias_db=90.0), 0).carry(1, head(0, 20.0)).snr_inst_db == 100.0
    assert Feedback(FeedbackSpec(bias_db=90.0, bits=4), 0).carry(1, sent).snr_avg_db == 30.0
    assert Feedback(FeedbackSpec(bias_db=6.0), 0).carry(1, head(0, None)).snr_inst_db is None
    with pytest.raises(ConfigError, match="bias_db 101"):
        FeedbackSpec(bias_db=101.0)


def test_who_is_lost_depends_on_the_address_and_not_on_the_order() -> None:
    spec = FeedbackSpec(loss=0.5)
    whole = lost(Feedback(spec, 9), 4, range(200))
    assert lost(Feedback(spec, 9), 4, range(100, 200)) == whole[100:]
    assert lost(Feedback(spec, 9), 4, range(200), round_=1) != whole
    assert lost(Feedback(spec, 9), 5, range(200)) != whole
    assert lost(Feedback(spec, 8), 4, range(200)) != whole


def test_a_delayed_report_comes_with_a_later_answer_under_its_own_air_sample() -> None:
    feedback = Feedback(FeedbackSpec(delay=3 * SLOT), 0)
    carried = [feedback.carry(1, replace(head(seq, float(seq)), status=2)) for seq in range(6)]
    assert [one.snr_inst_db for one in carried] == [None, None, None, 0.0, 1.0, 2.0]
    assert [one.air_start for one in carried[3:]] == [0, SLOT, 2 * SLOT]
    assert [(one.seq, one.status) for one in carried] == [(seq, 2) for seq in range(6)]


def test_of_several_reports_that_arrive_together_the_newest_is_carried() -> None:
    feedback = Feedback(FeedbackSpec(delay=SLOT), 0)
    carried = [feedback.carry(1, head(seq, float(seq))).snr_inst_db for seq in (0, 1, 5, 6)]
    assert carried == [None, 0.0, 1.0, 5.0]


def test_a_report_is_carried_once() -> None:
    feedback = Feedback(FeedbackSpec(delay=SLOT), 0)
    feedback.carry(1, head(0))
    assert feedback.carry(1, head(1, None)).snr_inst_db == 7.3
    assert feedback.carry(1, head(2, None)).snr_inst_db is None


@pytest.mark.parametrize(
    ("order", "carried"),
    [((1, 0, 2, 3), [None, None, 0.0, 1.0]), ((2, 0, 1, 3), [None, None, None, 1.0]),
     ((0, 1, 3, 2, 5), [None, None, 1.0, None, 3.0]), ((4, 0, 2, 3, 6), [None, None, 0.0, None, 4.0])],
)  # fmt: skip
def test_answers_in_another_order_carry_the_newest_that_has_arrived(order: tuple[int, ...], carried: list) -> None:
    feedback = Feedback(FeedbackSpec(delay=2 * SLOT), 0)
    assert [feedback.carry(1, head(seq, float(seq))).snr_inst_db for seq in order] == carried


@pytest.mark.parametrize(
    ("order", "carried"),
    [((0, 1, 0, 3), [None, None, None, 1.0]), ((0, 1, 2, 0, 4), [None, None, 0.0, None, 2.0]),
     ((0, 0, 2, 2, 3), [None, None, 0.0, None, None])],
)  # fmt: skip
def test_a_repeated_answer_repeats_no_report(order: tuple[int, ...], carried: list) -> None:
    feedback = Feedback(FeedbackSpec(delay=2 * SLOT), 0)
    assert [feedback.carry(1, head(seq, float(seq))).snr_inst_db for seq in order] == carried


def test_a_second_round_is_no_repetition() -> None:
    feedback = Feedback(FeedbackSpec(bits=16), 0)
    assert all(feedback.carry(1, head(3, round_=round_)).snr_inst_db is not None for round_ in (0, 1))


def test_sessions_do_not_hear_each_other() -> None:
    feedback = Feedback(FeedbackSpec(delay=SLOT), 0)
    feedback.carry(1, head(0, 5.0, session=b"a" * 16))
    assert feedback.carry(1, head(1, 9.0, session=b"b" * 16)).snr_inst_db is None
    assert feedback.carry(1, head(1, 6.0, session=b"a" * 16)).snr_inst_db == 5.0


@pytest.mark.parametrize("bits", [1, 3, 6, 8])
def test_quantised_snrs_are_levels_and_say_their_error(bits: int) -> None:
    feedback = Feedback(FeedbackSpec(bits=bits, low_db=-10.0, high_db=30.0), 0)
    step = 40.0 / (2**bits - 1)
    snrs = np.linspace(-30.0, 50.0, 801)
    found = [feedback.carry(1, head(seq, float(snr))) for seq, snr in enumerate(snrs)]
    levels = np.array([one.snr_inst_db for one in found])
    assert len(set(levels)) == 2**bits
    assert np.abs(levels - snrs.clip(-10.0, 30.0)).max() <= step / 2 + 1e-9
    assert {one.inst_error_db for one in found} == {math.hypot(0.5, step / math.sqrt(12.0))}
    assert {one.fd for one in found} == {1e-4}


@pytest.mark.parametrize(
    "wrong",
    [{"loss": 1.1}, {"loss": float("nan")}, {"delay": -1}, {"bits": 17}, {"low_db": 5.0, "high_db": 5.0},
     {"high_db": 101.0}],
)  # fmt: skip
def test_wrong_parameters_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        FeedbackSpec(**wrong)


def test_reports_that_wait_are_bounded_over_all_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.channel.wire.impaired_reports._WAITING_IN_ALL", 1000)
    waiting = Feedback(FeedbackSpec(delay=2**32), 0)
    for number in range(40):
        for seq in range(60):
            waiting.carry(0, head(seq, session=number.to_bytes(16)))
    held = sum(len(session.waiting) for session in waiting._sessions.values())
    assert held == waiting._waiting <= 1000
    assert (39).to_bytes(16) in waiting._sessions
