"""Flat fading has the right power, envelope, autocorrelation and Doppler, on the samples that leave the channel."""

import tracemalloc

import numpy as np
import pytest
from scipy import special, stats

from common.channel.models.doppler import bin_powers
from common.channel.models.fader import PER_CYCLE, POINTS, Fader
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel


def fading(n: int, stream: int = 0, **parameters: object) -> np.ndarray:
    spec = ChannelSpec(**{"fading": "rayleigh", "doppler": 0.003, **parameters})
    return Channel(spec).fading(stream, 0, n).astype(np.complex128)


def autocorrelation(h: np.ndarray, lags: int) -> np.ndarray:
    spectrum = np.abs(np.fft.fft(h, 2 * h.size)) ** 2
    return np.fft.ifft(spectrum)[:lags] / (h.size - np.arange(lags)) / np.mean(np.abs(h) ** 2)


@pytest.fixture(scope="module")
def rayleigh() -> np.ndarray:
    return fading(2_000_000)  # 6000 Doppler cycles


def test_rayleigh_has_unit_power_and_a_gaussian_fourth_moment(rayleigh: np.ndarray) -> None:
    power = np.abs(rayleigh) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.05)
    assert np.mean(power**2) / power.mean() ** 2 == pytest.approx(2.0, abs=0.06)


@pytest.mark.slow
def test_rayleigh_envelope(rayleigh: np.ndarray) -> None:
    assert stats.kstest(np.abs(rayleigh), stats.rayleigh(scale=0.5**0.5).cdf).statistic < 0.012


@pytest.mark.slow
def test_rayleigh_autocorrelation_is_the_bessel_function(rayleigh: np.ndarray) -> None:
    lags = int(2 / 0.003)
    expected = special.j0(2 * np.pi * 0.003 * np.arange(lags))
    assert np.max(np.abs(autocorrelation(rayleigh, lags) - expected)) < 0.05


def test_realised_doppler_is_the_one_asked_for(rayleigh: np.ndarray) -> None:
    slope = np.mean(np.abs(np.diff(rayleigh)) ** 2) / np.mean(np.abs(rayleigh) ** 2)
    assert 2**0.5 * slope**0.5 / (2 * np.pi) == pytest.approx(0.003, rel=0.01)


def test_no_power_outside_the_doppler_band() -> None:
    h = fading(1 << 20) * np.blackman(1 << 20)
    spectrum = np.abs(np.fft.fft(h)) ** 2
    outside = np.abs(np.fft.fftfreq(h.size)) > 1.02 * 0.003
    assert 10 * np.log10(spectrum[outside].sum() / spectrum.sum()) < -40


def test_fading_does_not_jump_where_its_blocks_meet() -> None:
    h = fading(200_000, doppler=1e-3)
    steps = np.abs(np.diff(h))
    joints = steps[16383::16384]
    assert joints.max() <= steps.max()


@pytest.mark.parametrize(
    ("spectrum", "second_moment"),
    [("jakes", 1 / 2), ("flat", 1 / 3), ("gaussian", 1 / 2), ("bell", 0.1558), ("rounded", 0.1739)],
)
def test_each_doppler_spectrum_has_its_spread(spectrum: str, second_moment: float) -> None:
    # bell: (3/atan(3) - 1) / 9; rounded: (1/3 - 1.72/5 + 0.785/7) / (1 - 1.72/3 + 0.785/5)
    h = fading(1_000_000, doppler=0.005, spectrum=spectrum)
    slope = np.mean(np.abs(np.diff(h)) ** 2) / np.mean(np.abs(h) ** 2)
    assert slope / (2 * np.pi * 0.005) ** 2 == pytest.approx(second_moment, rel=0.06)


def test_a_spectrum_from_a_file(tmp_path: object) -> None:
    path = tmp_path / "line.csv"
    path.write_text("nu,density\n0.48,0\n0.5,1\n0.52,0\n")
    h = fading(100_000, doppler=0.01, spectrum=str(path))
    line = np.fft.fftfreq(h.size)[np.argmax(np.abs(np.fft.fft(h)))]
    assert line == pytest.approx(0.005, rel=0.04)


@pytest.mark.parametrize("k_factor_db", [0.0, 6.0, 12.0])
def test_rician_k_factor_by_moments(k_factor_db: float) -> None:
    power = np.abs(fading(2_000_000, fading="rician", k_factor_db=k_factor_db, doppler=0.01)) ** 2
    root = np.sqrt(2 * power.mean() ** 2 - np.mean(power**2))  # line-of-sight power (Greenstein 1999)
    assert power.mean() == pytest.approx(1.0, abs=0.03)
    assert 10 * np.log10(root / (power.mean() - root)) == pytest.approx(k_factor_db, abs=0.2)


def test_line_of_sight_is_at_its_doppler() -> None:
    h = fading(200_000, fading="rician", k_factor_db=12.0, doppler=0.01, los_doppler=-0.5, los_phase=90.0)
    line = np.fft.fftfreq(h.size)[np.argmax(np.abs(np.fft.fft(h)))]
    assert line == pytest.approx(-0.005, abs=1 / h.size)


@pytest.mark.slow
def test_many_seeds_at_one_sample_are_rayleigh_too() -> None:
    jakes = bin_powers("jakes", POINTS, PER_CYCLE)
    draws = np.array([Fader((seed, 0), jakes).at(3.7, 0.0, 1)[0, 0] for seed in range(2000)])
    assert stats.kstest(np.abs(draws), stats.rayleigh(scale=0.5**0.5).cdf).pvalue > 0.001


def test_block_fading_draws_one_gain_per_block_and_round() -> None:
    channel = Channel(ChannelSpec(fading="block-rayleigh", coherence=50))
    h = channel.fading(0, 0, 500_000).reshape(-1, 50)
    assert (h == h[:, :1]).all()
    assert stats.kstest(np.abs(h[:, 0]), stats.rayleigh(scale=0.5**0.5).cdf).pvalue > 0.001
    assert abs(np.mean(h[1:, 0] * h[:-1, 0].conj())) < 0.05
    other = channel.fading(0, 0, 50, round=1)
    assert abs(other[0] - h[0, 0]) > 1e-3


@pytest.mark.parametrize("coherence", [1, 7, 64, 10**6, 2**32])
def test_where_blocks_meet_no_more_is_computed_than_is_asked_for(coherence: int) -> None:
    """A frame of 64 bytes across the end of a block of 2^31 symbols asked for 32 GiB, which ended the emulator."""
    channel, end = Channel(ChannelSpec(fading="block-rayleigh", coherence=coherence)), 5 * coherence
    tracemalloc.start()
    h = channel.fading(0, end - 3, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    blocks = [channel.fading(0, coherence * (sample // coherence), 1)[0] for sample in range(end - 3, end + 5)]
    assert (h.tolist(), peak < 1 << 20) == (blocks, True)


def test_streams_fade_independently() -> None:
    one, two = fading(400_000, 0, doppler=0.02), fading(400_000, 1, doppler=0.02)
    assert abs(np.mean(one * two.conj())) < 0.05
