"""Captures are read ahead by a thread: none is lost, none is changed behind its back, no end of a source is silent."""

import asyncio
import threading
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError
from sctx.capture.feed import Feed, source_of
from sctx.capture.source import Capture


class Reader:
    """A feed, and somebody who waits for it."""

    def __init__(self, source: Iterator[Any], live: bool = False) -> None:
        self._news = threading.Event()
        self.feed = Feed(source, live, self._news.set)

    def until(self, asked: Any) -> Any:
        """What it answers, as soon as it is something."""
        while not (found := asked()):
            assert self._news.wait(10), "nothing comes"
            self._news.clear()
        return found

    def take(self) -> Capture:
        capture = self.until(self.feed.take)
        assert isinstance(capture, Capture)
        return capture


def captures(first: int = 0) -> Iterator[Capture]:
    return (Capture(index, np.full((2, 2), index % 256, np.uint8), None, 0) for index in count(first))


@pytest.mark.parametrize("live", [False, True])
def test_a_buffer_that_is_filled_again_leaves_what_was_read_of_it(live: bool) -> None:
    turn = threading.Event()

    def refilled() -> Iterator[Capture]:
        buffer = np.empty((2, 2), np.uint8)
        for index in range(5):
            buffer[...] = index
            yield Capture(index, buffer, None, 0)
            if live:
                assert turn.wait(10)
                turn.clear()

    reader = Reader(refilled(), live)
    with reader.feed:
        taken = list[Capture]()
        while len(taken) < 5:
            taken.append(reader.take())
            turn.set()
    assert [(one.index, one.image.tolist()) for one in taken] == [(k, [[k, k], [k, k]]) for k in range(5)]


def test_what_was_read_when_it_stopped_comes_first_when_it_goes_on() -> None:
    reader = Reader(captures())
    taken = list[int]()
    for most in (0, 1, 3, 0, 2, 1):
        with reader.feed:
            taken += [reader.take().index for _ in range(most)]
    assert taken == list(range(7))


def test_a_source_that_was_waited_for_when_it_stopped_is_read_by_one_thread_only() -> None:
    asked, more = threading.Event(), threading.Event()

    def slow() -> Iterator[Capture]:
        yield from islice(captures(), 1)
        asked.set()
        assert more.wait(10)
        yield from islice(captures(1), 2)

    reader = Reader(slow())
    with reader.feed:
        assert reader.take().index == 0
        assert asked.wait(10)
    with reader.feed:  # a second thread that asked it would be told that the generator is running
        more.set()
        assert [reader.take().index, reader.take().index] == [1, 2]
        assert reader.until(lambda: reader.feed.done)
    assert reader.feed.error is None


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_a_source_raises_ends_it_and_is_told(kind: type[BaseException]) -> None:
    def broken() -> Iterator[Capture]:
        yield from islice(captures(), 1)
        raise kind

    reader = Reader(broken())
    with reader.feed:
        assert reader.take().index == 0
        assert reader.until(lambda: reader.feed.done)
    assert isinstance(reader.feed.error, kind)


@pytest.mark.parametrize("given", [np.zeros((8, 8), np.uint8), None, (0, None), "one.png"])
def test_what_is_no_capture_is_named_with_what_is(given: Any) -> None:
    reader = Reader(iter([given]))
    with reader.feed:
        assert reader.until(lambda: reader.feed.done)
    assert isinstance(reader.feed.error, ConfigError)
    assert "sctx.Capture(" in str(reader.feed.error)
    assert str(reader.feed.error).endswith(f"not {type(given).__name__}")


@pytest.mark.parametrize("given", [5, None, Capture(0, np.zeros((8, 8), np.uint8), None, 0)])
def test_what_gives_no_captures_is_named(given: Any) -> None:
    with pytest.raises(ConfigError, match=f"not one {type(given).__name__}$"):
        source_of(given)
