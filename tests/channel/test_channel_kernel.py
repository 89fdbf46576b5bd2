"""The channel as a function of the air clock: SNR as defined, bit errors by formula, the same whatever the cuts."""

import hashlib
import math

import numpy as np
import pytest
from scipy import optimize, special

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel

MODELS = [
    ChannelSpec(snr_db=5.0),
    ChannelSpec(snr_db=5.0, fading="block-rayleigh", coherence=100),
    ChannelSpec(snr_db=5.0, fading="rayleigh", doppler=1e-3),
    ChannelSpec(snr_db=5.0, fading="rayleigh", doppler=0.04, spectrum="flat"),
    ChannelSpec(snr_db=math.inf, fading="rician", doppler=7.8e-5),
    ChannelSpec(snr_db=5.0, fading="nakagami", nakagami_m=2.0, shadowing_db=4.0, phase_noise=1e-6, cfo=0.01),
    ChannelSpec(snr_db=30.0, pa_backoff_db=3.0, iq_gain_db=0.5, iq_phase=2.0),
]


def qpsk(n: int, seed: int = 0) -> np.ndarray:
    bits = np.random.default_rng(seed).integers(0, 2, (n, 2)) * 2 - 1
    return ((bits[:, 0] + 1j * bits[:, 1]) / 2**0.5).astype(np.complex64)


def bit_errors(x: np.ndarray, y: np.ndarray, h: np.ndarray | float = 1.0) -> float:
    z = y * np.conj(h)
    wrong = np.count_nonzero((z.real > 0) != (x.real > 0)) + np.count_nonzero((z.imag > 0) != (x.imag > 0))
    return wrong / (2 * x.size)


def snr_from_bit_errors(rate: float) -> float:
    """Es/N0 in dB at which Gray QPSK over AWGN has this bit error rate: Q(sqrt(Es/N0))."""
    return 20 * math.log10(optimize.brentq(lambda a: 0.5 * special.erfc(a / 2**0.5) - rate, 0, 10))


def cut(channel: Channel, x: np.ndarray, sizes: list[int]) -> np.ndarray:
    at, pieces = 0, []
    for size in sizes:
        pieces.append(channel.apply(3, at, x[at : at + size])[0])
        at += size
    assert at == x.size
    return np.concatenate(pieces)


def random_sizes(total: int, seed: int) -> list[int]:
    random, sizes = np.random.default_rng(seed), []
    while (left := total - sum(sizes)) > 0:
        sizes.append(min(left, int(random.choice([1, 2, 3, 17, 72, 128, 1000, 5000]))))
    return sizes


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.describe())
def test_any_chunking_gives_the_same_bits(spec: ChannelSpec) -> None:
    x = qpsk(65_536)
    digests = {
        hashlib.sha256(cut(Channel(spec), x, sizes).tobytes()).hexdigest()
        for sizes in ([65_536], [1024] * 64, random_sizes(65_536, 1), random_sizes(65_536, 2))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.describe())
def test_order_and_restarts_change_nothing(spec: ChannelSpec) -> None:
    x = qpsk(72)
    starts = [0, 128, 65_000, 16_380, 4_000, 1_000_000_000]
    straight = {at: Channel(spec).apply(9, at, x, round=1)[0] for at in starts}
    one = Channel(spec)
    for at in reversed(starts):
        np.testing.assert_array_equal(one.apply(9, at, x, round=1)[0], straight[at])


def test_rounds_at_the_same_air_position_have_their_own_noise() -> None:
    channel, x = Channel(ChannelSpec(snr_db=0.0)), qpsk(1000)
    first, second = (channel.apply(0, 0, x, round=r)[0] - x for r in (0, 1))
    assert abs(np.vdot(first, second)) / 1000 < 0.2


def test_ideal_channel_returns_what_it_got() -> None:
    x = qpsk(100)
    y, truth = Channel(ChannelSpec(snr_db=math.inf)).apply(0, 0, x)
    assert y is x
    assert truth.snr_inst_db == math.inf
    assert truth.h == 1.0


