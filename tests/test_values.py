"""Public value objects refuse what they are not made for, by the name of the field, whatever is given to them."""

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec, TransitSpec
from common.errors import ConfigError, ModelError
from common.pair.shapes import Accuracy, EncoderShape, Preprocess, WordTable
from common.phy.layout import Layout
from common.typed import decode
from sctx import Capture, Goal, RatePolicy

SOUND: dict[type, dict[str, Any]] = {
    Layout: {"increments": (2, 4), "pilots": 4, "slot": 16},
    Preprocess: {"height": 8, "width": 8, "channels": 1, "mean": (0.5,), "std": (0.5,)},
    EncoderShape: {"width": 8, "blocks": 1, "stem_stride": 1},
    Accuracy: {"snr_db": (0.0, 1.0), "acc": ((0.1, 0.2),), "clean": 0.3},
    WordTable: {"snr_db": (0.0, 10.0), "right": ((0.5, 1.0),)},
    ChannelSpec: {"snr_db": 3.0, "doppler": 0.01, "coherence": 64, "seed": 3},
    FeedbackSpec: {"loss": 0.5, "delay": 128, "bits": 4, "bias_db": 1.0},
    TransitSpec: {"delay_ms": 1.0, "drop": 0.1, "burst": 2.0},
    Goal: {"kind": "budget", "value": 8.0},
    RatePolicy: {"kind": "fixed", "symbols": 16},
    Capture: {"index": 0, "image": np.zeros((8, 8), np.uint8), "label": 3, "captured_ns": 5},
}
NEVER = ("two words", b"x", math.nan, {}, object())
"""What is a value of no field that holds numbers."""
LEFT_TO_WHO_READS_IT = {(Capture, "image"), (Capture, "file")}
CASES = [
    pytest.param(kind, one.name, id=f"{kind.__name__}-{one.name}")
    for kind in SOUND
    for one in fields(kind)
    if (kind, one.name) not in LEFT_TO_WHO_READS_IT and one.name in SOUND[kind]
]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_value_of_another_type_is_refused_by_name(kind: type, name: str) -> None:
    sound = SOUND[kind]
    more: dict[type, list[Any]] = {int: [1.5, "1", True], tuple: [(None,), ("x",), 1], bool: [1, "yes"]}
    for value in [*NEVER, None, *more.get(type(sound[name]), [])]:
        if value is None and (kind, name) == (Capture, "label"):  # not known
            continue
        with pytest.raises((ConfigError, ModelError)) as told:
            kind(**{**sound, name: value})
        message = str(told.value)
        assert "\n" not in message
        assert "--" not in message
        assert name in message or "goal" in message or "policy" in message, (value, message)


@pytest.mark.parametrize("kind", SOUND)
def test_numbers_of_numpy_and_lists_are_as_good_as_pythons(kind: type) -> None:
    sound = SOUND[kind]

    def of_numpy(value: Any) -> Any:
        if isinstance(value, tuple):
            return [of_numpy(one) for one in value]
        if isinstance(value, bool | str | np.ndarray):
            return value
        return np.int64(value) if isinstance(value, int) else np.float64(value)

    made, same = kind(**{name: of_numpy(value) for name, value in sound.items()}), kind(**sound)
    for name in sound:
        ours, theirs = getattr(made, name), getattr(same, name)
        assert ours is theirs or ours == theirs, name


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 2**63, -(2**63), 10**99, True, None, "1"], ids=str)
@pytest.mark.parametrize(("kind", "good"), [(tuple[int, ...], 7), (tuple[float, ...], 0.5), (tuple[float, ...], 7)])
def test_one_wrong_number_among_good_ones_is_named_by_its_place(kind: Any, good: float, wrong: Any, place: int) -> None:
    values = [good] * 4
    assert decode(kind, values, "table") == tuple(values)
    values[place] = wrong
    with pytest.raises(ValueError, match=rf"^table\[{place}\] = .* is no (int|float)$"):
        decode(kind, values, "table")
    values[place] = good + 0.25
    if kind == tuple[int, ...]:
        with pytest.raises(ValueError, match=rf"^table\[{place}\] = 7.25 is no int$"):
            decode(kind, values, "table")
