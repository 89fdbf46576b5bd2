"""The full statistics, on the samples that leave the running process; each test prints what it measured.

Thresholds are those of the channel's document; `make full` runs all of this and shows the numbers.
"""

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special, stats

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.control import ask

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

Start = Callable[..., object]
ONES = np.ones(1 << 20, np.complex64)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def say(text: str) -> None:
        with capsys.disabled():
            print(f"  {text}")

    return say


def qpsk(n: int, seed: int) -> np.ndarray:
    bits = np.random.default_rng(seed).integers(0, 2, (n, 2), dtype=np.int8) * 2 - 1
    return (bits.astype(np.float32) / np.float32(2**0.5)).view(np.complex64).reshape(-1)


def count_bit_errors(x: np.ndarray, z: np.ndarray) -> int:
    wrong = np.count_nonzero((z.real > 0) != (x.real > 0)) + np.count_nonzero((z.imag > 0) != (x.imag > 0))
    return int(wrong)


def autocorrelation(h: np.ndarray, lags: int) -> np.ndarray:
    size = 1 << int(np.ceil(np.log2(h.size + lags)))
    return np.fft.ifft(np.abs(np.fft.fft(h, size)) ** 2)[:lags] / (h.size - np.arange(lags))


def through(start: Start, n: int, *flags: str) -> np.ndarray:
    return start(*flags).send(np.ones(n, np.complex64))


def test_c8_flat_rayleigh(emulator: Start, tell: Callable[[str], None]) -> None:
    fd, n = 0.003, 13_333_333  # 40,000 Doppler cycles
    h = through(emulator, n, "--snr", "inf", "--fading", "rayleigh", "--doppler", str(fd)).astype(np.complex128)
    power = np.abs(h) ** 2
    fourth = np.mean(power**2) / power.mean() ** 2
    distance = stats.kstest(np.sqrt(power), stats.rayleigh(scale=0.5**0.5).cdf).statistic
    lags = int(2 / fd)
    acf = autocorrelation(h, lags) / power.mean()
    acf_error = np.max(np.abs(acf - special.j0(2 * np.pi * fd * np.arange(lags))))
    cross = np.max(np.abs(acf.imag))
    slope = np.mean(np.abs(np.diff(h)) ** 2) / power.mean()
    realised = 2**0.5 * slope**0.5 / (2 * np.pi) / fd
    crossings = {}
    for level_db in (-20, -10, 0):
        rho = 10 ** (level_db / 20)
        seen = np.count_nonzero((power[:-1] < rho**2) & (power[1:] >= rho**2))
        crossings[level_db] = seen / (math.sqrt(2 * np.pi) * fd * rho * math.exp(-(rho**2)) * n)
    window = h[: 1 << 23] * np.blackman(1 << 23)
    spectrum = np.abs(np.fft.fft(window)) ** 2
    outside = 10 * np.log10(spectrum[np.abs(np.fft.fftfreq(window.size)) > 1.02 * fd].sum() / spectrum.sum())
    levels = ", ".join(f"{ratio:.4f} at {level_db} dB" for level_db, ratio in crossings.items())
    tell(f"C8 power {power.mean():.4f}, fourth moment {fourth:.4f}, KS {distance:.5f}, ACF error {acf_error:.4f}, "
         f"Re/Im {cross:.4f}, fd {realised:.5f}, LCR {levels}, outside 1.02 fd {outside:.1f} dB")  # fmt: skip
    assert abs(power.mean() - 1) <= 0.02
    assert abs(fourth - 2) <= 0.025
    assert distance <= 0.004
    assert acf_error <= 0.02
    assert cross <= 0.02
    assert abs(realised - 1) <= 0.01
    assert abs(crossings[-20] - 1) <= 0.06
    assert abs(crossings[-10] - 1) <= 0.03
    assert abs(crossings[0] - 1) <= 0.03
    assert outside <= -40


@pytest.mark.parametrize("k_factor_db", [0.0, 6.0, 12.0])
def test_rician(emulator: Start, tell: Callable[[str], None], k_factor_db: float) -> None:
    ratio = 10 ** (k_factor_db / 10)
    flags = ("--snr", "inf", "--fading", "rician", "--k-factor", str(ratio), "--doppler", "0.01")
    h = through(emulator, 4_000_000, *flags).astype(np.complex128)
    power = np.abs(h) ** 2
    line = math.sqrt(2 * power.mean() ** 2 - np.mean(power**2))
    measured = 10 * math.log10(line / (power.mean() - line))
    envelope = stats.rice(math.sqrt(2 * ratio), scale=math.sqrt(0.5 / (1 + ratio)))
    distance = stats.kstest(np.sqrt(power), envelope.cdf).statistic
    peak = np.fft.fftfreq(1 << 21)[np.argmax(np.abs(np.fft.fft(h[: 1 << 21])))]
    tell(f"Rician K {k_factor_db} dB: measured {measured:.3f} dB, KS {distance:.5f}, line at {peak / 0.01:.4f} fd")
    assert abs(measured - k_factor_db) <= 0.2
    assert distance <= 0.005
    assert peak == pytest.approx(0.007, abs=2 / (1 << 21))


