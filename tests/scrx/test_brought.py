"""What a decoder of one's own may answer, and what becomes of an answer that cannot be. No sockets."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest

from common.pair.manifest import find_pair
from common.protocol.frames import MAX_OUTPUT_BYTES, pack_outputs
from scrx.decoding.brought import Decoding, decode_by
from scrx.decoding.brought_answers import Unusable, said
from scrx.demodulation.demodulate import SoftBatch

LABELS = tuple("0123456789")
FINE = {"index": 3, "name": "3", "confidence": 0.5}
ROUND: list[Any] = []
ROUND.append(ROUND)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("not even that")


def batch(rows: int) -> SoftBatch:
    flat = np.ones((rows, 4), np.float32)
    return SoftBatch(flat.astype(np.complex64), flat, np.zeros((rows, 4), np.int16), [("classify",)] * rows)


def brought(*answers: Any) -> Decoding:
    return decode_by(lambda symbols, gamma, tasks: list(answers), find_pair("digits"))


@pytest.mark.parametrize(
    "given",
    [
        FINE,
        {**FINE, "index": np.int64(3)},
        {**FINE, "index": np.uint8(3), "confidence": np.float32(0.5)},
        {**FINE, "name": np.str_("3"), "confidence": np.float64(0.5)},
        {np.str_("index"): 3, "name": "3", "confidence": np.float16(0.5)},
    ],
)
def test_numbers_of_numpy_become_pythons_own(given: dict[str, Any]) -> None:
    found = said({"classify": given}, LABELS)
    assert found == {"classify": FINE}
    assert not isinstance(found, Unusable)
    assert [type(one) for one in found["classify"].values()] == [int, str, float]
    assert msgpack.unpackb(pack_outputs(found)) == found


@pytest.mark.parametrize(("sure", "kept"), [(0, 0.0), (1, 1.0), (np.float32(1) + np.float32(2e-7), 1.0)])
def test_what_rounding_adds_to_a_share_is_no_fault(sure: Any, kept: float) -> None:
    assert said({"classify": {**FINE, "confidence": sure}}, LABELS) == {"classify": {**FINE, "confidence": kept}}


def test_a_class_without_a_name_gets_its_own() -> None:
    assert said({"classify": {"index": np.int64(3)}}, LABELS) == {"classify": {"index": 3, "name": "3"}}


def test_other_tasks_and_fields_go_as_they_are() -> None:
    given = {"classify": {"index": 3, "name": "3"}, "depth": {"near": (np.int8(1), [None, True]), "of": "x"}}
    assert said(given, LABELS) == {**given, "depth": {"near": [1, [None, True]], "of": "x"}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({**FINE, "index": 3.0}, "index is 3.0 and must be an integer from 0 to 9"),
        ({**FINE, "index": True}, "index is True"),
        ({**FINE, "index": 10}, "index is 10 and must be from 0 to 9"),
        ({**FINE, "index": -1}, "index is -1"),
        ({"name": "3"}, "index is None"),
        ({**FINE, "name": "seven"}, "name is 'seven' and must be '3', of 3"),
        ({**FINE, "name": 3}, "name is 3 and must be text"),
        ({**FINE, "confidence": float("nan")}, "confidence is nan"),
        ({**FINE, "confidence": 7.0}, "confidence is 7.0 and must be 0 or more and at most 1"),
        ({**FINE, "confidence": -0.1}, "confidence is -0.1"),
        ({**FINE, "confidence": None}, "confidence is None"),
        ({**FINE, "confidence": "hi"}, "confidence is 'hi'"),
        ({**FINE, "confidence": np.ones(1)}, "confidence is array"),
        ({**FINE, "more": np.zeros(3)}, "cannot be sent: bad_outputs: ndarray"),
        ({**FINE, "more": [np.float32("nan")]}, "bad_outputs: float nan"),
        ({**FINE, "more": b"3"}, "bad_outputs: bytes"),
        ({**FINE, "more": 1 << 64}, "bad_outputs: "),
        ({**FINE, "more": "\ud800"}, "bad_outputs: "),
        ({**FINE, "more": [0] * 5000}, "5000 items; at most 4096"),
        ({**FINE, "more": "x" * MAX_OUTPUT_BYTES}, "payload_size"),
        ({**FINE, "more": ROUND}, "RecursionError"),
        ({**FINE, "more": Unshowable()}, "RuntimeError"),
        ({**FINE, 3: 3}, "a key is not text"),
        ("3", "must be a dict for each task"),
    ],
)
def test_what_cannot_be_said_is_named(given: Any, why: str) -> None:
    found = said({"classify": given}, LABELS)
    assert isinstance(found, Unusable)
    assert why in str(found)


@pytest.mark.parametrize("given", [{}, None, 3, [3], np.zeros(3)])
def test_what_is_no_answer_at_all_is_named(given: Any) -> None:
    assert "must be a dict for each task, by its name" in str(said(given, LABELS))


def test_a_decoder_without_the_embedding_that_heads_judge_by_answers_nothing() -> None:
    """And nothing is asked of it where nobody wants one."""
    good = {"classify": FINE, "embedding": {"vector": [1, 0.5]}}
    given = [good, {"classify": FINE}, {**good, "embedding": {"vector": [0.5]}}, {**good, "embedding": 3}, good]
    soft = batch(5)
    wanted = replace(soft, tasks=[("classify", "embedding")] * 5)
    decode = decode_by(lambda symbols, gamma, tasks: given, find_pair("digits"), wide=2)
    assert decode(wanted) == [good, None, None, None, good]
    assert "heads need 'embedding': {'vector': [...]}, a list of 2 numbers" in decode.fault
    assert decode(soft)[:3] == given[:3]


def test_one_bad_answer_leaves_the_others_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = {"classify": {**FINE, "confidence": 2.0}}, {"classify": FINE}
    decode = brought(good, bad, good)
    assert [decode(batch(3)) for _ in range(3)] == [[good, None, good]] * 3
    (line,) = caplog.records
    assert (line.message, line.levelno, line.frames) == ("decoding_failed", logging.ERROR, 1)  # type: ignore[attr-defined]
    assert "confidence is 2.0" in line.why  # type: ignore[attr-defined]
    assert "confidence is 2.0" in str(line.exc_info)  # where nobody set up a log, that is all that is shown
    assert (decode.unanswered, decode.fault) == (0, line.why)  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [None, 3, {"classify": FINE}, np.zeros(2), (FINE,), [FINE] * 3])
def test_something_else_than_an_answer_for_each_is_an_answer_for_none(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    decode = decode_by(lambda symbols, gamma, tasks: given, find_pair("digits"))
    assert decode(batch(2)) == [None, None]
    assert "must give a list of 2 answers" in decode.fault
    assert len(caplog.records) == 1


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("error", [IndexError("no such word"), SystemExit(3), GeneratorExit()])
def test_what_a_decoder_raises_costs_its_batch_alone(
    error: BaseException, own: bool, caplog: pytest.LogCaptureFixture
) -> None:
    fails = iter((True, True, False))

    def decode(soft: SoftBatch) -> list[Any]:
        if next(fails):
            raise error
        return [{"classify": FINE} for _ in soft.tasks]

    decoding = Decoding(decode, None if own else LABELS)
    assert decoding(batch(2)) == decoding(batch(2)) == [None, None]
    assert (decoding.unanswered, decoding.fault) == (2, repr(error))
    assert decoding(batch(1)) == [{"classify": FINE}]
    assert decoding.unanswered == 0
    assert [(one.message, one.exc_info and one.exc_info[1]) for one in caplog.records] == [("decoding_failed", error)]


def test_who_wants_all_to_end_is_not_stopped_by_a_decoder() -> None:
    def decode(symbols: Any, gamma: Any, tasks: Sequence[Any]) -> list[Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_by(decode, find_pair("digits"))(batch(1))


def test_the_answers_of_the_pairs_own_decoder_are_looked_at_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["scrx.decoding.brought"], "said", None)
    decode = decode_by(None, find_pair("digits"))
    monkeypatch.setattr(decode, "_decode", lambda soft: [{"anything": 0}])
    assert decode(batch(1)) == [{"anything": 0}]
