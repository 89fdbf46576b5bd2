"""What a receiver cannot mean is not believed, and noise is no progress. Under a fake clock."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from common.errors import LinkDown, PeerRejected
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
    Result,
    Status,
)
from sctx.actions import Action, Answered, Failed, Frame, Lost, Send, Stalled, Terms
from sctx.pending import MAX_SENDS, MS, Hear
from sctx.session import Session, unheard

SESSION, MODEL = b"s" * 16, b"m" * 32
TERMS = Terms(SESSION, MODEL, "test", slot=128, live=False, deadline_ms=10_000, give_up_s=60.0)
ACCEPT = Accept(SESSION, VERSION, MODEL, 2, 128, 128, 60_000, 250, 3, 1, ("classify",), 0, 0, 0)


def frame(seq: int, ask_below: int = 0) -> Frame:
    return Frame(seq, 0, 7, seq * 128, 0, 1, 0, b"\0" * 96, ask_below)


def result(seq: int, status: Status = Status.OK, **changes: object) -> Result:
    plain = Result(SESSION, seq, 0, status, 10.0, 10.0, 1.0, 1.0, None, seq * 128, 0.9, 100, 100, 2, {})
    return replace(plain, **changes)


class Peer:
    """A session and a hostile receiver that says `noise` every 20 ms and answers whatever it is asked as it likes."""

    def __init__(
        self, noise: Callable[[int], list[Message]], terms: Terms = TERMS, accepts: bool = True, hear: Hear = unheard
    ) -> None:
        self.session, self.noise, self.accepts = Session(terms, 0, hear), noise, accepts
        self.sent: list[Message] = []
        self.failed = False
        self.actions: list[Action] = []
        self._take(self.session.tick(0), 0)
        for seq in range(self.session.window):
            self._take(self.session.submit(frame(seq), 0), 0)

    def run(self, for_s: float) -> float | None:
        """When the session gave up, in seconds; None where it did not."""
        for now in range(0, int(for_s * 1000), 20):
            for message in self.noise(now):
                self._take(self.session.on_message(message, now * MS), now * MS)
            self._take(self.session.tick(now * MS), now * MS)
            if self.failed:
                return now / 1000
        return None

    def _take(self, actions: list[Action], now: int) -> None:
        for action in actions:
            self.actions.append(action)
            self.failed |= isinstance(action, Failed)
            if isinstance(action, Send):
                self.sent.append(action.message)
                if isinstance(action.message, Hello) and self.accepts:
                    accept = replace(ACCEPT, t1_ns=action.message.t1_ns)
                    self._take(self.session.on_message(accept, now), now)

    def count(self, kind: type) -> int:
        return sum(isinstance(thing, kind) for thing in [*self.actions, *self.sent])


NOISE: dict[str, Callable[[int], list[Message]]] = {
    "pings": lambda now: [Ping(SESSION, now, now)],
    "pongs": lambda now: [Pong(SESSION, now, now, 0, 2**64 - 1, 9, 2**32 - 1), Pong(SESSION, 1, 0, 0, 0, 0, 0)],
    "goodbyes": lambda now: [Bye(SESSION, ByeCode.DRAIN)],
    "accepts": lambda now: [replace(ACCEPT, t1_ns=now)],
    "accepts and goodbyes": lambda now: [ACCEPT, Bye(SESSION, ByeCode.DONE)] * 10,
    "never heard of you": lambda now: [Nak(SESSION, 0, 0, NakCode.NO_SESSION)] * 10,
    "over the window": lambda now: [Nak(SESSION, 0, 0, NakCode.OVER_WINDOW)],
    "answers to nothing": lambda now: [result(9), result(0, round=1)],
}


@pytest.mark.parametrize("name", NOISE)
def test_noise_is_no_progress(name: str) -> None:
    peer = Peer(NOISE[name])
    gave_up = peer.run(130.0)
    assert gave_up is not None
    assert 59.0 < gave_up < 121.0  # a receiver that came back once has had its patience anew, once
    failed = peer.actions[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, LinkDown)
    assert "60 s" in str(failed.error)


@pytest.mark.parametrize("name", NOISE)
def test_noise_makes_nobody_talk(name: str) -> None:
    peer = Peer(NOISE[name])
    peer.run(20.0)
    assert peer.count(Data) <= 2 * MAX_SENDS
    assert peer.count(Hello) <= 20 * 10 + 2
    assert peer.count(Ping) <= 20 * 4 + 20 * 10
    assert peer.count(Stalled) <= 20 * 4


def test_noise_before_the_first_accept_is_no_receiver() -> None:
    peer = Peer(lambda now: [Ping(SESSION, 1, 1), Bye(SESSION, ByeCode.DONE)], accepts=False)
    gave_up = peer.run(61.0)
    assert gave_up is not None
    assert gave_up > 59.0


def test_what_refused_the_frames_is_named() -> None:
    peer = Peer(lambda now: [Nak(SESSION, 0, 0, NakCode.BAD_SYMBOLS)] if now % 1000 == 0 else [])
    peer.noise = lambda now, say=peer.noise: [*say(now), Ping(SESSION, 1, 1)]
    peer.run(70.0)
    failed = peer.actions[-1]
    assert isinstance(failed, Failed)
    assert " for 60 s; it refused frames: bad_symbols " in str(failed.error)


def test_a_receiver_that_answers_slowly_but_surely_is_not_given_up() -> None:
    answers = iter(range(10**6))
    peer = Peer(lambda now: [Ping(SESSION, 1, 1)])

    def every_fifty_seconds(now: int) -> list[Message]:
        if now % 50_000 or not now:
            return [Ping(SESSION, 1, 1)]
        seq = next(answers)
        peer.session.submit(frame(seq + 2), now * MS)
        return [result(seq)]

    peer.noise = every_fifty_seconds
    assert peer.run(170.0) is None
    assert peer.count(Answered) == 3


def test_a_receiver_that_lets_nothing_be_sent_is_given_up() -> None:
    peer = Peer(lambda now: [result(now // 20, credits=0)] if now < 40 else [Ping(SESSION, 1, 1)])
    gave_up = peer.run(70.0)
    assert gave_up is not None
    assert peer.session.window == 0
    assert "let nothing be sent for 60 s" in str(peer.actions[-1])


def test_who_has_nothing_to_send_waits_for_ever() -> None:
    peer = Peer(lambda now: [result(now // 20)] if now < 40 else [Ping(SESSION, 1, 1)])
    assert peer.run(100.0) is None


def test_a_window_is_never_wider_than_was_agreed() -> None:
    peer = Peer(lambda now: [result(0, credits=255)])
    peer.run(0.1)
    assert peer.session.window == 2


@pytest.mark.parametrize(
    "terms",
    [
        {"heartbeat_ms": 65_535, "heartbeat_misses": 255},
        {"heartbeat_ms": 65_535},
        {"deadline_cap_ms": 0},
        {"window": 0},
    ],
)
def test_terms_that_nobody_can_mean_are_refused(terms: dict[str, int]) -> None:
    session = Session(TERMS, 0)
    session.tick(0)
    (failed,) = session.on_message(replace(ACCEPT, **terms), 0)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, PeerRejected)


@pytest.mark.parametrize("air_start", [2 * 128, 2**53, 2**64 - 1])
def test_a_report_from_the_future_is_not_believed(air_start: int) -> None:
    heard: list[Result] = []
    peer = Peer(lambda now: [], hear=lambda told, now: heard.append(told))
    (answered,) = peer.session.on_message(result(0, snr_inst_db=-90.0, air_start=air_start), 0)
    assert isinstance(answered, Answered)
    assert heard == []
    peer.session.on_message(result(1, snr_inst_db=12.0), 0)
    assert [told.snr_inst_db for told in heard] == [12.0]
    assert peer.session.counters.untrue == 1


@pytest.mark.parametrize(("ask_below", "confidence", "status"), [
    (0, 0.0, Status.OK), (0, 1.0, Status.OK), (90, 0.9, Status.OK), (90, 1.0, Status.OK),
    (90, 0.899, Status.LOW_CONFIDENCE), (100, 0.99, Status.LOW_CONFIDENCE),
])  # fmt: skip
def test_only_who_asked_is_asked_for_more(ask_below: int, confidence: float, status: Status) -> None:
    session = Session(TERMS, 0)
    session.on_message(ACCEPT, 0)
    session.submit(frame(0, ask_below), 0)
    (answered,) = session.on_message(result(0, Status.LOW_CONFIDENCE, confidence=confidence), 0)
    assert isinstance(answered, Answered)
    assert answered.result.status is status


def test_frames_that_are_taken_by_nobody_end_as_failed() -> None:
    peer = Peer(NOISE["accepts and goodbyes"], replace(TERMS, give_up_s=1000.0))
    peer.run(20.0)
    assert [action.why for action in peer.actions if isinstance(action, Lost)] == ["failed", "failed"]
