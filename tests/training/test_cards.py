"""Result cards: what was altered is named, whatever it is; packed decisions come back as they were."""

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from common.errors import ConfigError, SemlinkError
from training.cards import making
from training.cards.card import Card, Data, altered, read, sealed, write
from training.cards.making import Context, write_card
from training.cards.packing import Packed, pack, unpack
from training.report.measured_on import commit

IMAGES, STREAMS = 40, (3, 4)
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 10, IMAGES)
DECIDED = np.where(RANDOM.random((2, IMAGES)) < 0.8, LABELS, RANDOM.integers(0, 10, (2, IMAGES)))
RIGHT = (DECIDED == LABELS).astype(float)
POINT: dict[str, Any] = {
    "system": "ours", "channel": "awgn", "csi": "perfect", "n": 16, "snr_db": -3.0, "accuracy": float(RIGHT.mean()),
    "ci95": [0.0, 1.0], "seeds": 2, "mean_uses": 16.0, "tx_accuracy": 0.98, "reason": None,
}  # fmt: skip


def context(**more: Any) -> Context:
    data = Data("digits", "test", "f" * 64, IMAGES)
    return Context(suite="quick", pair="digits", pair_id="a" * 64, data=data, command="python -m training.evaluate",
                   seed=0, streams=STREAMS, **more)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(making, "commit", lambda: "c" * 40)
    return write_card(tmp_path, POINT, DECIDED, RIGHT, context(weights={"a.safetensors": "b" * 64}), RIGHT)


def other(value: Any) -> Any:
    """Another value of the same type: what somebody would write into a card who wants it to say something else."""
    match value:
        case bool() | None:
            return 0.5
        case int():
            return value + 1
        case float():
            return value + 0.01
        case str():
            return f"{value}x"
        case list():
            return [*value[:-1], other(value[-1])]
        case dict():
            key = next(iter(value))
            return {**value, key: other(value[key])}
    raise AssertionError(value)


def test_a_card_is_read_as_it_was_written(path: Path) -> None:
    card = read(path)
    assert altered(card) == []
    assert card.decisions is not None
    assert (unpack(card.decisions) == DECIDED).all()
    assert (unpack(card.right) == RIGHT).all()
    assert (card.accuracy, card.kind, card.streams) == (RIGHT.mean(), "replay", STREAMS)
    assert card.ci95[0] < card.accuracy < card.ci95[1]
    assert card.against_label_code == (0.0, 0.0, 0.0)
    assert {"cpu", "torch", "threads", "instructions"} <= card.machine.keys()


SEALED = [one.name for one in fields(Card) if one.name not in ("seal", "schema")]


@pytest.mark.parametrize("name", SEALED)
def test_whatever_is_altered_is_named(path: Path, name: str) -> None:
    document = json.loads(path.read_text())
    document[name] = other(document[name])
    path.write_text(json.dumps(document))
    try:
        found = altered(read(path))
    except SemlinkError as error:  # of another type than a card has there
        found = [str(error)]
    assert any(name in line for line in found), found


@pytest.mark.parametrize("name", ["accuracy", "ci95", "right", "kind", "seeds"])
def test_a_card_that_was_sealed_again_still_has_to_agree_with_its_decisions(path: Path, name: str) -> None:
    document = json.loads(path.read_text())
    document[name] = turned(document[name]) if name == "right" else other(document[name])
    path.write_text(json.dumps(document))
    assert altered(sealed(read(path)))


def turned(packed: dict[str, Any]) -> dict[str, Any]:
    """One decision turned, and packed as it should be."""
    values = unpack(Packed(packed["form"], tuple(packed["shape"]), packed["sha256"], tuple(packed["data"])))
    values[0, 0] = not values[0, 0]
    again = pack(values)
    return {"form": again.form, "shape": list(again.shape), "sha256": again.sha256, "data": list(again.data)}


