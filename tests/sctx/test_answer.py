"""What a receiver answers is data from outside: whatever it is, the transmitter reads a class or none."""

from typing import Any

import pytest

from sctx.outcomes import class_of


@pytest.mark.parametrize(
    ("output", "index"),
    [({"index": 7}, 7), ({"index": 7, "label": 1}, 7), *((odd, -1) for odd in (
        None, 5, "7", (7,), {}, {"index": "7"}, {"index": 7.0}, {"index": True}, {"index": None}, {"index": {}},
    ))],
)  # fmt: skip
def test_the_class_of_an_answer(output: Any, index: int) -> None:
    assert class_of(output) == index
