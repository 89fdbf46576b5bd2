"""The channel of training is the channel of the emulator: same h and noise in, same y out; same statistics."""

import math

import numpy as np
import pytest
import torch

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.phy.layout import Layout, pilot_sequence
from scrx.demodulation.equalise import effective_snr, equalise
from scrx.demodulation.estimate import estimate_gain
from training.recipes.specs import Conditions
from training.student.air import FRAMES, draw, receive, transmit

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


def test_the_receiver_in_training_is_the_receiver() -> None:
    """Frame by frame with the numpy functions that the link uses, with no noise pooled from elsewhere."""
    drawn = draw(12, LAYOUT, Conditions(pool=1), torch.Generator().manual_seed(5))
    sent = symbols(12)
    equalised, gamma = receive(torch.from_numpy(sent), drawn, LAYOUT)
    pilots = pilot_sequence(8)
    gains, n0 = drawn.gain.numpy(), drawn.n0.numpy()
    noise = drawn.noise.numpy() * np.sqrt(n0)[:, None]
    for row in range(12):
        heard = [gains[row, f] * pilots + noise[row, 8 * f : 8 * f + 8] for f in range(FRAMES)]
        found = [estimate_gain(y, pilots) for y in heard]
        pooled = float(np.sum(np.abs(heard[0] - found[0] * pilots) ** 2)) / 7
        cut = LAYOUT.rates[int(drawn.last[row])]
        for f, part in ((0, slice(0, cut)), (1, slice(cut, 16))):
            y = gains[row, f] * sent[row, part] + noise[row, 16:][part]
            expected = equalise(y, found[f], np.float32(pooled))
            assert np.abs(equalised[row, part].numpy() - expected).max(initial=0) < 1e-3
            expected_gamma = effective_snr(found[f], pooled, 8)
            assert gamma[row, part].numpy() == pytest.approx(np.full(len(y), expected_gamma), rel=1e-3)


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
