"""What the receiver learns over many frames, on channels whose truth is known."""

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.phy.decibel import from_db
from common.phy.layout import pilot_sequence
from scrx.demodulation.tracker import ChannelEstimate, ChannelTracker

PILOTS, SLOT = pilot_sequence(8), 128


def track(spec: ChannelSpec, frames: int, stream: int = 0) -> list[ChannelEstimate]:
    channel, tracker = Channel(spec), ChannelTracker(PILOTS, SLOT)
    return [tracker.observe(channel.apply(stream, k * SLOT, PILOTS)[0], k * SLOT) for k in range(frames)]


def mean_db(values: list[float]) -> float:
    return float(10 * np.log10(np.mean([from_db(v) for v in values])))


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_estimates_of_a_steady_channel_are_unbiased(snr_db: float) -> None:
    seen = [e for stream in range(4) for e in track(ChannelSpec(snr_db=snr_db), 1000, stream)[200:]]
    assert mean_db([e.snr_inst_db for e in seen]) == pytest.approx(snr_db, abs=0.15)
    assert mean_db([e.snr_avg_db for e in seen]) == pytest.approx(snr_db, abs=0.15)
    noise = np.mean([e.noise for e in seen])
    assert 10 * np.log10(noise) == pytest.approx(-snr_db, abs=0.1)


def test_pooling_noise_beats_one_frame() -> None:
    seen = track(ChannelSpec(snr_db=10.0), 600)
    pooled = np.std([10 * np.log10(e.noise) for e in seen[100:]])
    assert pooled < 0.4  # 4.343/sqrt(32*7) = 0.29 dB; one frame of 8 pilots alone gives 1.7 dB


def test_stated_error_covers_the_real_one() -> None:
    for snr_db in (0.0, 10.0):
        seen = track(ChannelSpec(snr_db=snr_db), 1500)[100:]
        error = np.std([e.snr_inst_db for e in seen])
        stated = np.mean([e.inst_error_db for e in seen])
        assert 0.6 < error / stated < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("fd_slot", [0.01, pytest.param(0.03, marks=pytest.mark.full), 0.1])
def test_doppler_is_found(fd_slot: float) -> None:
    spec = ChannelSpec(snr_db=15.0, fading="rayleigh", doppler=fd_slot / SLOT, seed=1)
    found = [e.fd for e in track(spec, 3000)[300:]]
    ratio = np.median([fd for fd in found if fd is not None]) * SLOT / fd_slot
    assert 0.8 < ratio < 1.25


def test_a_steady_channel_has_no_doppler_to_speak_of() -> None:
    last = track(ChannelSpec(snr_db=10.0), 300)[-1]
    assert last.fd is not None
    assert last.fd * SLOT < 2e-3


def test_doppler_is_unknown_at_first() -> None:
    assert track(ChannelSpec(snr_db=10.0), 5)[-1].fd is None


def test_average_of_a_fading_channel_is_the_mean_snr() -> None:
    spec = ChannelSpec(snr_db=10.0, fading="block-rayleigh", seed=4)
    seen = track(spec, 3000)
    assert mean_db([e.snr_avg_db for e in seen[256::256]]) == pytest.approx(10.0, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("fd_slot", [0.005, pytest.param(0.02, marks=pytest.mark.full)])
def test_average_and_doppler_do_not_move_with_the_last_few_fades(fd_slot: float) -> None:
    """Old reports are believed by both: over 256 frames of slow fading the average alone would vary by 2 dB."""
    spec = ChannelSpec(snr_db=10.0, fading="rayleigh", doppler=fd_slot / SLOT, seed=3)
    seen = track(spec, 12_000)[4000:]
    assert np.std([e.snr_avg_db for e in seen]) < 0.9
    assert np.std([0.0 if e.fd is None else e.fd * SLOT / fd_slot for e in seen]) < 0.12


@pytest.mark.slow
def test_the_average_of_a_fast_channel_follows_a_change_within_20_cycles() -> None:
    low, high = (
        Channel(ChannelSpec(snr_db=snr, fading="rayleigh", doppler=0.05 / SLOT, seed=1)) for snr in (0.0, 15.0)
    )
    tracker = ChannelTracker(PILOTS, SLOT)
    for k in range(1500):
        channel = low if k < 1000 else high
        seen = tracker.observe(channel.apply(0, k * SLOT, PILOTS)[0], k * SLOT)
    assert seen.snr_avg_db == pytest.approx(15.0, abs=1.5)


def test_a_silent_channel_gives_finite_numbers() -> None:
    tracker = ChannelTracker(PILOTS, SLOT)
    for k in range(40):
        estimate = tracker.observe(np.zeros(8, np.complex64), k * SLOT)
    assert np.isfinite([estimate.snr_inst_db, estimate.snr_avg_db, estimate.noise, estimate.inst_error_db]).all()


def test_doppler_is_found_in_the_order_of_the_air_and_with_gaps() -> None:
    spec, slots = ChannelSpec(snr_db=20.0, fading="rayleigh", doppler=0.02 / SLOT, seed=3), np.arange(2000)
    channel, tracker = Channel(spec), ChannelTracker(PILOTS, SLOT)
    kept = slots[slots % 10 != 7].reshape(-1, 4)[:, [1, 0, 3, 2]].reshape(-1)  # one frame in ten lost, the rest swapped
    found = [tracker.observe(channel.apply(0, int(k) * SLOT, PILOTS)[0], int(k) * SLOT).fd for k in kept]
    assert np.median([fd for fd in found[300:] if fd is not None]) * SLOT == pytest.approx(0.02, rel=0.25)


def test_the_end_of_the_air_clock_is_a_place_like_any_other() -> None:
    tracker = ChannelTracker(PILOTS, SLOT)
    for k in range(300):
        estimate = tracker.observe(PILOTS, (1 << 64) - 1 - 40 * SLOT + k % 40 * SLOT)
    assert np.isfinite([estimate.snr_inst_db, estimate.snr_avg_db]).all()
