"""The transmitter's state machine under a fake clock: no socket, no thread, no sleep."""

from dataclasses import replace

import pytest

from common.errors import LinkDown, PeerRejected
from common.pair.shapes import Accuracy
from common.phy.layout import Layout
from common.protocol.messages import (
    VERSION,
    Accept,
    Bye,
    ByeCode,
    Data,
    Hello,
    Message,
    Nak,
    NakCode,
    Ping,
    Pong,
    Reject,
    RejectCode,
    Result,
    Status,
)
from sctx.actions import Answered, Busy, Down, Failed, Frame, Lost, Send, Terms, Up
from sctx.pending import MS, Hear
from sctx.rate.controller import Controller
from sctx.rate.policy import RatePolicy
from sctx.session import BUSY_NS, Session, unheard

SESSION, MODEL = b"s" * 16, b"m" * 32
TERMS = Terms(SESSION, MODEL, "test", slot=128, live=False, deadline_ms=10_000, give_up_s=60.0)
LIVE = replace(TERMS, live=True, deadline_ms=500)
ACCEPT = Accept(SESSION, VERSION, MODEL, 2, 128, 128, 60_000, 250, 3, 1, ("classify",), 0, 0, 0)


def frame(seq: int, now: int = 0) -> Frame:
    return Frame(seq, 0, 7, seq * 128, 0, 1, now, b"\0" * 96)


def result(seq: int, status: Status = Status.OK, credits: int = 2, snr: float | None = 10.0) -> Result:
    return Result(SESSION, seq, 0, status, snr, snr, 1.0, 1.0, None, seq * 128, 0.9, 100, 100, credits, {})


def opened(terms: Terms = TERMS, hear: Hear = unheard) -> Session:
    session = Session(terms, 0, hear)
    session.on_message(ACCEPT, 0)
    return session


def sends(actions: list) -> list[Message]:
    return [action.message for action in actions if isinstance(action, Send)]


def kinds(actions: list) -> list[str]:
    return [type(message).__name__ for message in sends(actions)]


def test_a_new_connection_is_used_at_once() -> None:
    session = Session(TERMS, now=0)
    assert kinds(session.reconnected(0)) == ["Hello"]
    session = opened()
    session.submit(frame(0), 0)
    session.submit(frame(1), 0)
    for _ in range(40):  # a cable that flaps uses up no patience
        # what was on the old connection is gone
        assert kinds(session.reconnected(10 * MS)) == ["Hello", "Ping", "Data", "Data"]
    live = opened(LIVE)
    live.submit(frame(0), 0)
    assert kinds(live.reconnected(10 * MS)) == ["Hello", "Ping"]
    assert kinds(session.tick(1500 * MS)) == ["Ping", "Data", "Data"]
    session.close()
    assert session.reconnected(2000 * MS) == []


def test_hello_is_repeated_with_growing_pauses_until_accepted() -> None:
    session = Session(TERMS, now=0)
    times = [t for t in range(0, 2000) if kinds(session.tick(t * MS)) == ["Hello"]]
    assert times == [0, 100, *range(300, 2000, 200)]
    up = session.on_message(ACCEPT, 2000 * MS)
    assert up == [Up(ACCEPT, first=True)]
    assert session.window == 2


def test_hello_names_model_protocol_and_session() -> None:
    (hello,) = sends(Session(TERMS, now=0).tick(0))
    assert isinstance(hello, Hello)
    assert (hello.session, hello.model_id, hello.proto_max) == (SESSION, MODEL, VERSION)


@pytest.mark.parametrize("code", [RejectCode.MODEL_MISMATCH, RejectCode.VERSION, RejectCode.LAYOUT, RejectCode.TASKS])
def test_reject_ends_the_session(code: RejectCode) -> None:
    session = Session(TERMS, now=0)
    (failed,) = session.on_message(Reject(SESSION, code, b"h" * 32, "why"), 0)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, PeerRejected)
    assert session.tick(10**12) == []


