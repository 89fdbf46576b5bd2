"""The queue between link and decoding: fairness, draining, and what it says about progress."""

import time

from common.protocol.messages import Data
from scrx.decoding.batcher import TURN_S, Batcher
from scrx.sessions.table import Work


def work(session: int, seq: int) -> Work:
    return Work(Data(bytes([session]) * 16, seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b""), ("classify",), 0, 0)


def label(batch: list[Work] | None) -> list[tuple[int, int]]:
    return [(item.data.session[0], item.data.seq) for item in batch or []]


def test_each_session_gives_one_frame_a_turn() -> None:
    batcher = Batcher()
    for session, seq in [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)]:
        batcher.put(work(session, seq))
    assert label(batcher.take(4, time.sleep)) == [(1, 0), (2, 0), (3, 0), (1, 1)]
    assert label(batcher.take(4, time.sleep)) == [(3, 1), (1, 2)]


def test_a_lone_frame_does_not_wait_for_company() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    assert len(batcher.take(32, time.sleep) or []) == 1


def test_what_is_queued_is_still_given_out_after_closing() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    batcher.close()
    assert label(batcher.take(1, time.sleep)) == [(1, 0)]
    assert batcher.take(1, time.sleep) is None


def test_closing_ends_the_wait() -> None:
    batcher = Batcher()
    waits: list[float] = []

    def listen(timeout_s: float) -> None:
        waits.append(timeout_s)
        if len(waits) == 3:
            batcher.close()

    assert batcher.take(1, listen) is None
    assert waits == [TURN_S] * 3


def test_what_came_while_the_last_batch_was_decoded_is_heard_before_the_next() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    assert label(batcher.take(9, lambda timeout_s: batcher.put(work(2, 0)))) == [(1, 0), (2, 0)]


def test_waiting_a_little_fills_the_batch() -> None:
    batcher = Batcher()
    arriving = iter(range(9))
    assert len(batcher.take(2, lambda timeout_s: batcher.put(work(1, next(arriving))), wait_s=30.0) or []) == 2


def test_a_session_that_leaves_while_a_batch_fills_does_not_end_the_receiver() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))

    def listen(timeout_s: float) -> None:
        if timeout_s > 1e-3:  # the wait for a fuller batch
            batcher.drop(work(1, 0).data.session)
            batcher.put(work(2, 7))
            time.sleep(timeout_s)

    assert label(batcher.take(2, listen, wait_s=0.05)) == [(2, 7)]


def test_progress_age_grows_only_while_work_waits() -> None:
    batcher = Batcher()
    assert batcher.progress_age_ms == 0
    batcher.put(work(1, 0))
    batcher.take(1, time.sleep)
    busy = batcher._busy_since_ns
    assert busy is not None
    batcher.finished()
    assert batcher._busy_since_ns is None
    assert batcher.progress_age_ms == 0


def test_a_session_that_ended_loses_its_queue_and_is_named_before_the_next_batch() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    batcher.take(1, time.sleep)  # from here on something may be kept for it
    for session in (1, 2, 1):
        batcher.put(work(session, 0))
    batcher.drop(bytes([1]) * 16)
    batcher.put(work(1, 5))  # it came back
    assert batcher.ended == []
    assert label(batcher.take(9, time.sleep)) == [(2, 0), (1, 5)]
    assert batcher.ended == [bytes([1]) * 16]
    batcher.put(work(3, 0))
    batcher.take(9, time.sleep)
    assert batcher.ended == []
