"""Whole messages: losses alone and in bursts, delay in order."""

import numpy as np
import pytest

from common.channel.spec.ways import TransitSpec
from common.channel.wire.transit import Fate, OnTheWay
from common.errors import ConfigError


def lost(spec: TransitSpec, count: int = 100_000) -> np.ndarray:
    fate = Fate(spec, 0, 0)
    return np.array([fate.lost() for _ in range(count)])


def test_independent_losses_have_their_rate() -> None:
    assert lost(TransitSpec(drop=0.1)).mean() == pytest.approx(0.1, abs=0.005)


def test_bursts_have_their_rate_and_length() -> None:
    seen = lost(TransitSpec(drop=0.1, burst=5.0))
    assert seen.mean() == pytest.approx(0.1, abs=0.01)
    starts = np.count_nonzero(seen[1:] & ~seen[:-1])
    assert seen.sum() / starts == pytest.approx(5.0, rel=0.05)


def test_the_same_seed_loses_the_same_messages() -> None:
    np.testing.assert_array_equal(lost(TransitSpec(drop=0.3), 100), lost(TransitSpec(drop=0.3), 100))


def test_jitter_is_bounded() -> None:
    fate = Fate(TransitSpec(jitter_ms=10.0), 0, 0)
    draws = [fate.jitter_s() for _ in range(1000)]
    assert min(draws) >= 0.0
    assert 0.009 < max(draws) <= 0.010


def test_items_leave_when_due_and_in_order() -> None:
    way: OnTheWay[str] = OnTheWay()
    for item, due in (("late", 2.0), ("first", 1.0), ("second", 1.0)):
        way.put(item, due)
    assert way.wait_s(0.5) == 0.5
    assert way.due(0.9) == []
    assert way.due(1.0) == ["first", "second"]
    assert way.due(3.0) == ["late"]
    assert way.wait_s(3.0) is None


@pytest.mark.parametrize(
    "wrong",
    [{"drop": 1.5}, {"drop": -0.1}, {"delay_ms": -1.0}, {"jitter_ms": float("nan")}, {"drop": 0.1, "burst": 0.5}],
)
def test_wrong_parameters_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=list(wrong)[-1]):
        TransitSpec(**wrong)
