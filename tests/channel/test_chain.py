"""Emulators in a row: hops are independent by themselves, and what they make together is what theory says."""

import math

import numpy as np
import pytest
import zmq
from scipy import integrate

from common.channel.models.noise import Use, hop_seed
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import TransitSpec
from common.channel.streams.channel import Channel
from common.channel.wire.proxy import Proxy, check_power
from common.channel.wire.transit import Fate
from common.errors import ProtocolError
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode
from common.protocol.messages import Data, Nak, NakCode
from scrx.demodulation.tracker import ChannelTracker

BLOCKS, LENGTH = 80_000, 2
E1 = 0.596347362323194
"""e E1(1), the mean of 1 / (1 + g) for exponential g."""


def through(hops: int, spec: ChannelSpec, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols through a chain of emulators with the same flags: y, the gain of the whole, and the noise at its end."""
    y, gain = x, np.ones(x.size, np.complex64)
    for hop in range(hops):
        emulator = Channel(spec)  # a process of its own each
        h = emulator.fading(0, 0, x.size, hop=hop)
        y, gain = emulator.transform(0, 0, y, hop=hop), gain * h
    return y, gain, y - gain * x


def db(ratio: float) -> float:
    return 10 * math.log10(ratio)


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_a_chain_of_awgn_has_the_snr_of_its_noises_added(hops: int) -> None:
    x = np.exp(1j * np.arange(200_000)).astype(np.complex64)
    _, _, noise = through(hops, ChannelSpec(snr_db=10.0), x)
    assert db(1 / np.mean(np.abs(noise) ** 2)) == pytest.approx(10.0 - db(hops), abs=0.03)


@pytest.mark.parametrize(
    ("hops", "mean_of_the_ratio_db", "ratio_of_the_means_db"),
    [(1, 10.0, 10.0), (2, db(10 * (1 - E1)), db(5.0)), (3, None, db(10 / 3))],
)
def test_a_chain_of_rayleigh_has_both_snrs_of_theory(
    hops: int, mean_of_the_ratio_db: float | None, ratio_of_the_means_db: float
) -> None:
    """y = h2 (h1 x + w1) + w2: gain |h1 h2|^2 over noise |h2|^2 N1 + N2, both of which fade."""
    if mean_of_the_ratio_db is None:  # E g2 g3 / (0.1 (g2 g3 + g3 + 1)), the last two of three hops
        value, _ = integrate.dblquad(
            lambda b, c: math.exp(-b - c) * b * c / (b * c + c + 1), 0, 40, 0, 40, epsabs=1e-6
        )  # fmt: skip
        mean_of_the_ratio_db = db(10 * value)
    spec = ChannelSpec(snr_db=10.0, fading="block-rayleigh", coherence=LENGTH)
    x = np.ones(BLOCKS * LENGTH, np.complex64)
    _, gain, noise = through(hops, spec, x)
    signal = np.abs(gain[::LENGTH]) ** 2
    variance = np.zeros(BLOCKS)
    for hop in range(hops):
        h = Channel(spec).fading(0, 0, x.size, hop=hop)[::LENGTH]
        variance = np.abs(h) ** 2 * variance + 0.1 if hop else variance + 0.1
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(np.mean(variance), rel=0.02)
    assert db(np.mean(signal) / np.mean(variance)) == pytest.approx(ratio_of_the_means_db, abs=0.12)
    assert db(np.mean(signal / variance)) == pytest.approx(mean_of_the_ratio_db, abs=0.1)


def test_an_estimator_that_pools_the_noise_tells_the_ratio_of_the_means() -> None:
    """Noise that fades with the second hop is pooled over 32 frames: the average lies near 7.0 dB, not at 6.1."""
    slot, spec = 128, ChannelSpec(snr_db=10.0, fading="block-rayleigh", coherence=128)
    pilots = pilot_sequence(8)
    tracker, first, second = ChannelTracker(pilots, slot), Channel(spec), Channel(spec)
    told, noise = [], []
    for seq in range(2500):
        y = second.transform(0, seq * slot, first.transform(0, seq * slot, pilots), hop=1)
        seen = tracker.observe(y, seq * slot)
        told.append(10 ** (seen.snr_avg_db / 10))
        noise.append(seen.noise)
    assert db(np.mean(told[500:])) == pytest.approx(db(5.0), abs=0.5)
    assert np.mean(noise[500:]) == pytest.approx(0.2, rel=0.06)


@pytest.mark.parametrize("fading", ["none", "block-rayleigh", "rayleigh", "rician", "nakagami"])
def test_hops_are_independent_and_each_is_the_same_at_every_run(fading: str) -> None:
    spec = ChannelSpec(snr_db=0.0, fading=fading, doppler=0.02, coherence=8, k_factor_db=-60.0,
                       shadowing_db=3.0, shadowing_length=100.0, phase_noise=0.01)  # fmt: skip
    n, seen = 60_000, []
    for hop in range(3):
        emulator, again = Channel(spec), Channel(spec)
        h, w = emulator.fading(0, 0, n, hop=hop), emulator.noise(0, 0, n, hop=hop)
        np.testing.assert_array_equal(again.fading(0, 50_000, 100, hop=hop), h[50_000:50_100])
        seen.append((h - h.mean(), w))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        for a, b in zip(seen[one], seen[other], strict=True):
            assert abs(np.vdot(a, b)) / np.linalg.norm(a) / np.linalg.norm(b) < 0.1
    np.testing.assert_array_equal(Channel(spec).noise(0, 0, 100), seen[0][1][:100])  # no hop is the first hop


def test_hops_lose_messages_independently() -> None:
    lost = []
    for hop in (0, 1):
        fate = Fate(TransitSpec(drop=0.5), hop_seed(7, hop), 3, Use.TRANSIT)
        lost.append([fate.lost() for _ in range(2000)])
    assert np.mean(np.equal(*lost)) == pytest.approx(0.5, abs=0.05)
    assert hop_seed(7, 0) == 7
    assert len({hop_seed(seed, hop) for seed in (0, 1, 2**64 - 1) for hop in range(256)}) == 3 * 256


def test_frames_through_two_emulators_meet_two_channels(context: zmq.Context) -> None:
    spec = ChannelSpec(snr_db=0.0, fading="block-rayleigh")
    sink, tx = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    sink.linger = tx.linger = 0
    sink.bind("tcp://127.0.0.1:0")
    last = Proxy(context, Channel(spec), "tcp://127.0.0.1:0", sink.getsockopt_string(zmq.LAST_ENDPOINT))
    first = Proxy(context, Channel(spec), "tcp://127.0.0.1:0", last.address)
    tx.connect(first.address)
    session, x = bytes(range(16)), np.exp(1j * np.arange(48)).astype(np.complex64)

    def until(socket: zmq.Socket, what: list[bytes]) -> list[bytes]:
        for _ in range(100):  # what is sent before the connections stand is dropped
            tx.send_multipart(what)
            for _ in range(20):
                first.step(2)
                last.step(2)
                if socket.poll(0):
                    return socket.recv_multipart()
        pytest.fail("nothing came through")

    def frame(seq: int, payload: np.ndarray) -> list[bytes]:
        return encode(Data(session, seq, 5, 128 * seq, 0, 0, 0, 0, payload.size, 1, 500, 0, payload.tobytes()))

    refused = 0
    for seq in range(30):
        y = Channel(spec).transform(5, 128 * seq, Channel(spec).transform(5, 128 * seq, x), hop=1)
        got = until(sink, frame(seq, x))
        assert len(got) == 6
        while got[-2] != frame(seq, x)[1]:
            got = until(sink, frame(seq, x))
        assert got[-1] == y.tobytes()
        refused += np.vdot(y, y).real / y.size > 2.0
    assert refused > 5  # frames that the last one would have refused if it asked of noise what it asks of a transmitter
    assert last.counts["power"] == first.counts["power"] == 0
    nak = decode(until(tx, frame(99, 3 * x))[-3:])
    assert nak == Nak(session, 99, 0, NakCode.BAD_SYMBOLS)
    assert first.counts["power"] > 0
    assert last.counts["power"] == 0
    for socket in (tx, first, last, sink):
        socket.close()


def test_a_later_hop_refuses_what_no_receiver_takes(context: zmq.Context) -> None:
    for value, passes in ((999.0, True), (1001.0, False), (math.inf, False), (math.nan, False)):
        x = np.full(4, value, np.complex64)
        if passes:
            check_power(x, 1)
        else:
            with pytest.raises(ProtocolError, match="bad_symbols"):
                check_power(x, 1)
        with pytest.raises(ProtocolError, match="power"):
            check_power(x, 0)