def test_model_mismatch_names_both_models() -> None:
    (failed,) = Session(TERMS, 0).on_message(Reject(SESSION, RejectCode.MODEL_MISMATCH, b"\xab" * 32, "pho\x1bto"), 0)
    assert isinstance(failed, Failed)
    assert "pho\\x1bto (abab" in str(failed.error)
    assert "abababababab" in str(failed.error)
    assert MODEL.hex()[:12] in str(failed.error)


def test_busy_receiver_is_asked_again() -> None:
    session = Session(TERMS, now=0)
    assert session.on_message(Reject(SESSION, RejectCode.BUSY, MODEL, "no\x1b room"), 0) == [Busy("no\\x1b room")]
    assert session.on_message(Reject(SESSION, RejectCode.BUSY, MODEL, "no\x1b room"), 1) == []  # told once
    assert kinds(session.tick(0)) == ["Hello"]
    assert session.busy(BUSY_NS) == "no\\x1b room"
    assert session.busy(BUSY_NS + 2) == ""  # it may have gone since
    session.on_message(replace(ACCEPT, t1_ns=0), 2)
    assert session.busy(2) == ""


@pytest.mark.parametrize(
    ("last_ms", "told"), [(59_000, "takes no other session: full; asked for 60 s"), (1_000, "no receiver answered")]
)
def test_patience_that_runs_out_at_a_busy_receiver_says_so(last_ms: int, told: str) -> None:
    session = Session(TERMS, now=0)
    for ms in range(0, last_ms + 1, 1000):
        session.on_message(Reject(SESSION, RejectCode.BUSY, MODEL, "full"), ms * MS)
    (failed,) = session.tick(60_001 * MS)
    assert isinstance(failed, Failed)
    assert told in str(failed.error)


def test_accept_of_another_model_is_refused() -> None:
    (failed,) = Session(TERMS, 0).on_message(replace(ACCEPT, model_id=b"x" * 32), 0)
    assert isinstance(failed, Failed)


@pytest.mark.parametrize("term", ["window", "heartbeat_ms", "heartbeat_misses"])
def test_terms_that_leave_no_room_to_work_are_refused(term: str) -> None:
    (failed,) = Session(TERMS, 0).on_message(replace(ACCEPT, **{term: 0}), 0)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, PeerRejected)


def test_the_receiver_sets_the_window_with_each_answer() -> None:
    session = opened()
    for seq in (0, 1):
        session.submit(frame(seq), 0)
    assert (session.window, session.outstanding) == (2, 2)
    session.on_message(result(0, credits=1), 0)
    assert (session.window, session.outstanding) == (1, 1)  # the receiver lowered the window to the frame that is out
    session.on_message(result(1, credits=2), 0)
    assert (session.window, session.outstanding) == (2, 0)


def test_own_window_caps_the_receivers() -> None:
    session = opened(replace(TERMS, window=1))
    assert session.window == 1


def test_answer_comes_back_once_with_its_latency() -> None:
    session = opened()
    session.submit(frame(0, now=5 * MS), 5 * MS)
    (answered,) = session.on_message(result(0), 25 * MS)
    assert isinstance(answered, Answered)
    assert answered.latency_ns == 20 * MS
    assert answered.network_ns == 20 * MS - 200_000
    assert session.on_message(result(0), 26 * MS) == []
    assert session.counters.duplicates == 1


def test_answer_to_a_frame_never_sent_is_counted_late() -> None:
    session = opened()
    assert session.on_message(result(9), 0) == []
    assert session.counters.late == 1


def test_finite_source_resends_the_same_frame_until_answered() -> None:
    session = opened()
    (first,) = sends(session.submit(frame(0), 0))
    session.on_message(Pong(SESSION, 0, 0, 0, 0, 0, 0), 990 * MS)
    again = [m for m in sends(session.tick(1001 * MS)) if isinstance(m, Data)]
    assert len(again) == 1
    assert isinstance(first, Data)
    assert (again[0].seq, again[0].air_start, again[0].payload) == (first.seq, first.air_start, first.payload)
    assert again[0].age_ms == 0  # its age is counted anew
    assert [m for m in sends(session.tick(1500 * MS)) if isinstance(m, Data)] == []
    assert session.counters.resends == 1