def test_c9_awgn(emulator: Start, tell: Callable[[str], None]) -> None:
    n = 10_000_000
    w = emulator("--snr", "0").send(np.zeros(n, np.complex64)).astype(np.complex128)
    power = np.abs(w) ** 2
    level_db = 10 * math.log10(power.mean())
    distances = [stats.kstest(part * 2**0.5, "norm").statistic for part in (w.real, w.imag)]
    balance = np.mean(w.real**2) / np.mean(w.imag**2) - 1
    cross = abs(np.mean(w.real * w.imag)) * 2
    tails = [np.count_nonzero(power > level) / (n * math.exp(-level)) for level in (9, 12)]
    acf = np.max(np.abs(autocorrelation(w, 1001)[1:]))
    tell(f"C9 power {level_db:+.4f} dB, KS {distances[0]:.6f} {distances[1]:.6f} (limit {1.95 / n**0.5:.6f}), "
         f"tails beyond 9, 12: {tails[0]:.3f} {tails[1]:.3f}, max {power.max():.2f}, "
         f"ACF {acf:.6f} (limit {5 / n**0.5:.6f})")  # fmt: skip
    assert abs(level_db) <= 0.006
    assert max(distances) < 1.95 / n**0.5
    assert abs(balance) < 5 * math.sqrt(4 / n)
    assert cross < 5 / n**0.5
    assert 0.88 < tails[0] < 1.12
    assert 0.6 < tails[1] < 1.4
    assert math.log(n) - 2 < power.max() < math.log(n) + 7
    assert acf < 5 / n**0.5


def test_streams_are_uncorrelated(tell: Callable[[str], None]) -> None:
    n, channel = 100_000, Channel(ChannelSpec())
    noise = np.stack([channel.noise(stream, 0, n) for stream in range(100)])
    cross = np.abs(noise @ noise.conj().T) / n
    worst = np.max(cross[~np.eye(100, dtype=bool)])
    tell(f"100 streams: largest cross-correlation of noise {worst:.5f} (limit {5 / n**0.5:.5f})")
    assert worst < 5 / n**0.5


@pytest.mark.parametrize("ber", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
def test_c10_qpsk_over_awgn(emulator: Start, tell: Callable[[str], None], ber: float) -> None:
    amplitude = optimize.brentq(lambda a: 0.5 * special.erfc(a / 2**0.5) - ber, 0, 10)
    snr_db = 20 * math.log10(amplitude)
    rounds = max(1, math.ceil((1e4 if ber >= 1e-4 else 1.5e3) / ber / 2 / 4e6))
    running, wrong = emulator("--snr", repr(snr_db)), 0
    for seed in range(rounds):
        x = qpsk(4_000_000, seed)
        wrong += count_bit_errors(x, running.send(x))
    measured = wrong / (rounds * 8e6)
    implied = 20 * math.log10(optimize.brentq(lambda a: 0.5 * special.erfc(a / 2**0.5) - measured, 0, 10))
    tell(
        f"C10 QPSK over AWGN at {snr_db:.3f} dB: {wrong} errors, BER {measured:.4g}, offset {implied - snr_db:+.4f} dB"
    )
    assert abs(implied - snr_db) <= 0.05


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 25.0])
def test_c10_qpsk_over_rayleigh(emulator: Start, tell: Callable[[str], None], snr_db: float) -> None:
    length, fades, snr_text = 16, 500_000, str(snr_db)
    flags = ("--fading", "block-rayleigh", "--coherence", str(length), "--seed", "1")
    x = qpsk(length * fades, 0)
    y = emulator("--snr", snr_text, *flags).send(x)
    h = through(emulator, x.size, "--snr", "inf", *flags)
    wrong = count_bit_errors(x, y * h.conj())
    measured = wrong / (2 * x.size)
    gamma = ((1 - 2 * measured) ** 2) / (
        1 - (1 - 2 * measured) ** 2
    )  # BER = (1 - sqrt(gamma/(1+gamma)))/2, gamma = SNR/2
    offset = 10 * math.log10(2 * gamma) - snr_db
    tell(f"C10 QPSK over Rayleigh at {snr_db} dB, {fades} fades: BER {measured:.5g}, offset {offset:+.4f} dB")
    assert abs(offset) <= 0.1


