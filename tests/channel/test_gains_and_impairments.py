"""Nakagami, shadowing, phase noise, carrier offset, amplifier, IQ imbalance and traces do what their formulas say."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from common.channel.models.impairments import amplify, unbalance
from common.channel.models.noise import Walk
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.trace import CirTrace, SnrTrace
from common.channel.streams.channel import Channel
from common.errors import ConfigError


def gain(n: int, **parameters: object) -> np.ndarray:
    return Channel(ChannelSpec(**{"snr_db": math.inf, **parameters})).fading(0, 0, n).astype(np.complex128)


def unit(n: int) -> np.ndarray:
    return np.exp(0.37j * np.arange(n) ** 2).astype(np.complex64)


@pytest.mark.slow
@pytest.mark.parametrize("m", [0.5, 1.0, 4.0])
def test_nakagami_envelope(m: float) -> None:
    power = np.abs(gain(400_000, fading="nakagami", nakagami_m=m, doppler=0.02)) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.03)
    assert stats.kstest(power, stats.gamma(m, scale=1 / m).cdf).statistic < 0.012


def test_nakagami_of_one_is_rayleigh() -> None:
    nakagami = gain(20_000, fading="nakagami", nakagami_m=1.0)
    np.testing.assert_allclose(nakagami, gain(20_000, fading="rayleigh"), rtol=2e-4, atol=1e-6)


@pytest.mark.slow
def test_shadowing_has_its_spread_its_memory_and_unit_power() -> None:
    length = 1000.0
    channel = Channel(ChannelSpec(snr_db=math.inf, shadowing_db=6.0, shadowing_length=length))
    h = np.abs(channel.fading(0, 0, 4_000_000).astype(np.complex128))
    level = 20 * np.log10(h)
    assert level.std() == pytest.approx(6.0, rel=0.05)
    assert np.mean(h**2) == pytest.approx(1.0, rel=0.1)
    level -= level.mean()
    memory = np.mean(level[:-1000] * level[1000:]) / level.var()
    assert memory == pytest.approx(math.exp(-1), abs=0.05)


@pytest.mark.slow
def test_phase_noise_walks_with_its_linewidth() -> None:
    linewidth = 1e-5
    h = gain(2_000_000, phase_noise=linewidth)
    np.testing.assert_allclose(np.abs(h), 1.0, atol=1e-6)
    for lag in (1, 100, 5000):
        steps = np.angle(h[lag:] * h[:-lag].conj())
        assert steps.var() == pytest.approx(2 * math.pi * linewidth * lag, rel=0.15 if lag == 5000 else 0.02)


def test_a_walk_can_be_entered_anywhere() -> None:
    walk = Walk(0, 1)
    joint = [walk.cell(i) for i in range(8190, 8195)]  # across a cell of the second level
    steps = np.diff(np.concatenate(joint))
    assert steps.std() == pytest.approx(1.0, rel=0.03)
    assert np.max(np.abs(steps)) < 5.5
    np.testing.assert_array_equal(Walk(0, 1).cell(8193), joint[3])
    assert np.isfinite(walk.cell(2**40)).all()


@pytest.mark.slow
def test_walks_spread_as_the_square_root_of_time() -> None:
    ends = np.array([Walk(seed).cell(99)[-1] for seed in range(300)])
    assert ends.var() == pytest.approx(100 * 8192, rel=0.25)


def test_carrier_offset_turns_evenly_across_blocks() -> None:
    h = gain(20_000, cfo=0.01234)
    np.testing.assert_allclose(h, np.exp(2j * np.pi * 0.01234 * np.arange(20_000)), atol=1e-5)


def test_amplifier_saturates_and_leaves_small_signals_alone() -> None:
    x = (np.array([1e-3, 1.0, 100.0]) * np.exp(0.7j)).astype(np.complex64)
    y = amplify(x, backoff_db=3.0, smoothness=2.0)
    np.testing.assert_allclose(np.angle(y), 0.7, atol=1e-6)
    a2 = 10**0.3
    np.testing.assert_allclose(np.abs(y), [1e-3, (1 + a2**-2) ** -0.25, a2**0.5], rtol=1e-3)


@pytest.mark.parametrize("backoff_db", [-20.0, 0.0, 60.0])
@pytest.mark.parametrize("smoothness", [0.1, 1.0, 3.0, 30.0, 100.0])
def test_amplifier_follows_its_formula_over_all_its_range(backoff_db: float, smoothness: float) -> None:
    x = np.array([0.0, 1e-30, 1e-3, 0.1, 0.5, 1.0, 1.6, 2.0, 2.5, 100.0, 1e18], np.complex64)
    y, size = amplify(x, backoff_db, smoothness), np.abs(x).astype(np.float64)
    drive = 2.0 * np.log(np.maximum(size, 1e-300)) - math.log(10.0) / 10.0 * backoff_db
    np.testing.assert_allclose(y, size * np.exp(-0.5 / smoothness * np.logaddexp(0.0, smoothness * drive)), rtol=2e-5)


def test_iq_imbalance_has_its_image_rejection() -> None:
    tone = np.exp(2j * np.pi * 0.125 * np.arange(4096)).astype(np.complex64)
    spectrum = np.abs(np.fft.fft(unbalance(tone, gain_db=1.0, phase_deg=5.0)))
    g, phi = 10**0.05, math.radians(5.0)
    expected = (1 + 2 * g * math.cos(phi) + g**2) / (1 - 2 * g * math.cos(phi) + g**2)
    assert (spectrum[512] / spectrum[-512]) ** 2 == pytest.approx(expected, rel=1e-3)


def test_snr_trace_sets_the_noise_from_sample_to_sample(tmp_path: Path) -> None:
    path = tmp_path / "snr.csv"
    path.write_text("air_sample,snr_db\n0,20\n50000,0\n")
    channel, x = Channel(ChannelSpec(snr_trace=str(path))), unit(100_000)
    y = channel.transform(0, 0, x)
    first, second = (
        -10 * np.log10(np.mean(np.abs((y - x)[part]) ** 2)) for part in (slice(50_000), slice(50_000, None))
    )
    assert first == pytest.approx(20.0, abs=0.06)
    assert second == pytest.approx(0.0, abs=0.06)
    assert channel.truth(0, 60_000, x[:10]).snr_inst_db == pytest.approx(0.0, abs=1e-4)
    np.savez(tmp_path / "snr.npz", air_sample=[0, 50_000], snr_db=[20.0, 0.0])
    again = Channel(ChannelSpec(snr_trace=str(tmp_path / "snr.npz"))).transform(0, 0, x)
    np.testing.assert_array_equal(again, y)


def test_cir_trace_is_followed_and_starts_again(tmp_path: Path) -> None:
    h = np.exp(1j * np.arange(5)) * np.arange(1, 6)
    np.savez(tmp_path / "cir.npz", h=h, interval=100)
    channel = Channel(ChannelSpec(snr_db=math.inf, fading="trace", cir_trace=str(tmp_path / "cir.npz")))
    got = channel.fading(0, 0, 900)
    np.testing.assert_allclose(got[:400:100], h[:4], rtol=1e-6)
    np.testing.assert_allclose(got[50], (h[0] + h[1]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(got[400:800], got[:400])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "0,10\n", "too short"),
        ("t.csv", "5,10\n9,10\n", "must start at 0"),
        ("t.csv", "0,10\n0,10\n", "rise"),
        ("t.csv", "0,10\n7,999\n", "120 dB"),
        ("t.npz", "no archive", "cannot be read"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_a_wrong_trace_is_named(tmp_path: Path, name: str, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=says):
        Channel(ChannelSpec(snr_trace=str(tmp_path / name)))


@pytest.mark.parametrize("gain", ["nan", "1e999", "1e300", "1e38", "-1e10"])
def test_a_gain_that_would_overflow_is_refused(tmp_path: Path, gain: str) -> None:
    (tmp_path / "h.csv").write_text(f"0,1,0\n9,0,{gain}\n")
    with pytest.raises(ConfigError, match="not finite"):
        CirTrace(tmp_path / "h.csv")


def test_arrays_that_are_no_trace_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, np.ones(4))
    np.savez(tmp_path / "words.npz", h=["x", "y"], interval=1.0, air_sample=["a", "b"], snr_db=[1.0, 2.0])
    np.savez(tmp_path / "word.npz", h=np.ones(4), interval="z")
    for name in ("single", "words", "word"):
        with pytest.raises(ConfigError, match=rf"{name}\.npz cannot be read"):
            CirTrace(tmp_path / f"{name}.npz")
    for name in ("single", "words"):
        with pytest.raises(ConfigError, match=rf"{name}\.npz cannot be read"):
            SnrTrace(tmp_path / f"{name}.npz")
    np.savez(tmp_path / "nested.npz", h=np.arange(4.0), interval=np.array([[10]]))
    assert CirTrace(tmp_path / "nested.npz").length == 30