def test_truth_is_what_was_done() -> None:
    x = (0.5 * qpsk(256)).astype(np.complex64)
    channel = Channel(ChannelSpec(snr_db=7.0, fading="rayleigh", doppler=0.01))
    y, truth = channel.apply(0, 500, x)
    h = channel.fading(0, 500, 256)
    noise = channel.noise(0, 500, 256)
    np.testing.assert_allclose(y, h * x + 10 ** (-7 / 20) * noise, rtol=1e-5, atol=1e-6)
    assert truth.h == pytest.approx(complex(h.mean()), rel=1e-5)
    assert truth.snr_inst_db == pytest.approx(10 * np.log10(np.mean(np.abs(h) ** 2)) + 7.0, abs=1e-3)
    assert truth.power == pytest.approx(0.25, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("snr_db", "n"), [(0.0, 100_000), (5.0, 400_000), (9.0, 4_000_000)])
def test_qpsk_bit_errors_over_awgn(snr_db: float, n: int) -> None:
    x = qpsk(n)
    y = Channel(ChannelSpec(snr_db=snr_db)).transform(0, 0, x)
    assert snr_from_bit_errors(bit_errors(x, y)) == pytest.approx(snr_db, abs=0.06)


def test_snr_is_the_average_over_fading_and_bit_errors_are_those_of_rayleigh() -> None:
    blocks, length = 60_000, 16
    x = qpsk(blocks * length)
    channel = Channel(ChannelSpec(snr_db=5.0, fading="block-rayleigh", coherence=length))
    y = channel.transform(0, 0, x)
    h = channel.fading(0, 0, x.size)
    gamma = 10**0.5
    expected = 0.5 * (1 - math.sqrt(gamma / 2 / (1 + gamma / 2)))
    assert expected == pytest.approx(0.1087, abs=5e-5)
    assert bit_errors(x, y, h) == pytest.approx(expected, rel=0.02)
    noise = np.mean(np.abs(y - h * x) ** 2)
    assert 10 * np.log10(np.mean(np.abs(h) ** 2) / noise) == pytest.approx(5.0, abs=0.05)


def test_fading_does_not_depend_on_snr() -> None:
    weak = Channel(ChannelSpec(snr_db=-5.0, fading="rayleigh")).fading(0, 777, 1000)
    strong = Channel(ChannelSpec(snr_db=25.0, fading="rayleigh")).fading(0, 777, 1000)
    np.testing.assert_array_equal(weak, strong)


def test_a_change_acts_from_the_sample_that_it_names() -> None:
    channel, x = Channel(ChannelSpec(snr_db=20.0)), qpsk(100_000)
    channel.apply(4, 0, x[:50_000])
    assert channel.change({"snr_db": 0.0}) == [((b"", 4, 0), 50_000)]
    before, _ = channel.apply(4, 0, x[:50_000])  # a late frame from before the change
    after, _ = channel.apply(4, 50_000, x[50_000:])
    across, _ = channel.apply(4, 49_990, x[49_990:50_010])
    assert -10 * np.log10(np.mean(np.abs(before - x[:50_000]) ** 2)) == pytest.approx(20.0, abs=0.06)
    assert -10 * np.log10(np.mean(np.abs(after - x[50_000:]) ** 2)) == pytest.approx(0.0, abs=0.06)
    np.testing.assert_array_equal(across, np.concatenate((before[-10:], after[:10])))


def test_a_change_of_doppler_leaves_fading_continuous() -> None:
    channel = Channel(ChannelSpec(snr_db=math.inf, fading="rayleigh", doppler=1e-4))
    channel.apply(0, 0, qpsk(30_000))
    channel.change({"doppler": 2e-3})
    h = channel.fading(0, 0, 60_000)
    steps = np.abs(np.diff(h))
    assert steps[29_998:30_002].max() <= steps[30_000:].max()
    assert steps[30_000:].mean() / steps[:29_999].mean() > 10
