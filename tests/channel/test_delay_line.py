"""Tapped delay lines: exact delays, the right power per path, and the same output however the input is cut."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from common.channel.models.clocks import Clocks, Rates
from common.channel.models.delayline import DelayLine
from common.channel.models.doppler import bin_powers
from common.channel.models.fader import PER_CYCLE, POINTS, Fader
from common.channel.spec.profiles import Profile, read_taps
from common.channel.spec.spec import FIXED, SCALED, ChannelSpec
from common.channel.streams.channel import Channel
from common.errors import ConfigError

JAKES = bin_powers("jakes", POINTS, PER_CYCLE)


def noise(n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return ((random.standard_normal(n) + 1j * random.standard_normal(n)) / 2**0.5).astype(np.complex64)


def line(delays: list[float], doppler: float = 0.0, stream: int = 0, powers: list[float] | None = None) -> DelayLine:
    share = np.array(powers or [1.0] * len(delays))
    profile = Profile(np.array(delays), share / share.sum(), 0.0)
    clocks = Clocks.start(Rates.of(asdict(ChannelSpec())))
    return DelayLine(profile, Fader((0, stream), JAKES, len(delays)), doppler, 0.7, clocks)


SPREADS = {"tdl-a": 1.0, "tdl-b": 1.0, "tdl-c": 1.0, "tdl-d": 0.994, "tdl-e": 1.0}
SPREADS |= {"epa": 43.13, "eva": 356.65, "etu": 990.94}


@pytest.mark.parametrize(("name", "spread"), SPREADS.items())
def test_profiles_have_the_delay_spread_of_their_standard(name: str, spread: float) -> None:
    profile = read_taps(name).at(1.0, 100.0) if name in SCALED else read_taps(name).at(1.0, 0.5e9)
    assert profile.powers.sum() == pytest.approx(1.0)
    mean = profile.powers @ profile.delays
    rms = np.sqrt(profile.powers @ (profile.delays - mean) ** 2)
    assert rms / (100.0 if name in SCALED else 0.5) == pytest.approx(spread, rel=1e-3)
    assert len(profile.delays) == {"tdl-a": 23, "tdl-b": 23, "tdl-c": 24, "tdl-d": 13, "tdl-e": 14, "epa": 7}.get(
        name, 9
    )
    assert (profile.line_of_sight > 0) == (name in ("tdl-d", "tdl-e"))


@pytest.mark.parametrize("delay", [0.0, 1.0, 37.0, 0.25, 5.5, 100.7])
def test_a_single_path_delays_by_what_it_says(delay: float) -> None:
    n, path = 4096, line([delay])
    x = noise(n)
    spectrum = np.fft.fft(x)
    band = np.abs(np.fft.fftfreq(n)) < 0.4
    x = np.fft.ifft(np.where(band, spectrum, 0)).astype(np.complex64)  # periodic, in the central 80 % of the band
    y = path.send(0, x[-path.reach :] if path.reach else x[:0], x) / path.gains(0, 1)[0, 0]
    expected = np.fft.ifft(np.fft.fft(x) * np.exp(-2j * np.pi * np.fft.fftfreq(n) * (delay + path.lead)))
    error = np.mean(np.abs(y - expected) ** 2) / np.mean(np.abs(x) ** 2)
    assert 10 * np.log10(error) < -50
    assert path.lead == (0 if delay == int(delay) else 8)


def test_time_varying_paths_equal_a_sum_sample_by_sample() -> None:
    delays, n = [0.0, 3.0, 11.0], 10_000
    paths = line(delays, doppler=5e-4)
    x = noise(n)
    y = paths.send(0, np.zeros(paths.reach, np.complex64), x)
    spacing = 64  # int(1 / (30 * 5e-4)) in steps of 16
    knots = paths.gains(0, n // spacing + 2).astype(np.complex128)
    at = np.arange(n) / spacing
    expected = np.zeros(n, np.complex128)
    for gains, delay in zip(knots, delays, strict=True):
        delayed = np.concatenate((np.zeros(int(delay)), x))[:n]
        expected += np.interp(at, np.arange(knots.shape[1]), gains) * delayed
    assert np.max(np.abs(y - expected)) < 1e-5 * np.max(np.abs(expected))


@pytest.mark.parametrize("fading", ["tdl-a", "tdl-d", "etu"])
def test_any_chunking_gives_the_same_output(fading: str) -> None:
    spec = ChannelSpec(snr_db=20.0, fading=fading, doppler=3e-4, rate=15.36e6, delay_spread=300e-9)
    x = noise(50_000)
    whole = Channel(spec).transform(0, 0, x)
    cut, at, pieces = Channel(spec), 0, []
    for size in [1, 2, 63, 1000, 4096, 7, 20_000, 24_831]:
        pieces.append(cut.transform(0, at, x[at : at + size]))
        at += size
    assert at == x.size
    assert np.max(np.abs(np.concatenate(pieces) - whole)) < 1e-5 * np.max(np.abs(whole))


def test_each_path_has_its_power_and_paths_are_independent() -> None:
    powers_db = np.array([0.0, -3.0, -6.0, -10.0])
    paths = line([0.0, 5.0, 9.0, 40.0], doppler=1e-3, powers=list(10 ** (powers_db / 10)))
    gains = paths.gains(0, 80_000).astype(np.complex128)  # 2480 Doppler cycles
    power = np.mean(np.abs(gains) ** 2, axis=1)
    share = 10 ** (powers_db / 10) / np.sum(10 ** (powers_db / 10))
    np.testing.assert_allclose(10 * np.log10(power / share), 0.0, atol=0.3)
    unit = gains / np.sqrt(power)[:, None]
    cross = np.abs(unit @ unit.conj().T) / unit.shape[1]
    assert np.max(cross[~np.eye(4, dtype=bool)]) < 0.06


def test_a_gap_in_the_input_is_silence() -> None:
    spec = ChannelSpec(snr_db=float("inf"), fading="epa", doppler=0.0, rate=1e8)
    channel, x = Channel(spec), noise(500)
    channel.transform(0, 0, noise(500, 1))
    after_a_gap = channel.transform(0, 10_000, x)
    np.testing.assert_allclose(after_a_gap, Channel(spec).transform(0, 10_000, x), atol=1e-6)


def test_line_of_sight_of_tdl_d_stands_out() -> None:
    channel = Channel(ChannelSpec(fading="tdl-d", doppler=1e-3, rate=1e6, delay_spread=0.0))
    power = np.abs(channel.fading(0, 0, 1_000_000)) ** 2
    root = np.sqrt(2 * power.mean() ** 2 - np.mean(power**2))
    # With no delay spread all paths are one: -0.2 dB of line of sight over the sum of the others in the table, 7.9.
    assert root / (power.mean() - root) == pytest.approx(7.9, rel=0.05)


def test_a_profile_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("# mine\ndelay_ns,power_db\n0,0\n1000,-3\n")
    profile = read_taps(str(path)).at(0.0, 2e6)
    np.testing.assert_allclose(profile.delays, [0.0, 2.0])
    np.testing.assert_allclose(profile.powers, [0.6661, 0.3339], atol=1e-4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,0\n-5,0\n", "delays from"),
        ("0,0\nx,1\n", "line 2: 'x' is not a number"),
        ("0,0,1\n", "line 1: 3 columns"),
        ("", "no rows"),
        ("0,nan\n", "not finite"),
        ("0,0\n1e9,0\n", "0 to 4096"),
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_taps(str(path)).at(0.0, 1e6)


def test_all_standard_profiles_can_be_sent_through() -> None:
    for name in (*SCALED, *FIXED):
        y = Channel(ChannelSpec(fading=name, rate=10e6, doppler=1e-4)).transform(0, 0, noise(1000))
        assert np.isfinite(y).all()
