"""Constellations have unit mean power and the points that they should."""

import numpy as np
import pytest

from common.phy.constellation import ORDERS, levels, qam


@pytest.mark.parametrize("order", ORDERS)
def test_points_are_distinct_of_unit_mean_power_and_zero_mean(order: int) -> None:
    points = qam(order)
    assert points.dtype == np.complex64
    assert len(np.unique(points)) == order
    assert np.mean(np.abs(points.astype(complex)) ** 2) == pytest.approx(1, abs=1e-6)
    assert abs(points.mean()) < 1e-6


@pytest.mark.parametrize("order", ORDERS)
def test_levels_are_ascending_evenly_spaced_and_symmetric(order: int) -> None:
    axis = levels(order)
    steps = np.diff(axis)
    assert axis.dtype == np.float32
    assert len(axis) ** 2 == order
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)
    np.testing.assert_allclose(axis, -axis[::-1])
    assert steps[0] > 0


@pytest.mark.parametrize(("order", "distance"), [(4, np.sqrt(2)), (16, 2 / np.sqrt(10)), (64, 2 / np.sqrt(42))])
def test_minimum_distance_is_that_of_the_textbook(order: int, distance: float) -> None:
    assert np.diff(levels(order)).min() == pytest.approx(distance, rel=1e-6)


@pytest.mark.parametrize("order", [0, 2, 8, 32, 256, -4])
def test_other_orders_are_refused(order: int) -> None:
    with pytest.raises(ValueError, match="not one of"):
        levels(order)