def test_c10_snr_means_the_average_over_fading(emulator: Start, tell: Callable[[str], None]) -> None:
    n, fading = 6_000_000, ("--fading", "rayleigh", "--doppler", "0.02", "--seed", "3")  # 120,000 Doppler cycles
    x = qpsk(n, 0)
    y = emulator("--snr", "5", *fading).send(x)
    h = through(emulator, n, "--snr", "inf", *fading)
    noise = np.mean(np.abs(y - h * x).astype(np.float64) ** 2)
    mean_snr = 10 * math.log10(np.mean(np.abs(h).astype(np.float64) ** 2) / noise)
    ber = count_bit_errors(x, y * h.conj()) / (2 * n)
    tell(f"C10 --snr 5 --fading rayleigh: mean SNR {mean_snr:.4f} dB, QPSK BER {ber:.5f} (theory 0.10866)")
    assert abs(mean_snr - 5.0) <= 0.05
    assert ber == pytest.approx(0.1087, rel=0.02)


FLAT = {
    "awgn": ("--snr", "5"),
    "block-rayleigh": ("--snr", "5", "--fading", "block-rayleigh"),
    "rayleigh": ("--snr", "5", "--fading", "rayleigh", "--doppler", "0.001"),
    "rician": ("--snr", "5", "--fading", "rician", "--doppler", "0.003"),
    "all": ("--fading", "nakagami", "--nakagami-m", "2", "--shadowing", "4", "--phase-noise", "1e-6", "--cfo", "0.01"),
}


@pytest.mark.parametrize("name", FLAT)
def test_c11_any_chunking_gives_the_same_bits(emulator: Start, tell: Callable[[str], None], name: str) -> None:
    x = qpsk(1_000_000, 0)
    random = np.random.default_rng(0)
    cuts = ([], [1024] * 970, random.integers(1, 10_000, 190).tolist(), [1, 2, 3, 5, 8, 13, 21, 34, 55] * 50)
    digests = {hashlib.sha256(emulator(*FLAT[name]).send(x, sizes).tobytes()).hexdigest() for sizes in cuts}
    tell(f"C11 {name}: {len(digests)} SHA-256 over {len(cuts)} chunkings, {digests.pop()[:16]}...")
    assert not digests


def test_c11_delay_lines_hardly_depend_on_chunking(emulator: Start, tell: Callable[[str], None]) -> None:
    flags = ("--snr", "20", "--fading", "tdl-a", "--rate", "15.36e6", "--delay-spread", "300e-9", "--doppler", "3e-4")
    x = qpsk(1_000_000, 0)
    whole = emulator(*flags).send(x)
    cut = emulator(*flags).send(x, np.random.default_rng(0).integers(1, 10_000, 190).tolist())
    error = np.max(np.abs(whole - cut)) / np.max(np.abs(whole))
    tell(f"C11 tdl-a: largest relative difference between chunkings {error:.2e}")
    assert error <= 1e-5


def test_c11_seek(tell: Callable[[str], None]) -> None:
    times = {}
    for name, spec in {
        "awgn": ChannelSpec(),
        "rayleigh": ChannelSpec(fading="rayleigh"),
        "rician": ChannelSpec(fading="rician"),
        "tdl-a": ChannelSpec(fading="tdl-a", rate=10e6),
        "phase noise": ChannelSpec(phase_noise=1e-6),
        "shadowing": ChannelSpec(shadowing_db=6.0),
    }.items():
        channel = Channel(spec)
        begun = time.process_time()
        channel.apply(0, 1_000_000_000, ONES[:1024])
        times[name] = (time.process_time() - begun) * 1e3
    tell("C11 first 1024 samples at 1e9, CPU ms: " + ", ".join(f"{name} {ms:.2f}" for name, ms in times.items()))
    assert max(times.values()) < 50


def test_c12_live_change(emulator: Start, tell: Callable[[str], None]) -> None:
    running, x = emulator("--snr", "20"), qpsk(300_000, 0)
    before = running.send(x[:100_000])
    acks = []
    for snr in (1.0, 2.0, 4.0, 8.0, 3.0):
        begun = time.perf_counter()
        applied = ask(running.control, {"op": "set", "parameters": {"snr_db": snr}})["applied"]
        acks.append((time.perf_counter() - begun) * 1e3)
    assert applied == [[0, 100_000]]
    after = running.send(x[100_000:])
    levels = [-10 * math.log10(np.mean(np.abs(part.astype(np.complex128)) ** 2))
              for part in (before - x[:100_000], after[:100_000] - x[100_000:200_000])]  # fmt: skip
    w = Channel(ChannelSpec()).noise(0, 99_999, 2)
    edge = np.array([before[-1] - x[99_999], after[0] - x[100_000]]) / w
    np.testing.assert_allclose(np.abs(edge), [10 ** (-20 / 20), 10 ** (-3 / 20)], rtol=1e-3)
    tell(f"C12 acknowledged in {np.median(acks):.2f} ms (connection included, worst {max(acks):.2f}), SNR before "
         f"{levels[0]:.4f}, after {levels[1]:.4f} dB, exact at sample 100000")  # fmt: skip
    assert np.median(acks) < 20
    assert abs(levels[0] - 20) <= 0.05
    assert abs(levels[1] - 3) <= 0.05


