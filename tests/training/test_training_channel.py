"""Training's modulator, channel and receiver are those of the link: the same in, the same out; same statistics."""

import math

import numpy as np
import pytest
import torch
from sctx.modulate import bounds
from sctx.modulate import modulate as runtime
from training.student.air import FRAMES, draw, receive, transmit
from training.student.rounding import modulate

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.phy.layout import Layout, pilot_sequence
from scrx.demodulation.demodulate import Demodulator, Received
from training.recipes.specs import Conditions

LAYOUT = Layout((4, 12), pilots=8, slot=64)


def symbols(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.exp(2j * np.pi * random.random((count, 16))).astype(np.complex64)


@pytest.mark.parametrize("fading", ["none", "block-rayleigh", "rayleigh"])
def test_same_gain_and_noise_give_the_same_output(fading: str) -> None:
    channel = Channel(ChannelSpec(snr_db=6.0, fading=fading, coherence=64, doppler=1e-3, seed=3))
    for k, x in enumerate(symbols(20)):
        y, truth = channel.apply(0, 64 * k, x)
        # The emulator is linear in x: the output of a second, known input gives h at each sample, and then the noise.
        h = (channel.apply(0, 64 * k, 2 * x)[0] - y) / x
        ours = transmit(*(torch.from_numpy(np.asarray(part, np.complex64)) for part in (x, h, y - h * x)))
        assert np.abs(ours.numpy() - y).max() < 1e-5
        if fading != "rayleigh":
            assert np.abs(h - truth.h).max() < 1e-5


@pytest.mark.parametrize(("fading", "rayleigh"), [("none", 0.0), ("block-rayleigh", 1.0)])
def test_statistics_agree(fading: str, rayleigh: float) -> None:
    """Power of h and of the noise, and the distribution of |h|^2, over 20,000 frames of each."""
    count, snr_db = 20_000, 6.0
    drawn = draw(count, LAYOUT, Conditions(snr_db, snr_db, rayleigh=rayleigh), torch.Generator().manual_seed(0))
    ours = drawn.gain[:, 0].abs().square().numpy()
    noise = (drawn.noise * drawn.n0.sqrt()[:, None]).abs().square().mean().item()
    channel = Channel(ChannelSpec(snr_db=snr_db, fading=fading, coherence=64, seed=1))
    ones = np.ones(8, np.complex64)
    theirs = []
    for k in range(count):
        _, truth = channel.apply(0, 64 * k, ones)
        theirs.append(abs(truth.h) ** 2)
    assert noise == pytest.approx(10 ** (-snr_db / 10), rel=0.01)
    assert ours.mean() == pytest.approx(1.0, abs=0.03)
    assert np.mean(theirs) == pytest.approx(1.0, abs=0.03)
    quantiles = [0.1, 0.25, 0.5, 0.75, 0.9]
    assert np.quantile(ours, quantiles) == pytest.approx(np.quantile(theirs, quantiles), abs=0.06)
    if rayleigh:
        assert np.quantile(ours, quantiles) == pytest.approx([-math.log(1 - q) for q in quantiles], abs=0.06)


LAYOUTS = [
    Layout((4, 12), 8, 64), Layout((1,), 2, 8), Layout((2, 3, 5, 7), 16, 64), Layout((8, 8, 8), 5, 64),
    Layout((1, 1, 30), 64, 128), Layout((2, 2, 4, 8, 16), 0, 64),
]  # fmt: skip
"""Of one rate and of many, of few pilots and many, and of none."""


def frame(layout: Layout, gain: complex, noise: np.ndarray, payload: np.ndarray) -> np.ndarray:
    """What is received of pilots and payload. noise: complex64 [P + n]."""
    sent = np.concatenate((pilot_sequence(layout.pilots), payload))
    received: np.ndarray = (np.complex64(gain) * sent + noise).astype(np.complex64)
    return received


def pooled(layout: Layout, energy: float, dof: float) -> Demodulator:
    """A receiver that has heard frames of so much noise, orthogonal to the pilots, before."""
    demodulator, frames = Demodulator(layout), round(dof / max(layout.pilots - 1, 1))
    count = layout.pilots
    for seq in range(frames):
        turned = pilot_sequence(count) * np.exp(2j * np.pi * np.arange(count) / count)
        noise = np.concatenate((turned * math.sqrt(energy / frames / count), np.zeros(layout.increments[0])))
        heard = frame(layout, 1.0, noise, np.ones(layout.increments[0]))
        demodulator.demodulate([Received(b"", seq, heard, seq * layout.slot, 0, 0, ())])
    return demodulator


@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 40.0])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.increments}+{layout.pilots}")
def test_the_receiver_in_training_is_the_receiver(layout: Layout, snr_db: float) -> None:
    """Round for round what `scrx.demodulation` gives of the same samples, after the same frames before."""
    count, rows, rates = layout.pilots, 6, len(layout.increments)
    drawn = draw(rows, layout, Conditions(snr_db, snr_db, pool=31), torch.Generator().manual_seed(5))
    sent = np.exp(2j * np.pi * np.random.default_rng(1).random((rows, layout.max_symbols))).astype(np.complex64)
    equalised, gamma = (one.numpy() for one in receive(torch.from_numpy(sent), drawn, layout))
    noise = drawn.noise.numpy() * np.sqrt(drawn.n0.numpy())[:, None]
    for row, last in enumerate(drawn.last.tolist()):
        energy, dof = drawn.others[row].tolist()
        demodulator = pooled(layout, energy * float(drawn.n0[row]), dof)
        for round_, (start, rate) in enumerate([(0, last), (last + 1, rates - 1)][: 1 + (last + 1 < rates)]):
            span = layout.span(start, rate)
            heard = noise[row, round_ * count :][:count], noise[row, FRAMES * count :][span]
            y = frame(layout, drawn.gain[row, round_].item(), np.concatenate(heard), sent[row, span])
            soft, _ = demodulator.demodulate([Received(b"", 99, y, (40 + round_) * layout.slot, start, rate, ())])
            assert np.abs(soft.symbols[0, span] - equalised[row, span]).max() < 1e-4
            assert soft.gamma[0, span] == pytest.approx(gamma[row, span], rel=1e-3)


