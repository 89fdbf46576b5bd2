"""What a channel has been through: any number of changes costs no memory, and no phase jumps at one of them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.channel.files.schedule import load_schedule
from common.channel.models.clocks import Clocks
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import MOST_TRACKS, Channel
from common.channel.streams.timeline import STRIDE, Plan
from common.errors import ProtocolError
from common.transport.memory import own_bytes

ROTATING: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "cfo": ({"cfo": 0.01}, [{"cfo": -0.013}, {"cfo": 0.0}, {"cfo": 0.004}, {"snr_db": 70.0}]),
    "phase noise": ({"phase_noise": 1e-6}, [{"phase_noise": 4e-6}, {"phase_noise": 0.0}, {"phase_noise": 1e-7}]),
    "phase noise from none": ({}, [{"phase_noise": 1e-6}, {"phase_noise": 2e-6}]),
    "line of sight": (
        {"fading": "rician", "k_factor_db": 40.0, "doppler": 1e-4, "los_doppler": 0.7},
        [{"los_doppler": -0.9}, {"doppler": 3e-4}, {"los_doppler": 0.1, "doppler": 1e-5}, {"los_doppler": 1.0}],
    ),
    "rayleigh": ({"fading": "rayleigh", "doppler": 1e-4}, [{"doppler": 3e-4}, {"doppler": 0.0}, {"doppler": 1e-4}]),
    "nakagami": ({"fading": "nakagami", "nakagami_m": 2.0, "doppler": 1e-4}, [{"doppler": 3e-4}, {"doppler": 1e-5}]),
    "delay line": (
        {"fading": "tdl-d", "delay_spread": 0.0, "rate": 1e6, "doppler": 1e-4},
        [{"los_doppler": -0.5}, {"doppler": 3e-4}, {"los_doppler": 0.9}],
    ),
    "shadowing": ({"shadowing_db": 6.0}, [{"shadowing_length": 1e4}, {"shadowing_length": 1e6}]),
    "all of it": (
        {"fading": "rician", "doppler": 1e-4, "cfo": 1e-3, "phase_noise": 1e-7, "shadowing_db": 3.0},
        [{"cfo": 2e-3, "los_doppler": 0.1}, {"phase_noise": 1e-6, "doppler": 2e-4, "shadowing_length": 3e4}],
    ),
}
"""Parameters that accumulate: where a run begins, and what is set while it goes on."""
LINES = {"shadowing": 0.1, **dict.fromkeys(("line of sight", "rayleigh", "nakagami", "delay line", "all of it"), 0.015)}
"""What straight lines between knots may be off by: half a degree. A phase that jumps does so by 86 to 134 degrees."""


@pytest.mark.parametrize("name", ROTATING)
@pytest.mark.parametrize("manner", ["live", "plan"])
def test_what_accumulates_is_continuous_at_a_change(name: str, manner: str) -> None:
    start, changes = ROTATING[name]
    spec, apart = ChannelSpec(**{"snr_db": math.inf, "fading": "none", **start}), 20_011
    places = [apart * (number + 1) for number in range(len(changes))]
    channel = Channel(Plan(spec, zip(places, changes, strict=True) if manner == "plan" else ()))
    x = np.ones(apart, np.complex64)
    for number in range(len(changes) + 1):
        channel.transform(0, apart * number, x)
        if manner == "live" and number < len(changes):
            assert channel.change(changes[number]) == [((b"", 0, 0), places[number])]
    h = channel.fading(0, 0, apart * (len(changes) + 1))
    steps = np.abs(np.diff(h))
    for place in places:
        around = np.concatenate((steps[place - 200 : place - 1], steps[place : place + 200]))
        assert steps[place - 1] <= 1.5 * around.max() + LINES.get(name, 2e-5)


@pytest.mark.parametrize("name", ROTATING)
def test_a_plan_and_the_same_changes_by_hand_are_one_channel(name: str) -> None:
    start, changes = ROTATING[name]
    spec, apart = ChannelSpec(**{"snr_db": math.inf, "fading": "none", **start}), 5_000
    x = np.ones(apart, np.complex64)
    live = Channel(spec)
    for change in changes:
        live.transform(3, max((end for _, end in live.tracks), default=0), x)
        live.change(change)
    n = apart * (len(changes) + 1)
    live.transform(3, n - apart, x)
    planned = Channel(Plan(spec, [(apart * (k + 1), change) for k, change in enumerate(changes)]))
    np.testing.assert_array_equal(planned.fading(3, 0, n), live.fading(3, 0, n))
    far = Channel(Plan(spec, [(apart * (k + 1), change) for k, change in enumerate(changes)]))
    np.testing.assert_array_equal(far.fading(3, n - 100, 100), live.fading(3, n - 100, 100))  # entered at its end


@pytest.mark.slow
def test_any_number_of_changes_by_hand_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.channel.streams.stream.KEPT", KEPT := 40)  # of 256, for speed
    channel, x = Channel(ChannelSpec(cfo=0.01, phase_noise=1e-7)), np.ones(16, np.complex64)
    sent = KEPT + 60
    for number in range(sent):
        channel.transform(0, 128 * number, x)
        channel.change({"snr_db": float(number % 30), "phase_noise": 1e-7 * (1 + number // 20 % 3)})
    channel.truth(0, 128 * sent, x)  # asking catches up
    (track,) = channel._tracks.values()
    assert len(track._own) == KEPT
    depth, wander = 0, track._own[0].clocks.wander
    while (wander := wander.before) is not None:
        depth += 1
    assert depth <= 2
    last = channel.truth(0, 128 * (sent - 1) + 16, x)
    first_kept = 128 * (sent - KEPT) + 16
    np.testing.assert_array_equal(channel.transform(0, first_kept, x), channel.transform(0, first_kept, x))
    for _ in range(2):  # refused, each time
        with pytest.raises(ProtocolError, match=r"forgotten: air sample .* more than 40 changes"):
            channel.transform(0, first_kept - 1, x)
    assert channel.truth(0, 128 * (sent - 1) + 16, x) == last
    for _ in range(400):  # nothing is sent between: each takes the place of the one before
        channel.change({"phase_noise": 2e-7, "los_doppler": 0.3})
        channel.change({"phase_noise": 3e-7})
    assert len(track._own) == KEPT


def test_who_begins_later_begins_with_the_change_and_nobody_moves_its_place() -> None:
    channel, x = Channel(ChannelSpec(snr_db=20.0)), np.ones(100, np.complex64)
    channel.transform(7, 0, x, session=b"honest")
    channel.transform(7, 2**53 - 100, x, session=b"other")
    applied = channel.change({"snr_db": 0.0})
    assert sorted(applied) == [((b"honest", 7, 0), 100), ((b"other", 7, 0), 2**53)]
    assert channel.truth(7, 100, x, session=b"honest").snr_inst_db == pytest.approx(0.0)
    assert channel.truth(7, 99, x[:1], session=b"honest").snr_inst_db == pytest.approx(20.0)
    assert channel.truth(7, 0, x, session=b"later").snr_inst_db == pytest.approx(0.0)
    np.testing.assert_array_equal(  # one channel: only the history is each talker's own
        channel.noise(7, 0, 50), Channel(ChannelSpec(snr_db=3.0)).noise(7, 0, 50)
    )


def test_talkers_come_and_go_and_the_one_who_stays_is_not_pushed_out() -> None:
    channel, x = Channel(ChannelSpec(fading="rayleigh")), np.ones(8, np.complex64)
    channel.transform(1, 0, x, session=b"stays")
    channel.change({"snr_db": 3.0})
    for number in range(3 * MOST_TRACKS):
        channel.transform(1 + number % 40, 0, x, session=number.to_bytes(4))
        if number % 100 == 0:
            channel.transform(1, 8 + number, x, session=b"stays")
    assert len(channel.tracks) == MOST_TRACKS
    assert ((b"stays", 1, 0), 3 * MOST_TRACKS // 100 * 100 + 16) in channel.tracks


@pytest.mark.slow
def test_streams_and_rounds_are_kept_within_one_bound() -> None:
    """8-byte frames over 48 streams x 48 rounds: 2,304 blocks of noise, which are 144 MiB."""
    channel, x = Channel(ChannelSpec()), np.ones(1, np.complex64)
    first = {stream: channel.transform(stream, 0, x) for stream in range(48)}
    before = own_bytes()
    for round_ in range(48):
        for stream in range(48):
            channel.transform(stream, 0, x, round_)
    assert own_bytes() - before < 96 << 20
    assert all(channel.transform(stream, 0, x) == y for stream, y in first.items())


def test_a_long_schedule_is_read_row_by_row_and_entered_anywhere(tmp_path: Path) -> None:
    path, rows = tmp_path / "plan.csv", STRIDE + 17
    random = np.random.default_rng(0)
    values = [(name, random.uniform(0.0, 0.01)) for name in ("snr", "doppler", "los-doppler", "shadowing", "cfo")]
    lines = [f"{64 * (k + 1)},{values[k % 5][0]},{values[k % 5][1] * (1 + k % 7)}\n" for k in range(rows)]
    path.write_text("".join(lines))
    spec = ChannelSpec(fading="rician", doppler=1e-3, k_factor_db=0.0)
    plan = load_schedule(path, spec)
    assert len(plan) == rows + 1
    channel, n = Channel(plan), 64 * (rows + 1)
    straight = channel.fading(0, 0, n)
    for k in (1, 255, 256, rows):
        fresh = Channel(load_schedule(path, spec))
        np.testing.assert_array_equal(fresh.fading(0, 64 * k, 64), straight[64 * k : 64 * k + 64])


def _soak(spec: ChannelSpec, changes: int, streams: int) -> int:
    """Live changes while frames of many streams pass -> growth in bytes between the middle and the end."""
    channel, x = Channel(spec), np.ones(8, np.complex64)
    middle = 0
    for number in range(changes):
        channel.change({"snr_db": float(number % 25), "doppler": 1e-3 * (1 + number % 4)})
        channel.transform(number % 5, 128 * number, x, session=b"stays")
        channel.transform(number % streams, 0, x, session=number.to_bytes(4))
        if number == changes // 2:
            middle = own_bytes()
    return own_bytes() - middle


@pytest.mark.slow
def test_memory_is_flat_over_changes_and_talkers() -> None:
    assert _soak(ChannelSpec(fading="rayleigh", doppler=1e-3), 300, 200) < 48 << 20


@pytest.mark.full
@pytest.mark.timeout(3600)  # a minute of a processor, which may have to be shared
def test_memory_is_flat_over_a_hundred_thousand_changes() -> None:
    assert _soak(ChannelSpec(), 100_000, 5000) < 16 << 20


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_schedule_of_a_million_rows_is_small_and_answers_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, random = tmp_path / "plan.csv", np.random.default_rng(0)
    with path.open("w") as file:
        for k, value in enumerate(random.uniform(0.0, 0.01, 1_000_000)):
            file.write(f"{128 * (k + 1)},{('snr', 'doppler', 'los-doppler', 'cfo')[k % 4]},{value:g}\n")
    before, x = own_bytes(), np.ones(72, np.complex64)
    plan = load_schedule(path, ChannelSpec(fading="rician", doppler=1e-3))
    assert len(plan) == 1_000_001
    assert own_bytes() - before < 64 << 20
    channel, turned, steps = Channel(plan), Clocks.turned, [0]

    def step(*arguments: Any) -> Clocks:
        steps[0] += 1
        return turned(*arguments)

    monkeypatch.setattr(Clocks, "turned", step)
    for stream, k in enumerate((0, 1_000_000, 500_000, 1, 999_999)):
        before_it = steps[0]
        channel.transform(stream, 128 * k, x)
        assert steps[0] - before_it <= STRIDE
    assert steps[0] > 0
    for k in range(3000):
        channel.transform(9, 128 * k, x)
    assert own_bytes() - before < 160 << 20
