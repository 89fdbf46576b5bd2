"""Intervals: of values that do not hang together, of series that do, and as they are written."""

import numpy as np
import pytest

from training.report.stats import bootstrap, written


def test_frames_that_share_a_fade_are_resampled_together() -> None:
    """A series that stands still for 100 frames has ten times the error of one that does not."""
    held = np.repeat(np.random.default_rng(1).normal(size=40), 100)
    loose = np.random.default_rng(2).permutation(held)
    (_, low, high), (_, loose_low, loose_high) = (bootstrap(series, 200) for series in (held, loose))
    assert (high - low) / (loose_high - loose_low) > 5
    assert low < held.mean() < high


@pytest.mark.parametrize(("count", "block"), [(250, 100), (250, 1), (7, 3), (1, 1), (3, 10)])
def test_a_short_last_block_keeps_its_weight(count: int, block: int) -> None:
    assert bootstrap(np.ones(count), block) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_interval_is_as_wide_as_the_binomial_says(share: float) -> None:
    right = (np.arange(1000) < 1000 * share).astype(float)
    mean, low, high = bootstrap(right)
    half = 1.96 * np.sqrt(share * (1 - share) / 1000)
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.1)


def test_two_series_are_resampled_alike() -> None:
    """So their difference has no interval where they differ by a constant."""
    values = np.random.default_rng(0).random(500)
    once, more = bootstrap(values, 7), bootstrap(values + 0.25, 7)
    assert np.subtract(more, once) == pytest.approx([0.25] * 3)


def test_an_interval_as_tables_have_it() -> None:
    assert written(0.123, -0.5, 1) == "+0.12 (-0.50 .. +1.00)"
    assert written(12.34, 9, 15, digits=1, sign=False) == "12.3 (9.0 .. 15.0)"
