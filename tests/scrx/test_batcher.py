"""The queue between I/O and decoding: fairness, draining, and what it says about progress."""

import threading

from common.protocol.messages import Data
from scrx.batcher import Batcher
from scrx.session import Work


def work(session: int, seq: int) -> Work:
    return Work(Data(bytes([session]) * 16, seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b""), ("classify",), 0, 0)


def label(batch: list[Work] | None) -> list[tuple[int, int]]:
    return [(item.data.session[0], item.data.seq) for item in batch or []]


def test_each_session_gives_one_frame_a_turn() -> None:
    batcher = Batcher()
    for session, seq in [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)]:
        batcher.put(work(session, seq))
    assert label(batcher.take(4)) == [(1, 0), (2, 0), (3, 0), (1, 1)]
    assert label(batcher.take(4)) == [(3, 1), (1, 2)]


def test_a_lone_frame_does_not_wait_for_company() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    assert len(batcher.take(32) or []) == 1


def test_what_is_queued_is_still_given_out_after_closing() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    batcher.close()
    assert label(batcher.take(1)) == [(1, 0)]
    assert batcher.take(1) is None


def test_closing_wakes_a_waiting_taker() -> None:
    batcher = Batcher()
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(batcher.take(1)))
    taker.start()
    batcher.close()
    taker.join(5)
    assert taken == [None]


def test_waiting_a_little_fills_the_batch() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    threading.Thread(target=batcher.put, args=(work(1, 1),)).start()
    assert len(batcher.take(2, wait_s=30.0) or []) == 2


def test_a_session_that_leaves_while_a_batch_fills_does_not_end_the_receiver() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(label(batcher.take(2, wait_s=0.2))))
    taker.start()
    batcher.drop(work(1, 0).data.session)
    taker.join(0.5)
    batcher.put(work(2, 7))
    taker.join(30)
    assert taken in ([[(2, 7)]], [[(1, 0)]])  # the second only if it was taken before the session left


def test_progress_age_grows_only_while_work_waits() -> None:
    batcher = Batcher()
    assert batcher.progress_age_ms == 0
    batcher.put(work(1, 0))
    batcher.take(1)
    busy = batcher._busy_since_ns
    assert busy is not None
    batcher.finished()
    assert batcher._busy_since_ns is None
    assert batcher.progress_age_ms == 0


def test_a_session_that_ended_loses_its_queue_and_is_named_before_the_next_batch() -> None:
    batcher = Batcher()
    for session in (1, 2, 1):
        batcher.put(work(session, 0))
    batcher.drop(bytes([1]) * 16)
    batcher.put(work(1, 5))  # it came back
    assert batcher.ended == []
    assert label(batcher.take(9)) == [(2, 0), (1, 5)]
    assert batcher.ended == [bytes([1]) * 16]
    batcher.put(work(3, 0))
    batcher.take(9)
    assert batcher.ended == []
