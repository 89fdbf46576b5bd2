"""Decibels and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.phy.decibel import from_db, to_db


@given(value_db=st.floats(-300, 300))
def test_there_and_back(value_db: float) -> None:
    assert to_db(from_db(value_db)) == pytest.approx(value_db, abs=1e-9)


def test_ends_of_the_scale() -> None:
    assert to_db(0.0) == -math.inf
    assert from_db(-math.inf) == 0.0
    assert from_db(math.inf) == math.inf
    assert (to_db(10.0), from_db(3.0)) == (10.0, pytest.approx(1.9953, abs=1e-4))
