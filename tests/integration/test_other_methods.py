"""An encoder and a decoder that are no pair of ours go over the real sockets: what is sent is answered, or refused."""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import scrx
import sctx
from common.errors import ConfigError, ModelError, PeerRejected
from common.pair.agreement import Agreement
from common.pair.shapes import Preprocess
from common.phy.layout import Layout
from sctx.chain import Encode

TOLD: list[float] = []


def agreed(symbols: int = 3, pilots: int = 4, **more: object) -> Agreement:
    """A way to send which of eight pictures it is, a bit for each symbol."""
    fields = {
        "name": "bits", "id": "ab" * 32, "layout": Layout((symbols,), pilots), "labels": tuple("abcdefgh"),
        "preprocess": Preprocess(2, 2, 1, (0.0,), (1.0,)), "tasks": ("classify",), "accuracy": None,
    }  # fmt: skip
    return Agreement(**{**fields, **more})  # type: ignore[arg-type]


def encode(images: np.ndarray, told_db: float) -> np.ndarray:
    TOLD.append(told_db)
    which = images[:, 0, 0, 0]
    return np.stack([1.0 - 2.0 * (which >> bit & 1) for bit in range(3)], -1).astype(complex)


def decode(symbols: np.ndarray, gamma: np.ndarray, tasks: object) -> list[dict[str, dict[str, object]]]:
    found = ((symbols.real < 0) << np.arange(3)).sum(1)
    return [{"classify": {"index": int(one), "name": "abcdefgh"[one], "confidence": 1.0}} for one in found]


IMAGES = [np.full((2, 2), which, np.uint8) for which in range(8)]


@pytest.fixture
def receiver() -> Iterator[scrx.Receiver]:
    with scrx.Receiver("127.0.0.1:0", agreed(), decoder=decode) as rx:
        yield rx


def port(rx: scrx.Receiver) -> str:
    return rx.address.removeprefix("tcp://")


@pytest.mark.parametrize("policy", ["adaptive", "average", "robust", "fixed:3"])
def test_what_a_given_encoder_sends_a_given_decoder_answers(receiver: scrx.Receiver, policy: str) -> None:
    TOLD.clear()
    settings = sctx.Settings(policy=policy, window=1)
    with sctx.Transmitter(port(receiver), agreed(), settings, encoder=encode) as tx:
        answers = [tx.send(image) for image in IMAGES]
    assert [one.name for one in answers] == list("abcdefgh")
    assert {(one.symbols, one.uses) for one in answers} == {(3, 7)}
    assert np.isnan(TOLD[0])
    assert np.isnan(TOLD[1:]).all() if policy == "robust" else (np.array(TOLD[1:]) > 20.0).all()


def test_without_pilots_nothing_is_estimated_and_it_is_answered_all_the_same() -> None:
    bare = agreed(pilots=0)
    with (
        scrx.Receiver("127.0.0.1:0", bare, decoder=decode) as rx,
        sctx.Transmitter(port(rx), bare, sctx.Settings(window=1), encoder=encode) as tx,
    ):
        answers = [tx.send(image) for image in IMAGES]
    assert [one.name for one in answers] == list("abcdefgh")
    assert {(one.uses, one.snr_est_db) for one in answers} == {(3, None)}


def test_another_id_is_refused_in_one_line(receiver: scrx.Receiver) -> None:
    other = replace(agreed(), id="cd" * 32)
    with (
        sctx.Transmitter(port(receiver), other, encoder=encode) as tx,
        pytest.raises(PeerRejected, match="bits"),
    ):
        tx.send(IMAGES[0])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda images, told: np.ones((1, 4), complex), r"gave complex128 \[1, 4\], and complex \[1, 3\]"),
        (lambda images, told: np.ones(3, complex), r"gave complex128 \[3\]"),
        (lambda images, told: np.ones((1, 3)), r"gave float64 \[1, 3\]"),
        (lambda images, told: None, r"gave object \[\]"),
        (lambda images, told: np.full((1, 3), 2.0 + 0j), r"mean power 2.28571 instead of 1"),
        (lambda images, told: np.full((1, 3), np.nan + 0j), r"mean power nan instead of 1"),
    ],
)
def test_an_encoder_that_breaks_what_was_agreed_sends_nothing(
    receiver: scrx.Receiver, wrong: Encode, told: str
) -> None:
    with sctx.Transmitter(port(receiver), agreed(), encoder=wrong) as tx, pytest.raises(ModelError, match=told):
        tx.send(IMAGES[0])
    assert receiver.answered == 0


def test_a_decoder_that_fails_costs_an_image_and_not_the_receiver(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever was connected, and whoever comes later, goes on, and both ends show the same."""
    faults: list[object] = [IndexError("no such word"), SystemExit(3), None, np.zeros(1)]

    def broken(symbols: np.ndarray, gamma: np.ndarray, tasks: object) -> object:
        if not faults:
            return [{"classify": {**one["classify"], "index": np.int64(5)}} for one in decode(symbols, gamma, tasks)]
        if isinstance(fault := faults.pop(0), BaseException):
            raise fault
        return fault

    with scrx.Receiver("127.0.0.1:0", agreed(), decoder=broken) as rx:  # type: ignore[arg-type]
        with sctx.Transmitter(port(rx), agreed(), encoder=encode) as tx:
            for _ in range(4):
                with pytest.raises(sctx.SemlinkError, match="the image failed"):
                    tx.send(IMAGES[5])
            there = [tx.send(IMAGES[5])]
        with sctx.Transmitter(port(rx), agreed(), encoder=encode) as tx:
            there.append(tx.send(IMAGES[5]))
        assert (rx.answered, rx.failed, rx.closed, rx.unanswered) == (2, 4, False, 0)
    here = list(rx.answers())
    assert [(one.answer, one.name, one.outputs) for one in here if one] == [
        (one.answer, one.name, one.outputs) for one in there
    ]
    assert [one.message for one in caplog.records if one.levelno >= 40] == ["decoding_failed"]
    assert "ndarray" in rx.fault


def test_an_agreement_has_no_networks_of_its_own() -> None:
    started = time.process_time()
    for make, told in (
        (lambda: sctx.Transmitter("127.0.0.1:9", agreed()), "bits is no pair .*: give an encoder"),
        (lambda: sctx.Transmitter("127.0.0.1:9", agreed(), encoder=3), "encoder is 3 and must be something to call"),
        (
            lambda: sctx.Transmitter("127.0.0.1:9", agreed(), encoder=lambda images: images),  # type: ignore[arg-type,misc]
            "encoder is .* and must take images, told_db",
        ),
        (
            lambda: scrx.Receiver("127.0.0.1:0", agreed(), decoder=lambda symbols, gamma: []),  # type: ignore[arg-type,misc]
            "decoder is .* and must take symbols, gamma, tasks",
        ),
        (lambda: scrx.Receiver("127.0.0.1:0", agreed()), "bits is no pair: give a decoder"),
        (
            lambda: scrx.Receiver("127.0.0.1:0", agreed(), scrx.Settings(workers=2)),
            "bits is no pair: give a decoder",
        ),
    ):
        with pytest.raises(ConfigError, match=told):
            make()
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("id", "ab", "64 hex digits"),
        ("id", "AB" * 32, "64 hex digits"),
        ("labels", ("a",), "2 to 65536 classes"),
        ("labels", ("a", ""), "2 to 65536 classes"),
        ("name", "", "no name"),
        ("tasks", (), "no tasks"),
        ("layout", Layout((2, 2), 4), "1 rates, not 2"),
    ],
)
def test_an_agreement_checks_itself(field: str, value: object, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        agreed(**{field: value})
