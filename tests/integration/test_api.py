"""The Python API: two classes, real sockets, one process."""

import math
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

import scrx
import sctx
from common.errors import ConfigError, DataError, LinkDown, ModelError, PeerRejected, SemlinkError
from common.pair.manifest import find_pair
from scrx.decoding.answerer import Answerer
from scrx.demodulation.demodulate import SoftBatch
from sctx.actions import Failed, Terms
from sctx.capture.source import Capture
from sctx.link import Link


@pytest.fixture
def receiver(tiny_pair: Path) -> Iterator[scrx.Receiver]:
    with scrx.Receiver("0", tiny_pair) as rx:
        yield rx


class Unsure:
    """The pair's own decoder, half as sure as it is: it asks for more whatever it received."""

    def __init__(self, pair: Path) -> None:
        self._own = Answerer(find_pair(pair))

    def answer(self, soft: SoftBatch) -> list[Any]:
        told = [one["classify"] for one in self._own.answer(soft)]
        return [{"classify": {**one, "confidence": one["confidence"] / 2}} for one in told]


@pytest.fixture
def unsure(tiny_pair: Path) -> Iterator[scrx.Receiver]:
    with scrx.Receiver("0", tiny_pair, decoder=Unsure(tiny_pair)) as rx:
        yield rx


def peer(receiver: scrx.Receiver) -> str:
    return receiver.address.removeprefix("tcp://")


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (480, 640, 3), (37, 20)])
def test_an_image_of_any_size_is_answered(receiver: scrx.Receiver, tiny_pair: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        answer = tx.send(image)
    assert answer.name == str(answer.answer)
    assert 0.0 < answer.confidence <= 1.0
    assert set(answer.outputs) == {"classify"}
    assert answer.uses == answer.symbols + 8
    assert set(answer.stages_us) == {"encode", "modulate", "network", "queue", "decode"}


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8)), np.zeros((8, 8, 2), np.uint8), np.zeros(8, np.uint8), np.zeros((0, 8), np.uint8),
        [[0, 255], [255, 0]], None,
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_the_link_stays_usable(
    receiver: scrx.Receiver, tiny_pair: Path, image: Any
) -> None:
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        with pytest.raises(DataError, match="uint8"):
            tx.send(image)
        assert tx.send(np.zeros((8, 8), np.uint8)).index >= 0


