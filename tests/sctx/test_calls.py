"""Calls of one transmitter that meet: threads take turns, a run is alone, and every image has its own outcome."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError
from sctx.actions import Frame, Terms
from sctx.capture.source import Capture
from sctx.outcomes import Answer
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