def test_finite_source_resends_everything_when_the_receiver_is_back() -> None:
    session = opened()
    session.submit(frame(0), 0)
    session.submit(frame(1), 0)
    down = session.on_message(Nak(SESSION, 0, 0, NakCode.NO_SESSION), 10 * MS)
    assert isinstance(down[0], Down)
    assert kinds(down) == ["Hello"]
    up = session.on_message(ACCEPT, 20 * MS)
    assert up[0] == Up(ACCEPT, first=False)
    assert [m.seq for m in sends(up) if isinstance(m, Data)] == [0, 1]


def test_expired_answer_makes_a_finite_source_send_again_but_not_for_ever() -> None:
    session = opened()
    session.submit(frame(0), 0)
    for _ in range(7):
        assert kinds(session.on_message(result(0, Status.EXPIRED, snr=None), 0)) == ["Data"]
    assert session.on_message(result(0, Status.EXPIRED, snr=None), 0) == [Lost(frame(0), "expired")]
    assert session.outstanding == 0


def test_live_frame_past_its_deadline_is_lost_and_frees_its_credit() -> None:
    session = opened(LIVE)
    session.submit(frame(0), 0)
    assert [a for a in session.tick(500 * MS) if isinstance(a, Lost)] == []
    assert Lost(frame(0), "expired") in session.tick(501 * MS)
    assert session.outstanding == 0
    assert session.on_message(result(0), 510 * MS) == []
    assert session.counters.late == 1


def test_live_source_never_sends_a_frame_twice() -> None:
    session = opened(LIVE)
    session.submit(frame(0), 0)
    session.on_message(Nak(SESSION, 0, 0, NakCode.NO_SESSION), 10 * MS)
    assert kinds(session.on_message(ACCEPT, 20 * MS)) == []


def test_three_unanswered_pings_take_the_link_down_and_hello_starts_again() -> None:
    session = opened()
    seen = [(t, type(a).__name__) for t in range(0, 1300, 10) for a in session.tick(t * MS) if isinstance(a, Down)]
    assert seen == [(1000, "Down")]
    assert not session.up
    assert session.window == 0
    assert kinds(session.tick(1300 * MS)) == ["Hello"]


def test_a_thread_that_was_kept_from_running_does_not_blame_the_receiver() -> None:
    session = opened()
    actions = session.tick(30_000 * MS)
    assert kinds(actions) == ["Ping"]
    assert session.up


def test_any_message_counts_as_a_heartbeat() -> None:
    session = opened()
    for t in range(0, 5000, 200):
        assert not [a for a in session.tick(t * MS) if isinstance(a, Down)]
        session.on_message(Ping(SESSION, 1, 0), t * MS)
    assert session.up


def test_ping_is_answered_with_the_same_nonce() -> None:
    (pong,) = sends(opened().on_message(Ping(SESSION, 42, 7), 9))
    assert pong == Pong(SESSION, 42, 7, 9, 9, 0, 0)


def test_bye_from_a_draining_receiver_goes_down_and_tries_again() -> None:
    session = opened()
    assert isinstance(session.on_message(Bye(SESSION, ByeCode.DRAIN), 0)[0], Down)
    assert kinds(session.tick(1)) == ["Hello"]


def test_giving_up_needs_that_long_without_a_word() -> None:
    session = Session(TERMS, now=0)
    assert not [a for a in session.tick(59_000 * MS) if isinstance(a, Failed)]
    (failed,) = session.tick(60_001 * MS)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, LinkDown)


def test_messages_of_another_session_change_nothing() -> None:
    session = Session(TERMS, now=0)
    assert session.on_message(replace(ACCEPT, session=b"o" * 16), 0) == []
    assert not session.up


def test_newest_report_is_kept_even_if_answers_come_out_of_order() -> None:
    controller = Controller(RatePolicy(), Layout((4, 4), slot=128), Accuracy((0.0, 1.0), ((0.5, 0.6), (0.5, 0.7)), 0.7))
    session = opened(hear=controller.hear)
    for seq in (0, 1):
        session.submit(frame(seq), 0)
    session.on_message(result(1, snr=12.0), 0)
    session.on_message(result(0, snr=3.0), 0)
    assert controller.report is not None
    assert controller.report.snr_inst_db == 12.0