def test_an_image_that_could_not_be_sent_is_not_waited_for(
    receiver: scrx.Receiver, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("no usable features")

    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        with monkeypatch.context() as patch:
            patch.setattr(tx.chain, "frame", refuse)
            with pytest.raises(ModelError):
                tx.send(np.zeros((8, 8), np.uint8))
        assert tx.in_flight == 0
        assert tx.send(np.zeros((8, 8), np.uint8)).confidence > 0.0


def test_a_further_round_that_could_not_be_sent_is_not_waited_for(
    unsure: scrx.Receiver, tiny_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = sctx.Settings(policy="fixed:2", ask_below=1.0)
    with sctx.Transmitter(peer(unsure), tiny_pair, settings) as tx:
        sound, sent = tx.chain.frame, []

        def once(*frame: Any) -> Any:
            sent.append(frame)
            if len(sent) == 2:
                raise ModelError("no usable features")
            return sound(*frame)

        monkeypatch.setattr(tx.chain, "frame", once)
        with pytest.raises(ModelError):
            tx.send(np.zeros((8, 8), np.uint8))
        assert tx.in_flight == 0
        assert tx.send(np.zeros((8, 8), np.uint8)).round == 4


@pytest.mark.parametrize("settings", [{}, {"policy": "fixed:2", "ask_below": 0.9}, {"live": True}, {"window": 1}])
def test_what_is_in_flight_is_what_the_session_waits_for_and_what_was_not_taken_yet(
    unsure: scrx.Receiver, tiny_pair: Path, settings: dict[str, Any]
) -> None:
    captures = (Capture(k, np.full((8, 8), k, np.uint8), None, time.monotonic_ns()) for k in range(20))
    with sctx.Transmitter(peer(unsure), tiny_pair, sctx.Settings(**settings)) as tx:
        seen = []
        for outcome in tx.run(captures):
            seen.append(outcome.index)
            assert tx.link.session.outstanding <= tx.in_flight <= 2
        assert (tx.in_flight, tx.link.session.outstanding) == (0, 0)
    assert sorted(seen) == list(range(20))


def test_the_receiver_sees_each_answer_where_it_is_used(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    images = [np.full((8, 8), value, np.uint8) for value in (0, 100, 200)]
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        sent = [tx.send(image) for image in images]
    seen = [answer for _, answer in zip(images, receiver.answers(timeout_s=5), strict=False)]
    assert [(a.session, a.seq, a.answer, a.name) for a in seen if a] == [
        (a.session, a.seq, a.answer, a.name) for a in sent
    ]
    assert {len(answer.session) for answer in sent} == {32}
    assert [answer.seq for answer in sent] == [0, 1, 2]


@pytest.mark.parametrize("tasks", [None, ("classify",), ("embedding",), ["classify", "embedding"], ()])
def test_only_the_tasks_asked_for_come_back(
    receiver: scrx.Receiver, tiny_pair: Path, tasks: tuple[str, ...] | None
) -> None:
    with sctx.Transmitter(peer(receiver), tiny_pair, sctx.Settings(tasks=tasks)) as tx:
        answer = tx.send(np.zeros((8, 8), np.uint8))
    wanted = {"classify"} if tasks is None else set(tasks or ("classify", "embedding"))
    assert set(answer.outputs) == wanted
    if "embedding" in wanted:
        assert len(answer.outputs["embedding"]["vector"]) == 32
    else:
        assert len(msgpack.packb(answer.outputs)) < 60  # what the network carries back unless more is asked for


def test_a_receiver_that_knows_no_such_task_says_so(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    terms = Terms(bytes(16), bytes.fromhex(receiver.manifest.id), "test", 32, False, 1000, 60.0, tasks=("translate",))
    link = Link(receiver.address, terms)
    event = link.wait_event(10)
    link.close()
    assert isinstance(event, Failed)
    assert isinstance(event.error, PeerRejected)
    assert "answers classify, embedding" in str(event.error)


def test_no_receiver_is_link_down(tiny_pair: Path) -> None:
    settings = sctx.Settings(give_up_s=0.3)
    with sctx.Transmitter("127.0.0.1:1", tiny_pair, settings) as tx, pytest.raises(LinkDown, match=r"0\.3 s"):
        tx.send(np.zeros((8, 8), np.uint8))


def test_wrong_arguments_are_refused_before_anything_is_opened(tiny_pair: Path) -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        sctx.Transmitter("127.0.0.1:1", "nosuch")
    with pytest.raises(ConfigError, match="fixed:5"):
        sctx.Transmitter("127.0.0.1:1", tiny_pair, sctx.Settings(policy="fixed:5"))
    with pytest.raises(ConfigError, match="not a port"):
        scrx.Receiver("seventy", tiny_pair)


INTEGERS = (True, 1.0, "1", None, float("nan"), -1, 2**40, [1])
NUMBERS = (True, "1", float("nan"), -0.5, -math.inf, [1.0])
WRONG_TX: dict[str, tuple[object, ...]] = {
    "peer": (None, 5555, b"127.0.0.1:1", "", "::1", "host:0", ["127.0.0.1:1"]),
    "model": (None, 5, "nosuch", b"digits"),
    "stream": tuple(value for value in INTEGERS if value is not None),
    "window": (0, 256, *(value for value in INTEGERS if value is not None)),
    "deadline_ms": (0, 65536, *(value for value in INTEGERS if value is not None)),
    "policy": (None, "robus", "fixed", "fixed:", "fixed:x", "fixed:5", "robust:", "genie", 5, True, sctx.RatePolicy),
    "give_up_s": (0.0, None, *NUMBERS),
    "ask_below": (1.1, None, *NUMBERS),
    "live": (None, 0, "no"),
    "tasks": ("classify", ("translate",), (1,), 5, True),
    "settings": ({"live": True}, True, "robust", scrx.Settings()),
    "device": (None, 0, "abacus"),
    "keys": (5, True, b"x", "/no/such/folder"),
    "insecure": (None, 1, "yes"),
}
WRONG_RX: dict[str, tuple[object, ...]] = {
    "listen": (None, 5555, "::1", "seventy", "1.2.3:5", ["0"]),
    "model": WRONG_TX["model"],
    "keys": WRONG_TX["keys"],
    "insecure": WRONG_TX["insecure"],
    "max_batch": (0, 4097, *INTEGERS),
    "window": (0, 256, *INTEGERS),
    "deadline_cap_ms": (0, 65536, *INTEGERS),
    "max_sessions": (0, 65536, *INTEGERS),
    "workers": (65, *INTEGERS),
    "worker_timeout_s": (0.0, math.inf, None, *NUMBERS),
    "batch_wait_ms": (1001, None, *NUMBERS),
    "stop": (True, 5),
    "decoder": (5, "digits"),
    "settings": ({"workers": 1}, 5, sctx.Settings()),
}


def opened(half: type, made: type, given: dict[str, object]) -> None:
    """Open a half with these values, those of its settings by way of them."""
    settings = {name: value for name, value in given.items() if name in made.__dataclass_fields__}
    rest = {name: value for name, value in given.items() if name not in settings}
    half(**rest, **({"settings": made(**settings)} if settings else {})).close()


@pytest.mark.parametrize(
    ("half", "made", "wrong", "where"),
    [
        (sctx.Transmitter, sctx.Settings, WRONG_TX, {"peer": "127.0.0.1:9"}),
        (scrx.Receiver, scrx.Settings, WRONG_RX, {"listen": "0"}),
    ],
    ids=["transmitter", "receiver"],
)
def test_every_wrong_value_is_told_at_once_by_the_name_of_the_parameter(
    half: type, made: type, wrong: dict[str, tuple[object, ...]], where: dict[str, str], tiny_pair: Path
) -> None:
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(ConfigError) as told:
                opened(half, made, {**where, "model": tiny_pair, name: value})
            assert "\n" not in str(told.value)
            assert "--" not in re.sub("`[^`]*`", "", str(told.value)), value  # but for a command that helps
            assert name in str(told.value) or name in ("model", "keys"), value


def test_what_numpy_gives_is_as_good_as_what_python_gives(tiny_pair: Path) -> None:
    given = sctx.Settings(stream=np.uint32(7), window=np.int64(2), give_up_s=np.float32(1), ask_below=np.float64(0.5))
    assert given == sctx.Settings(stream=7, window=2, give_up_s=1.0, ask_below=0.5)
    assert [type(value) for value in (given.stream, given.window, given.give_up_s)] == [int, int, float]
    sctx.Transmitter("127.0.0.1:9", tiny_pair, given).close()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("withn", 1.0), ("", 1.0), (None, 1.0), (1, 1.0), ("within", -50), ("within", 101), ("within", "1"),
        ("within", True), ("within", math.nan), ("target", 1.1), ("outage", -0.1), ("budget", 0), ("budget", math.inf),
        ("price", 2), ("price", None),
    ],
)  # fmt: skip
def test_a_goal_that_is_none_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match="goal"):
        sctx.Goal(kind, value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("robus",), ("fixed",), ("fixed", 0), ("fixed", -1), ("fixed", 2.0), ("fixed", True), ("adaptive", 5), (None,),
        ("adaptive", 0, "within"), ("adaptive", 0, None), ("Robust",), (sctx.Goal(),),
    ],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="policy"):
        sctx.RatePolicy(*arguments)