@pytest.mark.parametrize("order", [4, 16, 64])
@pytest.mark.parametrize("layout", LAYOUTS[:4], ids=lambda layout: str(layout.increments))
def test_the_modulator_in_training_is_the_transmitters_bit_for_bit(layout: Layout, order: int) -> None:
    random = np.random.default_rng(order)
    edges = np.concatenate([np.nextafter(bounds(order), to) for to in (-9, 9)] + [bounds(order), [-np.inf, np.inf, 0]])
    for scale in (0.1, 1.0, 30.0):
        features = np.float32(scale) * random.standard_normal((200, 2 * layout.max_symbols), np.float32)
        near = random.random(features.shape) < 0.3  # and right at a boundary, or beside it
        features[near] = random.choice(edges, near.sum())
        ours = modulate(torch.from_numpy(features), layout, order).symbols.numpy()
        assert np.array_equal(ours, runtime(features, layout, order))


def test_gradient_passes_through_rounding_as_if_only_the_squashing_were_there() -> None:
    features = torch.randn(4, 32, requires_grad=True, generator=torch.Generator().manual_seed(0))
    made = modulate(features, LAYOUT, 16)
    made.symbols.real.sum().backward(retain_graph=True)
    assert features.grad is not None
    assert features.grad.abs().max() > 0
    slope = torch.autograd.grad(made.squashed.sum(), features)[0]
    assert (slope > 0).all()
    assert (slope <= 1).all()


def test_pooled_noise_is_unbiased() -> None:
    conditions = Conditions(3.0, 3.0, rayleigh=0.0, pool=16)
    drawn = draw(40_000, LAYOUT, conditions, torch.Generator().manual_seed(2))
    energy, dof = drawn.others.double().unbind(-1)
    assert float(energy.sum() / dof.sum()) == pytest.approx(1.0, abs=0.005)
    assert float(((energy - dof) ** 2).sum() / dof.sum()) == pytest.approx(1.0, abs=0.03)  # Gamma(n): variance n


def test_the_report_is_missing_quantised_and_sometimes_wrong() -> None:
    drawn = draw(20_000, LAYOUT, Conditions(10.0, 10.0, rayleigh=0.5, missing=0.2), torch.Generator().manual_seed(0))
    told = drawn.told_db
    assert float(told.isnan().float().mean()) == pytest.approx(0.2, abs=0.02)
    known = told[~told.isnan()]
    assert torch.equal(known * 2, (known * 2).round())
    assert float(known.median()) == pytest.approx(10.0, abs=0.51)
    assert float(known.std()) > 1.0


def test_gain_is_one_per_packet_and_independent_between_packets() -> None:
    gain = draw(4000, LAYOUT, Conditions(rayleigh=1.0), torch.Generator().manual_seed(0)).gain
    assert gain.shape == (4000, FRAMES)
    neighbours = (gain[1:, 0] * gain[:-1, 0].conj()).mean().abs()
    between_frames = (gain[:, 0] * gain[:, 1].conj()).mean().abs()
    assert float(neighbours) < 0.06
    assert float(between_frames) < 0.06