def test_goodbye_is_said_once_and_only_to_a_receiver_that_knows_us() -> None:
    assert kinds(opened().close()) == ["Bye"]
    assert Session(TERMS, 0).close() == []


def test_low_confidence_is_handed_over_and_the_next_round_is_a_frame_of_its_own() -> None:
    session = opened()
    session.submit(replace(frame(0), ask_below=90), 0)
    (answered,) = session.on_message(result(0, Status.LOW_CONFIDENCE), 0)
    assert isinstance(answered, Answered)
    second = replace(frame(0), round=1, start_id=2, rate_id=2, air_start=128)
    (data,) = sends(session.submit(second, 0))
    assert isinstance(data, Data)
    assert (data.seq, data.round, data.start_id, data.air_start) == (0, 1, 2, 128)
    assert session.on_message(result(0), 0) == []  # the first round's answer again
    assert session.counters.duplicates == 1
    assert isinstance(session.on_message(replace(result(0), round=1), 0)[0], Answered)


def test_a_receiver_that_forgot_the_first_round_gets_the_image_anew() -> None:
    session = opened()
    later = replace(frame(0), round=1, start_id=2, rate_id=2)
    session.submit(later, 0)
    assert session.on_message(Nak(SESSION, 0, 1, NakCode.NEED_ROUND0), 0) == [Lost(later, "forgotten")]
    session.submit(frame(0), 0)
    assert session.on_message(Nak(SESSION, 0, 1, NakCode.NEED_ROUND0), 0) == []  # an old NAK changes nothing
    assert isinstance(session.on_message(result(0), 0)[0], Answered)


@pytest.mark.parametrize(("terms", "outcome"), [(LIVE, Lost(frame(0), "expired")), (TERMS, Answered)])
def test_a_live_answer_that_was_read_too_late_is_not_shown(terms: Terms, outcome: object) -> None:
    session = opened(terms)
    session.submit(frame(0), 0)
    # The process was stopped for two seconds with the answer in its socket; no tick ran before it was read.
    (action,) = session.on_message(result(0), 2000 * MS)
    assert action == outcome or type(action) is outcome
    assert session.outstanding == 0


@pytest.mark.parametrize("code", [NakCode.BAD_SYMBOLS, NakCode.MALFORMED])
def test_a_frame_that_is_refused_again_is_given_up_and_a_run_of_them_ends_the_session(code: NakCode) -> None:
    session, lost = opened(), []
    for seq in range(7):
        session.submit(frame(seq), 0)
        assert session.on_message(Nak(SESSION, seq, 0, code), 0) == []  # it is sent once more
        assert session.on_message(Nak(SESSION, seq, 1, code), 0) == []  # about another round
        lost += session.on_message(Nak(SESSION, seq, 0, code), 0)
    assert [(action.frame.seq, action.why) for action in lost] == [(seq, "refused") for seq in range(7)]
    session.submit(frame(8), 0)
    session.on_message(Nak(SESSION, 8, 0, code), 0)
    (failed,) = session.on_message(Nak(SESSION, 8, 0, code), 0)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, PeerRejected)
    who = "emulator" if code is NakCode.BAD_SYMBOLS else "receiver"
    assert f"8 frames in a row were refused as {code.name} by" in str(failed.error)
    assert who in str(failed.error)


def test_frames_that_are_refused_between_answers_do_not_end_the_session() -> None:
    session, lost = opened(), 0
    for seq in range(0, 60, 2):
        session.submit(frame(seq), 0)
        session.submit(frame(seq + 1), 0)
        for _ in range(2):
            lost += len(session.on_message(Nak(SESSION, seq, 0, NakCode.BAD_SYMBOLS), 0))
        (answered,) = session.on_message(result(seq + 1), 0)
        assert isinstance(answered, Answered)
    assert (lost, session.counters.refused, session.outstanding) == (30, 30, 0)


def test_a_live_frame_that_is_refused_is_given_up_at_once() -> None:
    session = opened(LIVE)
    session.submit(frame(0), 0)
    (lost,) = session.on_message(Nak(SESSION, 0, 0, NakCode.BAD_SYMBOLS), 0)
    assert (lost.frame.seq, lost.why) == (0, "refused")