@pytest.mark.parametrize("policy", ["robust", "adaptive", "average", "fixed:2", sctx.RatePolicy("robust")])
def test_a_policy_may_be_said_in_a_word(tiny_pair: Path, policy: Any) -> None:
    with sctx.Transmitter("127.0.0.1:9", tiny_pair, sctx.Settings(policy=policy)) as tx:
        assert str(tx.settings.policy) == str(policy)


def test_a_live_source_skips_what_the_link_cannot_take(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    def flood() -> Iterator[Capture]:
        for index in range(400):
            yield Capture(index, np.zeros((8, 8), np.uint8), None, time.monotonic_ns())

    with sctx.Transmitter(peer(receiver), tiny_pair, sctx.Settings(live=True)) as tx:
        outcomes = list(tx.run(flood()))
    answered = [o.index for o in outcomes if isinstance(o, sctx.Answer)]
    missed = [o.index for o in outcomes if not isinstance(o, sctx.Answer)]
    assert sorted(answered + missed) == list(range(400))
    assert len(missed) > 0
    assert max(answered) == 399  # the newest image is the one that is kept


def test_a_finite_source_waits_instead(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    captures = (Capture(k, np.zeros((8, 8), np.uint8), None, 0) for k in range(100))
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        assert sorted(outcome.index for outcome in tx.run(captures)) == list(range(100))


@pytest.mark.parametrize("features", [0.0, 100.0])
def test_redundancy_sends_the_rest_of_the_ladder_round_by_round(
    features: float, unsure: scrx.Receiver, tiny_pair: Path
) -> None:
    """features: what the first round leaves to them; the decision was not sure, so all that follows says it."""
    images = [np.full((8, 8), value, np.uint8) for value in (0, 60, 250)]
    smallest = sctx.Settings(policy="fixed:2", ask_below=1.0, features=features)
    whole = sctx.Settings(policy="fixed:32", features=0.0)
    with sctx.Transmitter(peer(unsure), tiny_pair, smallest) as tx:
        grown = [tx.send(image) for image in images]
    with sctx.Transmitter(peer(unsure), tiny_pair, whole) as tx:
        sent_whole = [tx.send(image) for image in images]
    for a, b in zip(grown, sent_whole, strict=True):
        assert (a.round, a.symbols, a.uses) == (4, 32, 32 + 5 * 8)
        assert (b.round, b.symbols, b.uses) == (0, 32, 32 + 8)
        # The ideal channel: the same symbols, whether they came in five frames or in one.
        assert (a.answer, a.confidence) == (b.answer, pytest.approx(b.confidence, abs=0.02))


def test_a_sure_answer_needs_no_further_round(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    with sctx.Transmitter(peer(receiver), tiny_pair, sctx.Settings(policy="fixed:2", ask_below=0.01)) as tx:
        assert tx.send(np.zeros((8, 8), np.uint8)).round == 0


def test_answers_come_while_a_slow_source_thinks(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    more = threading.Event()

    def slow() -> Iterator[Capture]:
        yield Capture(0, np.zeros((8, 8), np.uint8), None, 0)
        assert more.wait(30)
        yield Capture(1, np.zeros((8, 8), np.uint8), None, 0)

    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        outcomes = tx.run(slow())
        assert next(outcomes).index == 0  # the source has not given its second image yet
        more.set()
        assert [outcome.index for outcome in outcomes] == [1]


def test_an_error_of_the_source_arrives_after_what_was_answered(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    def breaking() -> Iterator[Capture]:
        yield Capture(0, np.zeros((8, 8), np.uint8), None, 0)
        raise DataError("the camera fell down")

    seen = []
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx, pytest.raises(DataError, match="fell down"):  # noqa: PT012
        for outcome in tx.run(breaking()):
            seen.append(outcome.index)
    assert seen == [0]


def test_an_answer_belongs_to_its_image_even_after_a_run_was_broken_off(
    receiver: scrx.Receiver, tiny_pair: Path
) -> None:
    captures = (Capture(100 + k, np.zeros((8, 8), np.uint8), None, 0) for k in range(10))
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        for _ in tx.run(captures):
            break
        assert tx.send(np.zeros((8, 8), np.uint8)).index < 100


def test_a_run_after_one_that_was_broken_off_has_its_own_outcomes_only(
    receiver: scrx.Receiver, tiny_pair: Path
) -> None:
    def captures(first: int) -> Iterator[Capture]:
        return (Capture(first + k, np.zeros((8, 8), np.uint8), None, 0) for k in range(5))

    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        for _ in tx.run(captures(0)):
            break
        assert sorted(outcome.index for outcome in tx.run(captures(100))) == [100, 101, 102, 103, 104]


def test_a_failure_is_told_again_instead_of_waiting_for_ever(tiny_pair: Path) -> None:
    with sctx.Transmitter("127.0.0.1:1", tiny_pair, sctx.Settings(give_up_s=0.2)) as tx:
        for _ in range(2):
            with pytest.raises(LinkDown):
                tx.send(np.zeros((8, 8), np.uint8))
    with pytest.raises(SemlinkError):
        tx.send(np.zeros((8, 8), np.uint8))


def test_redundancy_survives_rounds_that_expire(tiny_pair: Path) -> None:
    with (
        scrx.Receiver("0", tiny_pair) as rx,
        sctx.Transmitter(peer(rx), tiny_pair, sctx.Settings(policy="fixed:2", ask_below=1.0, deadline_ms=1)) as tx,
    ):
        captures = [Capture(k, np.zeros((8, 8), np.uint8), None, 0) for k in range(5)]
        outcomes = list(tx.run(captures))
    assert sorted(outcome.index for outcome in outcomes) == list(range(5))


def test_many_sessions_open_and_close_without_leaving_anything(receiver: scrx.Receiver, tiny_pair: Path) -> None:
    for _ in range(20):
        with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
            tx.send(np.zeros((8, 8), np.uint8))
    with sctx.Transmitter(peer(receiver), tiny_pair) as tx:
        tx.send(np.zeros((8, 8), np.uint8))
        tx.send(np.zeros((8, 8), np.uint8))
        assert len(receiver.table.peers) <= 2