def test_delay_profile_on_the_output(emulator: Start, tell: Callable[[str], None], tmp_path: Path) -> None:
    delays, powers_db = np.array([0, 5, 9, 20, 40]), np.array([0.0, -3.0, -6.0, -9.0, -12.0])
    profile = tmp_path / "profile.csv"
    profile.write_text("".join(f"{d * 100},{p}\n" for d, p in zip(delays, powers_db, strict=True)))
    period, doppler = 64, 1e-3
    x = np.zeros(10_000_000 // period * period, np.complex64)  # 10,000 Doppler cycles
    x[::period] = 1.0
    flags = ("--snr", "inf", "--fading", str(profile), "--rate", "10e6", "--doppler", str(doppler))
    taps = emulator(*flags).send(x).reshape(-1, period)[:, delays].astype(np.complex128)
    power = np.mean(np.abs(taps) ** 2, axis=0)
    share = 10 ** (powers_db / 10) / np.sum(10 ** (powers_db / 10))
    error_db = 10 * np.log10(power / share)
    unit = taps / np.sqrt(power)
    cross = np.max(np.abs(unit.T @ unit.conj() / unit.shape[0])[~np.eye(delays.size, dtype=bool)])

    def spread(weight: np.ndarray) -> float:
        mean = weight @ delays / weight.sum()
        return float(np.sqrt(weight @ (delays - mean) ** 2 / weight.sum()))

    frequencies = np.exp(-2j * np.pi * np.outer(delays, np.arange(period)) / period)
    response = taps @ frequencies
    correlation = np.mean(response * response[:, :1].conj(), axis=0) / power.sum()
    frequency_error = np.max(np.abs(correlation - share @ frequencies))
    tell(f"profile: power error dB {np.round(error_db, 3).tolist()}, rms delay spread over the profile's "
         f"{spread(power) / spread(share):.4f}, inter-path correlation {cross:.4f}, "
         f"frequency correlation error {frequency_error:.4f}")  # fmt: skip
    assert np.max(np.abs(error_db)) <= 0.15
    assert abs(spread(power) / spread(share) - 1) <= 0.01
    assert cross <= 0.03
    assert frequency_error <= 0.02


@pytest.mark.parametrize("m", [0.5, 2.0, 10.0])
def test_nakagami(emulator: Start, tell: Callable[[str], None], m: float) -> None:
    flags = ("--snr", "inf", "--fading", "nakagami", "--nakagami-m", str(m), "--doppler", "0.02")
    power = np.abs(through(emulator, 4_000_000, *flags).astype(np.complex128)) ** 2
    distance = stats.kstest(power, stats.gamma(m, scale=1 / m).cdf).statistic
    tell(f"Nakagami m {m}: power {power.mean():.4f}, KS {distance:.5f}")
    assert abs(power.mean() - 1) <= 0.02
    assert distance <= 0.005


def test_shadowing_and_phase_noise(emulator: Start, tell: Callable[[str], None]) -> None:
    length, linewidth = 200.0, 1e-5
    h = through(emulator, 8_000_000, "--snr", "inf", "--shadowing", "6", "--shadowing-length", str(length),
                "--phase-noise", str(linewidth)).astype(np.complex128)  # fmt: skip
    level = 20 * np.log10(np.abs(h))
    centred = level - level.mean()
    memory = np.mean(centred[: -int(length)] * centred[int(length) :]) / centred.var()
    steps = np.angle(h[100:] * h[:-100].conj())
    ratio = steps.var() / (2 * math.pi * linewidth * 100)
    power = np.mean(np.abs(h) ** 2)
    tell(f"shadowing 6 dB: std {level.std():.3f} dB, power {power:.4f}, ACF at its length {memory:.4f} (1/e = 0.3679)")
    tell(f"phase noise: variance of 100-sample steps over 2 pi linewidth n {ratio:.4f}")
    assert level.std() == pytest.approx(6.0, rel=0.02)
    assert power == pytest.approx(1.0, rel=0.05)
    assert memory == pytest.approx(math.exp(-1), abs=0.02)
    assert ratio == pytest.approx(1.0, abs=0.02)