def test_a_number_that_is_not_that_of_its_decisions_is_no_card(tmp_path: Path) -> None:
    with pytest.raises(SemlinkError, match="accuracy"):
        write_card(tmp_path, {**POINT, "accuracy": 0.99}, DECIDED, RIGHT, context())
    with pytest.raises(SemlinkError, match="streams"):
        write_card(tmp_path, {**POINT, "seeds": 3}, DECIDED, RIGHT, context())
    assert not list(tmp_path.iterdir())


def test_probabilities_need_no_decisions(tmp_path: Path) -> None:
    right = np.full((2, IMAGES), 0.75)
    card = read(write_card(tmp_path, {**POINT, "accuracy": 0.75}, None, right, context()))
    assert altered(card) == []
    assert card.decisions is None
    assert (unpack(card.right) == right).all()


def test_a_card_whose_weights_are_not_at_hand_says_what_makes_them(tmp_path: Path) -> None:
    command = "python -m training.baseline --system vfe"
    card = read(write_card(tmp_path, POINT, DECIDED, RIGHT, context(retrain=command, hours=0.5)))
    assert (card.kind, card.retrain, card.hours) == ("retrain", command, 0.5)
    assert altered(card) == []


packable = st.one_of(
    arrays.arrays(bool, arrays.array_shapes(max_dims=2, max_side=20)),
    arrays.arrays(np.int64, arrays.array_shapes(max_dims=2, max_side=20), elements=st.integers(0, 65535)),
    arrays.arrays(np.int64, arrays.array_shapes(max_dims=2, max_side=20), elements=st.integers(0, 9)),
    arrays.arrays(np.float64, arrays.array_shapes(max_dims=2, max_side=20), elements=st.floats(0, 1)),
)


@settings(max_examples=30)
@given(packable)
def test_what_is_packed_comes_back(values: np.ndarray[Any, Any]) -> None:
    found = unpack(pack(values))
    assert found.shape == values.shape
    assert (found == values).all()


@settings(max_examples=30)
@given(packable, st.data())
def test_no_value_can_be_turned_without_another_hash(values: np.ndarray[Any, Any], data: st.DataObject) -> None:
    packed = pack(values)
    raw = bytearray(zlib.decompress(base64.b64decode("".join(packed.data))))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    text = base64.b64encode(zlib.compress(bytes(raw))).decode()
    with pytest.raises(ValueError, match="SHA-256"):
        unpack(Packed(packed.form, packed.shape, packed.sha256, (text,)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: Packed("f9", p.shape, p.sha256, p.data),
        lambda p: Packed(p.form, (), p.sha256, p.data),
        lambda p: Packed(p.form, (2**40, 2**40), p.sha256, p.data),
        lambda p: Packed(p.form, (-1, -4), p.sha256, p.data),
        lambda p: Packed(p.form, p.shape, p.sha256, ("%",)),
        lambda p: Packed(p.form, p.shape, p.sha256, (base64.b64encode(b"x" * 30).decode(),)),
        lambda p: Packed(p.form, p.shape, p.sha256, (base64.b64encode(zlib.compress(bytes(10**6))).decode(),)),
        lambda p: Packed(p.form, p.shape, p.sha256, (base64.b64encode(zlib.compress(b"ab")).decode(),)),
    ],
)
def test_what_cannot_be_unpacked_is_told_in_few_words(spoil: Callable[[Packed], Packed]) -> None:
    with pytest.raises(ValueError, match="packed"):
        unpack(spoil(pack(DECIDED)))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "n": 1}', b"\xff", b"[" * 10**5])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(raw)
    with pytest.raises(SemlinkError, match="no card"):
        read(path)


def test_a_card_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such card"):
        read(tmp_path / "card.json")


def test_the_commit_is_that_of_the_project_or_its_version() -> None:
    assert commit().startswith("semlink ") or len(commit().rstrip("+")) == 40


def test_a_card_that_is_written_again_is_the_same_file(path: Path) -> None:
    before = path.read_bytes()
    assert write(read(path), path.parent) == path
    assert path.read_bytes() == before
