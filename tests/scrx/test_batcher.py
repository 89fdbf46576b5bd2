"""The queue between link and decoding: fairness, draining, and what it says about progress."""

import time
from dataclasses import dataclass

import pytest

from common.protocol.messages import Data
from scrx.decoding.batcher import TURN_S, Batcher
from scrx.sessions.table import Work


def work(session: int, seq: int) -> Work:
    return Work(Data(bytes([session]) * 16, seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b""), ("classify",), 0, 0)


def label(batch: list[Work]) -> list[tuple[int, int]]:
    return [(item.data.session[0], item.data.seq) for item in batch]


@dataclass
class Clock:
    """The time that a batcher sees."""

    now_s: float = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now_s)
    return made


def test_each_session_gives_one_frame_a_turn() -> None:
    batcher = Batcher()
    for session, seq in [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)]:
        batcher.put(work(session, seq))
    assert label(batcher.take(4)) == [(1, 0), (2, 0), (3, 0), (1, 1)]
    assert label(batcher.take(4)) == [(3, 1), (1, 2)]


def test_a_lone_frame_does_not_wait_for_company() -> None:
    batcher = Batcher()
    assert batcher.pause_s == TURN_S
    batcher.put(work(1, 0))
    assert batcher.pause_s == 0.0
    assert len(batcher.take(32)) == 1
    assert batcher.pause_s == TURN_S


def test_what_is_queued_is_still_given_out_after_closing() -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    assert batcher.take(2, wait_s=30.0) == []
    batcher.close()
    assert not batcher.over
    assert label(batcher.take(2, wait_s=30.0)) == [(1, 0)]
    assert batcher.over
    assert batcher.take(1) == []


def test_waiting_a_little_fills_the_batch(clock: Clock) -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    for passed in range(3):
        clock.now_s = 0.01 * passed
        assert batcher.take(3, wait_s=0.05) == []
    assert batcher.pause_s == pytest.approx(0.03)
    clock.now_s = 0.06
    assert batcher.pause_s == 0.0
    batcher.put(work(2, 0))
    assert len(batcher.take(3, wait_s=0.05)) == 2
    for session in range(3):  # a full one waits for nothing
        batcher.put(work(session, 1))
    assert len(batcher.take(3, wait_s=0.05)) == 3


def test_the_wait_for_a_fuller_batch_is_heard_in_turns(clock: Clock) -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    batcher.take(2, wait_s=30.0)
    assert batcher.pause_s == TURN_S
    clock.now_s = 29.95
    assert batcher.pause_s == pytest.approx(0.05)


def test_a_session_that_leaves_while_a_batch_fills_takes_its_wait_with_it(clock: Clock) -> None:
    batcher = Batcher()
    batcher.put(work(1, 0))
    assert batcher.take(2, wait_s=0.05) == []
    batcher.drop(work(1, 0).data.session)
    assert batcher.take(2, wait_s=0.05) == []
    clock.now_s = 0.04
    batcher.put(work(2, 7))
    assert batcher.take(2, wait_s=0.05) == []
    clock.now_s = 0.1
    assert label(batcher.take(2, wait_s=0.05)) == [(2, 7)]


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
    batcher.put(work(1, 0))
    batcher.take(1)  # from here on something may be kept for it
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
