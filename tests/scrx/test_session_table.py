"""The receiver's table of transmitters under a fake clock."""

from dataclasses import replace

import pytest

from common.protocol.frames import decode, encode
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
    Reject,
    RejectCode,
    Result,
    Status,
)
from scrx.sessions.sequence import SequenceWindow
from scrx.sessions.table import MS, Closed, Opened, Reply, SessionTable, Terms, Work

SESSION, MODEL = b"s" * 16, b"m" * 32
ROUTE = (b"emu", b"tx")
FRAMES = {(start, rate): 8 + 2 * (rate - start + 1) for rate in range(3) for start in range(rate + 1)}
TERMS = Terms(MODEL, 128, FRAMES, 128, ("classify", "embedding"))
NOTHING = {"answered": 0, "expired": 0, "lost": 0, "duplicate": 0, "late": 0}
HELLO = Hello(SESSION, VERSION, VERSION, "test", MODEL, (0,), (), 11)


def data(seq: int, rate: int = 1, **changes: int) -> Data:
    n = FRAMES[(0, rate)]
    frame = Data(SESSION, seq, 7, seq * 128, 0, 0, 0, rate, n, 0, 1000, 0, bytes(8 * n))
    return replace(frame, **changes)


def result(seq: int, status: Status = Status.OK) -> Result:
    return Result(SESSION, seq, 0, status, 1.0, 1.0, 1.0, 1.0, None, 0, 0.9, 0, 0, 2, {})


def opened(terms: Terms = TERMS) -> SessionTable:
    table = SessionTable(terms)
    table.on_message(HELLO, ROUTE, 0)
    return table


def replies(actions: list) -> list[Message]:
    return [action.message for action in actions if isinstance(action, Reply)]


def test_hello_opens_a_session_and_is_idempotent() -> None:
    table = SessionTable(TERMS)
    first = table.on_message(HELLO, ROUTE, 5)
    assert first[0] == Opened(SESSION, "test", 1)
    (accept,) = replies(first)
    assert isinstance(accept, Accept)
    assert (accept.window, accept.slot, accept.hops, accept.t1_ns, accept.tasks) == (2, 128, 1, 11, TERMS.tasks)
    assert not [a for a in table.on_message(HELLO, ROUTE, 6) if isinstance(a, Opened)]
    assert len(table.peers) == 1


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (replace(HELLO, model_id=b"x" * 32), RejectCode.MODEL_MISMATCH),
        (replace(HELLO, proto_min=9, proto_max=9), RejectCode.VERSION),
        (replace(HELLO, layouts=(5,)), RejectCode.LAYOUT),
        (replace(HELLO, tasks=("translate",)), RejectCode.TASKS),
    ],
)
def test_hello_that_cannot_be_served_is_rejected_with_the_reason(hello: Hello, code: RejectCode) -> None:
    table = SessionTable(TERMS)
    (reject,) = replies(table.on_message(hello, ROUTE, 0))
    assert isinstance(reject, Reject)
    assert (reject.code, reject.model_id) == (code, MODEL)
    assert not table.peers


def test_a_refused_model_is_told_the_name_of_the_one_that_is_here() -> None:
    table = SessionTable(replace(TERMS, model_name="\N{PILE OF POO}" * 100))
    (reject,) = replies(table.on_message(replace(HELLO, model_id=b"x" * 32), ROUTE, 0))
    assert isinstance(reject, Reject)
    assert reject.detail == "\N{PILE OF POO}" * 32
    assert decode(encode(reject)) == reject


def test_a_full_table_is_busy_for_strangers_only() -> None:
    table = opened(replace(TERMS, max_sessions=1))
    table.on_message(Ping(SESSION, 1, 0), ROUTE, 0)
    (reject,) = replies(table.on_message(replace(HELLO, session=b"o" * 16), ROUTE, 0))
    assert isinstance(reject, Reject)
    assert reject.code is RejectCode.BUSY
    assert isinstance(replies(table.on_message(HELLO, ROUTE, 0))[0], Accept)


def test_only_tasks_that_were_asked_for_are_answered() -> None:
    table = SessionTable(TERMS)
    table.on_message(replace(HELLO, tasks=("classify", "unheard-of")), ROUTE, 0)
    (work,) = table.on_message(data(0), ROUTE, 0)
    assert isinstance(work, Work)
    assert work.tasks == ("classify",)


def test_frame_of_a_known_session_becomes_work_with_its_deadline() -> None:
    (work,) = opened().on_message(data(0, age_ms=300), ROUTE, 50)
    assert work == Work(data(0, age_ms=300), TERMS.tasks, 50, 50 + 700 * MS)


def test_unknown_session_is_told_so_at_most_once_a_second() -> None:
    table = SessionTable(TERMS)
    (nak,) = replies(table.on_message(data(3), ROUTE, 0))
    assert nak == Nak(SESSION, 3, 0, NakCode.NO_SESSION)
    assert table.on_message(data(4), ROUTE, 999 * MS) == []
    assert len(table.on_message(Ping(SESSION, 1, 0), ROUTE, 1001 * MS)) == 1


def test_result_goes_to_where_the_transmitter_was_heard_last() -> None:
    table, again = opened(), (b"restarted-emu", b"tx2")
    table.on_message(data(0), ROUTE, 0)
    table.unreachable(ROUTE, 1)
    table.on_message(HELLO, again, 2)
    table.on_message(Ping(SESSION, 1, 0), again, 3)
    assert table.on_result(result(0)) == [Reply(again, result(0))]


