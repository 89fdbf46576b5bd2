"""Who asks for features sends one image at a time until the channel is known: what is sent before that has none."""

import logging
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest

from common.pair.manifest import find_pair
from common.protocol.messages import Result, Status
from sctx.actions import Action, Answered, Frame, Lost, Terms
from sctx.capture.source import Capture
from sctx.pending import Hear
from sctx.rate.belief import STALE_NS
from sctx.rate.controller import MOST_BLIND
from sctx.sender import Sender
from sctx.settings import Settings

pytestmark = pytest.mark.usefixtures("one_thread")
WINDOW, IMAGES, GOOD = 6, 24, 20.0
PAIR = find_pair("digits")
PICTURES = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8), np.uint8)
Fate = Callable[[int], float | str | None]
"""Of frame `seq`: the SNR in dB that its answer reports, None for no report, or why it gets no answer."""


class Far:
    """A receiver so far away that nothing comes back before as much is sent as may be."""

    def __init__(self, terms: Terms, hear: Hear, fate: Fate, fd: float | None) -> None:
        self.in_flight, self.window, self.now = 0, WINDOW, 0
        self.frames: list[Frame] = []
        self.together: list[int] = []
        """How many were on their way when each frame was sent, itself counted."""
        self._session, self._hear, self._fate, self._fd = terms.session, hear, fate, fd
        self._waiting: deque[Frame] = deque()

    def submit(self, frame: Frame) -> None:
        self.in_flight += 1
        self.frames.append(frame)
        self.together.append(self.in_flight)
        self._waiting.append(frame)

    def wait_event(self, timeout_s: float) -> Action | None:
        frame = self._waiting.popleft()
        self.in_flight -= 1
        fate = self._fate(frame.seq)
        if isinstance(fate, str):
            return Lost(frame, fate)
        error, fd = (None, None) if fate is None else (0.1, self._fd)
        about = (fate, fate, error, error, fd, frame.air_start)
        result = Result(self._session, frame.seq, 0, Status.OK, *about, 0.9, 0, 0, WINDOW, {})
        self._hear(result, self.now)
        return Answered(frame, result, 0, 0)

    def wake(self) -> None: ...

    def close(self) -> None: ...


def sent(fate: Fate, pause_at: int = -1, fd: float | None = 0.0, **settings: object) -> tuple[Sender, Far]:
    """Send all images, each as soon as it may be; before image `pause_at` nothing is sent for longer than a report is
    believed. fd: the Doppler that is reported."""
    ways: list[Far] = []

    def open_way(terms: Terms, hear: Hear) -> Far:
        ways.append(Far(terms, hear, fate, fd))
        return ways[0]

    tx = Sender(PAIR, Settings(**settings), 1, bytes(16), open_way, clock=lambda: ways[0].now)  # type: ignore[arg-type]
    for index, picture in enumerate(PICTURES):
        while not tx._may_send or (index == pause_at and tx.in_flight):
            tx._next_outcome(0.1)
        ways[0].now += (STALE_NS + 1) * (index == pause_at)
        tx._submit(Capture(index, picture, None, 0))
    while tx.in_flight:
        tx._next_outcome(0.1)
    return tx, ways[0]


def bare(way: Far) -> int:
    """Frames of which every symbol is the word's."""
    return sum(frame.words is None for frame in way.frames)


def good(seq: int) -> float:
    return GOOD


def test_the_first_image_alone_has_no_features_however_far_the_receiver_is() -> None:
    tx, way = sent(good, distortion=30.0)
    assert (bare(way), tx.beyond) == (1, 0)
    assert way.together[:2] == [1, 1]
    assert max(way.together) == WINDOW, "from then on the window is full"


@pytest.mark.parametrize("settings", [{}, {"policy": "robust"}, {"policy": "fixed:32"}, {"features": 0.0}])
def test_who_asks_for_no_features_fills_the_window_at_once(settings: dict[str, object]) -> None:
    tx, way = sent(good, **settings)
    assert way.together[:WINDOW] == list(range(1, WINDOW + 1))
    assert tx.beyond is None


def test_a_live_source_does_not_wait() -> None:
    _, way = sent(good, distortion=30.0, live=True)
    assert way.together[:WINDOW] == list(range(1, WINDOW + 1))


@pytest.mark.parametrize("why", ["expired", "failed", "refused"])
def test_an_image_that_is_lost_keeps_nothing_waiting(why: str) -> None:
    _, way = sent(lambda seq: why if seq < 2 else GOOD, distortion=30.0)
    assert way.together[:4] == [1, 1, 1, 1]
    assert (bare(way), len(way.frames)) == (3, IMAGES)


def test_where_no_report_comes_back_it_waits_for_some_answers_and_no_longer() -> None:
    tx, way = sent(lambda seq: None, distortion=30.0)
    assert way.together[:MOST_BLIND] == [1] * MOST_BLIND
    assert max(way.together) == WINDOW
    assert (bare(way), tx.beyond) == (IMAGES, 0)


def test_after_the_time_out_of_the_report_it_begins_again_with_one() -> None:
    _, way = sent(good, pause_at=12, distortion=30.0)
    assert way.together[11] == WINDOW
    assert way.together[12:14] == [1, 1]
    assert bare(way) == 2


def test_what_no_rate_reaches_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tx, way = sent(lambda seq: -5.0 if seq % 2 else GOOD, distortion=5.0)
    assert 0 < (tx.beyond or 0) < IMAGES - 1
    assert max(frame.rate_id for frame in way.frames) == len(PAIR.layout.rates) - 1
    (said,) = [one for one in caplog.records if one.message == "distortion_not_reached"]
    assert said.levelno == logging.WARNING
    assert (said.asked_percent, said.symbols) == (5.0, PAIR.layout.rates[-1])  # type: ignore[attr-defined]
    assert 5.0 < said.missed_percent < 100.0  # type: ignore[attr-defined]


def test_while_the_doppler_is_not_known_nothing_is_said_of_what_is_reached(caplog: pytest.LogCaptureFixture) -> None:
    tx, way = sent(lambda seq: -5.0, fd=None, distortion=5.0)
    assert tx.beyond == 0
    assert bare(way) == 1
    assert not caplog.records
