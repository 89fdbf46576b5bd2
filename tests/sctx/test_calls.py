"""Calls of one transmitter that meet: threads take turns, a run is alone, and every image has its own outcome."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError
from sctx.actions import Frame, Terms
from sctx.capture.source import Capture
from sctx.outcomes import Answer, Missed
from sctx.pending import Hear
from sctx.sender import Sender
from sctx.settings import Settings
from tests.sctx.test_slow_start import PAIR, PICTURES
from tests.sctx.test_stopping import Asked
from training.lab.loopback import Loopback

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = 30
REFUSED = "is going on"


class Held(Asked):
    """Its first frame is on its way for as long as somebody holds it."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.sent, self.let_go = threading.Event(), threading.Event()

    def submit(self, frame: Frame) -> None:
        super().submit(frame)
        if not frame.seq and not self.let_go.is_set():
            self.sent.set()
            assert self.let_go.wait(10)


@pytest.fixture
def way() -> Held:
    return Held(Terms(bytes(16), bytes(32), "test", 128, False, 1000, 60.0), lambda *_: None, lambda seq: 20.0, 0.0)


@pytest.fixture
def tx(way: Held) -> Sender:
    def open_way(terms: Terms, hear: Hear) -> Held:
        return way

    return Sender(PAIR, Settings(), 1, bytes(16), open_way, clock=lambda: way.now)


def captures(images: int = IMAGES) -> Iterator[Capture]:
    return (Capture(index, PICTURES[index % len(PICTURES)], None, 0) for index in range(images))


def test_threads_take_turns_and_each_gets_the_answer_to_its_image(tx: Sender, way: Held) -> None:
    answers = dict[int, Answer]()

    def send(index: int) -> None:
        answers[index] = tx.send(PICTURES[index])

    first, *others = [threading.Thread(target=send, args=(index,), daemon=True) for index in range(4)]
    first.start()
    assert way.sent.wait(10)
    for one in others:
        one.start()
    others[0].join(0.1)  # long enough to take the answer that is not its own
    way.let_go.set()
    for one in (first, *others):
        one.join(10)
    sent = {index: way.frames[answer.seq].image.capture.image for index, answer in answers.items()}
    assert {index for index, image in sent.items() if np.shares_memory(image, PICTURES[index])} == set(range(4))


@pytest.mark.parametrize(
    "call",
    [
        lambda tx: tx.send(PICTURES[0]),
        lambda tx: list(tx.run(captures())),
        lambda tx: list(tx.finish(1.0)),
    ],
)
@pytest.mark.parametrize("begin", [lambda tx: tx.run(captures()), lambda tx: _left(tx).finish(60.0)])
def test_nothing_is_called_into_a_run(
    tx: Sender, way: Held, begin: Callable[[Sender], Any], call: Callable[[Sender], object]
) -> None:
    way.let_go.set()
    outcomes = begin(tx)
    told = [next(outcomes).index]
    with pytest.raises(ConfigError, match=REFUSED):
        call(tx)
    left = way.in_flight
    told += [outcome.index for outcome in islice(outcomes, left)]
    assert sorted(told) == list(range(left + 1)), "it lost an outcome, or has another's"
    outcomes.close()
    call(tx)


def _left(tx: Sender) -> Sender:
    """With images on their way that nobody waits for."""
    tx.connect()
    for capture in captures(3):
        tx._submit(capture)
    return tx


def test_who_sends_while_an_image_is_being_encoded_or_read_is_told() -> None:
    def again(images: object = None, told_db: float = 0.0) -> Any:
        return tx.send(PICTURES[0])

    def reading() -> Iterator[Capture]:
        yield from captures(1)
        again()

    with Loopback("digits") as tx:
        with pytest.raises(ConfigError, match=REFUSED):
            list(tx.run(reading()))
        tx.chain.encode = again  # type: ignore[method-assign]
        with pytest.raises(ConfigError, match=REFUSED):
            tx.send(PICTURES[0])


@pytest.mark.parametrize("finishes", [False, True])
@pytest.mark.parametrize("closes", [False, True])
def test_a_run_that_is_stopped_and_goes_on_loses_no_image(tx: Sender, way: Held, finishes: bool, closes: bool) -> None:
    way.let_go.set()
    source, told = captures(), list[int]()

    def some(most: int) -> Iterator[Answer | Missed]:
        outcomes = tx.run(source, lambda: not closes and len(told) >= most)
        return islice(outcomes, 4 if closes else None)

    for part in range(1, 4):
        for outcome in some(4 * part):
            told.append(outcome.index)
        assert 0 < len(told) < IMAGES
        if finishes:
            told += [outcome.index for outcome in tx.finish(60.0)]
    told += [outcome.index for outcome in tx.run(source)]
    assert sorted(told) == list(range(IMAGES))
    assert [frame.image.capture.index for frame in way.frames] == list(range(IMAGES))
    assert list(tx.run(source)) == []


def test_a_run_of_another_source_has_nothing_of_the_last_one(tx: Sender, way: Held) -> None:
    way.let_go.set()
    again = list(captures(8))
    for _ in range(2):  # the same list is another source each time
        for _ in tx.run(again):
            break
    assert sorted(outcome.index for outcome in tx.run(again)) == list(range(8))


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_whatever_a_source_raises_is_raised_after_what_was_answered(
    tx: Sender, way: Held, kind: type[BaseException]
) -> None:
    def broken() -> Iterator[Capture]:
        yield from captures(2)
        raise kind

    way.let_go.set()
    end_s = time.monotonic() + 10.0
    outcomes = tx.run(broken(), lambda: time.monotonic() > end_s)
    assert [next(outcomes).index, next(outcomes).index] == [0, 1]
    with pytest.raises(kind):
        next(outcomes)
    assert tx.send(PICTURES[0]).seq == 2


@pytest.mark.parametrize("given", [[PICTURES[0]], PICTURES, [None], 5, next(captures())])
def test_a_run_says_what_it_takes(tx: Sender, way: Held, given: Any) -> None:
    way.let_go.set()
    with Loopback("digits") as loopback:
        for one in (tx, loopback):
            with pytest.raises(ConfigError, match=r"captures, each such as sctx\.Capture\("):
                list(one.run(given))