def test_a_resent_frame_gets_the_kept_answer_and_is_not_decoded_again() -> None:
    table = opened()
    table.on_message(data(0), ROUTE, 0)
    assert table.on_message(data(0), ROUTE, 1) == []  # still in the queue
    table.on_result(result(0))
    assert replies(table.on_message(data(0), ROUTE, 2)) == [result(0)]


def test_an_expired_frame_that_is_sent_again_is_decoded() -> None:
    table = opened()
    table.on_message(data(0), ROUTE, 0)
    table.on_result(result(0, Status.EXPIRED))
    assert isinstance(table.on_message(data(0), ROUTE, 2)[0], Work)


def test_more_frames_than_the_window_are_refused() -> None:
    table = opened()
    for seq in (0, 1):
        assert isinstance(table.on_message(data(seq), ROUTE, 0)[0], Work)
    assert replies(table.on_message(data(2), ROUTE, 0)) == [Nak(SESSION, 2, 0, NakCode.OVER_WINDOW)]


@pytest.mark.parametrize("changes", [{"layout_id": 3}, {"rate_id": 9}, {"start_id": 2}, {"n_symbols": 5}])
def test_a_frame_that_does_not_fit_the_layout_is_refused(changes: dict[str, int]) -> None:
    assert replies(opened().on_message(data(0, **changes), ROUTE, 0)) == [Nak(SESSION, 0, 0, NakCode.MALFORMED)]


def later(start: int = 2, **changes: int) -> Data:
    return data(0, start_id=start, rate_id=2, n_symbols=FRAMES[(start, 2)], round=1, **changes)


def test_a_later_round_needs_the_first() -> None:
    assert replies(opened().on_message(later(), ROUTE, 0)) == [Nak(SESSION, 0, 1, NakCode.NEED_ROUND0)]


def test_after_low_confidence_exactly_the_next_increments_are_taken() -> None:
    table = opened()
    table.on_message(data(0, rate=1), ROUTE, 0)
    table.on_result(result(0, Status.LOW_CONFIDENCE))
    wrong = table.on_message(later(start=1), ROUTE, 0)
    assert replies(wrong) == [Nak(SESSION, 0, 1, NakCode.NEED_ROUND0)]
    assert isinstance(table.on_message(later(), ROUTE, 0)[0], Work)
    table.on_result(replace(result(0), round=1))
    again = data(0, start_id=2, rate_id=2, n_symbols=FRAMES[(2, 2)], round=2)
    assert table.on_message(again, ROUTE, 0) == []  # the image is closed (and a NAK was sent less than a second ago)


def test_a_later_round_that_expired_may_be_sent_again() -> None:
    table = opened()
    table.on_message(data(0, rate=1), ROUTE, 0)
    table.on_result(result(0, Status.LOW_CONFIDENCE))
    table.on_message(later(), ROUTE, 0)
    table.on_result(replace(result(0, Status.EXPIRED), round=1))
    assert isinstance(table.on_message(later(), ROUTE, 1)[0], Work)


def test_an_image_that_is_started_over_is_decoded_and_not_answered_from_memory() -> None:
    table = opened()
    table.on_message(data(0, rate=1), ROUTE, 0)
    table.on_result(result(0, Status.LOW_CONFIDENCE))
    assert replies(table.on_message(data(0, rate=1), ROUTE, 1)) == [result(0, Status.LOW_CONFIDENCE)]
    assert isinstance(table.on_message(data(0, rate=2), ROUTE, 2)[0], Work)


def test_bye_and_silence_end_a_session() -> None:
    assert opened().on_message(Bye(SESSION, ByeCode.DONE), ROUTE, 0) == [Closed(SESSION, "bye", NOTHING)]
    table = opened()
    assert table.tick(7_500 * MS) == []
    assert table.tick(7_501 * MS) == [Closed(SESSION, "silent", NOTHING)]
    assert not table.peers


def test_draining_says_bye_and_takes_nobody_new() -> None:
    table = opened()
    assert replies(table.drain()) == [Bye(SESSION, ByeCode.DRAIN)]
    for hello in (HELLO, replace(HELLO, session=b"o" * 16)):
        (reject,) = replies(table.on_message(hello, ROUTE, 0))
        assert isinstance(reject, Reject)
        assert reject.code is RejectCode.BUSY
    assert table.on_message(data(5), ROUTE, 0) == []


def test_kept_answers_are_bounded() -> None:
    table = opened()
    for seq in range(1000):
        table.on_message(data(seq), ROUTE, 0)
        table.on_result(result(seq))
    assert len(table.peers[SESSION].answers) == 128


def test_sequence_window_counts_lost_late_and_duplicate() -> None:
    window = SequenceWindow()
    for seq in (100, 101, 103, 103, 102, 104):
        window.add(seq)
    assert (window.duplicate, window.late, window.lost) == (1, 1, 0)
    window.add(300)  # the window is 237..300 now, and 105..236 are out of it
    assert window.lost == 132
    window.add(299)
    assert window.late == 2
    window.add(364)  # 237..300 are out, 299 and 300 were seen
    assert window.lost == 132 + 62


def test_sequence_window_against_a_plain_count() -> None:
    import random

    rng = random.Random(3)
    sent = [seq for seq in range(5000) if rng.random() > 0.1]
    window = SequenceWindow()
    for seq in sent:
        window.add(seq)
    missing = set(range(sent[0], sent[-1] - 63)) - set(sent)
    assert (window.lost, window.duplicate, window.late) == (len(missing), 0, 0)
