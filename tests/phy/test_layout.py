"""Where symbols lie in a frame, where frames lie on the air, and what the pilots are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.phy.layout import Layout, pilot_sequence

LADDER = Layout(increments=(4, 4, 8, 16, 32), pilots=8, slot=128)
ladders = st.builds(
    Layout, st.lists(st.integers(1, 16), min_size=1, max_size=6).map(tuple), st.integers(2, 32), st.just(128)
)


def test_rates_are_the_running_sum_of_the_increments() -> None:
    assert LADDER.rates == (4, 8, 16, 32, 64)
    assert LADDER.max_symbols == 64


@given(layout=ladders, data=st.data())
def test_rounds_that_follow_each_other_cover_the_payload_once(layout: Layout, data: st.DataObject) -> None:
    last = len(layout.increments) - 1
    cuts = sorted(data.draw(st.sets(st.integers(0, last - 1)))) if last else []
    starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, last]
    covered = [i for start, end in zip(starts, ends, strict=True) for i in range(64 * 4)[layout.span(start, end)]]
    assert covered == list(range(layout.max_symbols))
    frames = [layout.frame_symbols(start, end) for start, end in zip(starts, ends, strict=True)]
    assert sum(frames) == layout.max_symbols + len(frames) * layout.pilots


@pytest.mark.parametrize(("start", "rate"), [(-1, 0), (1, 0), (0, 5), (5, 5), (0, -1)])
def test_increments_that_do_not_exist_are_refused(start: int, rate: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        LADDER.span(start, rate)


@given(layout=ladders, seq=st.integers(0, 2**32 - 1), round_=st.integers(0, 255))
def test_the_air_clock_counts_slots_and_fits_its_field(layout: Layout, seq: int, round_: int) -> None:
    start = layout.air_start(seq, round_)
    assert start == (seq + round_) * 128
    assert start + layout.slot < 2**64
    assert layout.air_start(seq + 1, 0) == layout.air_start(seq, 1)


@given(layout=ladders)
def test_a_frame_ends_before_the_next_slot_begins(layout: Layout) -> None:
    longest = layout.frame_symbols(0, len(layout.increments) - 1)
    assert layout.air_start(0, 0) + longest <= layout.air_start(1, 0)


@pytest.mark.parametrize(
    ("increments", "pilots", "slot", "why"),
    [
        ((), 8, 128, "positive"),
        ((4, 0), 8, 128, "positive"),
        ((4, -1), 8, 128, "positive"),
        ((4,), 1, 128, "at least 2 pilots"),
        ((64, 64), 8, 128, "do not fit"),
        ((121,), 8, 128, "do not fit"),
    ],
)
def test_layouts_that_cannot_be_are_refused(increments: tuple[int, ...], pilots: int, slot: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Layout(increments, pilots, slot)


@pytest.mark.parametrize("count", [2, 3, 4, 8, 16, 63, 64, 256])
def test_pilots_have_unit_modulus_and_are_those_of_the_specification(count: int) -> None:
    pilots = pilot_sequence(count)
    n = np.arange(count)
    assert pilots.dtype == np.complex64
    np.testing.assert_allclose(np.abs(pilots), 1, atol=1e-6)
    np.testing.assert_allclose(pilots, np.exp(-1j * np.pi * n * (n + 1) / count), atol=1e-5)


@pytest.mark.parametrize("count", [4, 8, 16, 64])
def test_a_constant_offset_does_not_look_like_pilots(count: int) -> None:
    assert abs(pilot_sequence(count).mean()) <= 1.01 / np.sqrt(count)


@pytest.mark.parametrize("layout", [Layout((4, 4, 8)), Layout((1,), pilots=2, slot=8), Layout((3, 5), pilots=0)])
def test_a_frame_is_taken_apart_as_it_was_put_together(layout: Layout) -> None:
    payload = np.exp(1j * np.arange(layout.max_symbols)).astype(np.complex64)
    for rate in range(len(layout.increments)):
        for start in range(rate + 1):
            frame = layout.frame(payload, start, rate)
            assert (frame.dtype, len(frame)) == (np.complex64, layout.frame_symbols(start, rate))
            pilots, increments = layout.split(frame)
            assert np.array_equal(pilots, pilot_sequence(layout.pilots))
            assert np.array_equal(increments, payload[layout.span(start, rate)])


def test_nobody_can_change_the_pilots_that_all_use() -> None:
    with pytest.raises(ValueError, match="read-only"):
        pilot_sequence(8)[0] = 0
