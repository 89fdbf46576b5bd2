"""Somebody asks a run to stop: what was sent by then is still told, and nothing more is sent."""

import math
import signal
from dataclasses import replace
from itertools import count, islice
from types import SimpleNamespace
from typing import Any

import pytest

from common import shutdown
from common.live.asked import Faces
from sctx import cli
from sctx.actions import Action, Frame, Terms, Up
from sctx.capture.source import Capture
from sctx.outcomes import Summary
from sctx.pending import Hear
from sctx.sender import Sender
from sctx.settings import Settings
from sctx.vitals import Vitals
from tests.sctx.test_slow_start import GOOD, PAIR, PICTURES, WINDOW, Far
from tests.sctx.test_tx_session import ACCEPT

pytestmark = pytest.mark.usefixtures("one_thread")
SENT = 9


class Asked(Far):
    """Somebody asks when frame SENT was sent, before anything is known of it. Answers come to who waits for them."""

    asked = connected = False
    session = SimpleNamespace(up=True, counters=SimpleNamespace(duplicates=0, header_bytes=0))

    def submit(self, frame: Frame) -> None:
        super().submit(frame)
        self.asked = len(self.frames) == SENT

    def wait_event(self, timeout_s: float) -> Action | None:
        if not self.connected:
            self.connected = True
            return Up(ACCEPT, True)
        return super().wait_event(timeout_s) if self.in_flight and timeout_s else None


@pytest.fixture
def way() -> Asked:
    return Asked(Terms(bytes(16), bytes(32), "test", 128, False, 1000, 60.0), lambda *_: None, lambda seq: GOOD, 0.0)


@pytest.fixture
def tx(way: Asked) -> Sender:
    def open_way(terms: Terms, hear: Hear) -> Asked:
        return way

    return Sender(PAIR, Settings(), 1, bytes(16), open_way, clock=lambda: way.now)


def captures() -> "map[Capture]":
    return map(lambda index: Capture(index, PICTURES[0], None, 0), count())


def test_who_asks_between_a_frame_and_its_answer_gets_every_answer(tx: Sender, way: Asked) -> None:
    told = [outcome.index for outcome in tx.run(captures(), lambda: way.asked)]
    assert (way.in_flight, len(told)) == (SENT - len(told), len(told))
    assert 0 < way.in_flight <= WINDOW
    told += [outcome.index for outcome in tx.finish(60.0)]
    assert (sorted(told), len(way.frames)) == (list(range(SENT)), SENT)


def test_who_asks_again_waits_for_nothing(tx: Sender, way: Asked) -> None:
    for _ in tx.run(captures(), lambda: way.asked):
        pass
    left = way.in_flight
    assert list(tx.finish(60.0, lambda: True)) == []
    assert way.in_flight == left > 0


def test_nobody_is_waited_for_once_somebody_asked(tx: Sender, way: Asked) -> None:
    assert tx.connect(until=lambda: True) is None
    assert list(tx.run(captures(), lambda: True)) == []
    assert not way.connected


def test_a_signal_between_an_answer_and_its_line_loses_neither_nor_the_summary(
    tx: Sender, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = list[dict[str, Any]]()

    def say(value: dict[str, Any]) -> None:
        if len(said) == SENT or "summary" in value:
            signal.raise_signal(signal.SIGTERM)
        said.append(value)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutdown, "_asked_s", math.inf)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        source: Any = SimpleNamespace(captures=lambda most, fps: captures(), size=None, unreadable=0)
        options = {"peer": "far", "as_json": True, "fps": None, "count": None, "live": False}
        anyone: Any = tx
        assert cli._send(anyone, source, Summary(1), options, Faces(None, None), say) == 0
    except KeyboardInterrupt:
        pytest.fail("it was interrupted")
    finally:
        signal.signal(signal.SIGTERM, before)
    *answers, last = said
    assert [answer["index"] for answer in answers] == list(range(last["summary"]["sent"]))
    assert (last["summary"]["answered"], last["summary"]["lost"]) == (len(answers), 0)
    assert capsys.readouterr().err == "sctx: stopped\n"


@pytest.mark.parametrize(("live", "read", "code"), [(True, 0, 1), (True, 2, 0), (False, 0, 1), (False, 2, 1)])
def test_a_run_that_could_read_nothing_has_failed_live_or_not(
    tx: Sender, capsys: pytest.CaptureFixture[str], live: bool, read: int, code: int
) -> None:
    source: Any = SimpleNamespace(captures=lambda most, fps: islice(captures(), read), size=9, unreadable=9 - read)
    options = {"peer": "far", "as_json": True, "fps": None, "count": None, "live": live}
    anyone: Any = tx
    assert cli._send(anyone, source, Summary(1), options, Faces(None, None), None) == code
    assert capsys.readouterr().err == ""


def test_the_page_shows_the_name_of_a_file_as_it_can_be_shown(tx: Sender) -> None:
    anyone: Any = tx
    assert len(list(tx.run([replace(next(captures()), file="a\nb\udcff.jpg")]))) == 1
    assert Vitals(anyone, Summary(1))._newest()["file"] == r"a\nb\udcff.jpg"
