"""The receiver's estimator and equaliser on the channel's own samples, against the bounds of theory."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.phy.layout import pilot_sequence
from scrx.demodulation.equalise import one_tap
from scrx.demodulation.estimate import fit_pilots, unbiased_snr

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

FRAMES = 40_000


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def say(text: str) -> None:
        with capsys.disabled():
            print(f"  {text}")

    return say


@pytest.mark.parametrize(
    ("pilots", "snr_db", "excess"),
    [(16, 5.0, 0.1), (16, 10.0, 0.1), (16, 20.0, 0.1), (64, 0.0, 0.05), (64, 10.0, 0.05), (128, 0.0, 0.05)],
)
def test_c6_snr_estimate(tell: Callable[[str], None], pilots: int, snr_db: float, excess: float) -> None:
    sent = pilot_sequence(pilots)
    x = np.tile(sent, FRAMES)
    heard = Channel(ChannelSpec(snr_db=snr_db)).transform(0, 0, x).reshape(FRAMES, pilots)
    fitted = [fit_pilots(frame, sent.astype(np.complex128)) for frame in heard]
    snrs = [unbiased_snr(abs(gain) ** 2, left / (pilots - 1), pilots, pilots - 1) for gain, left in fitted]
    snr = np.maximum(snrs, 10**-1.5)
    error = 10 * np.log10(snr) - snr_db
    rmse, bound = math.sqrt(np.mean(error**2)), 4.343 * math.sqrt((1 + 2 / 10 ** (snr_db / 10)) / pilots)
    tell(f"C6 {pilots} pilots at {snr_db} dB: RMSE {rmse:.4f} dB, bound {bound:.4f}, excess {rmse - bound:+.4f}, "
         f"bias {error.mean():+.4f}")  # fmt: skip
    assert rmse - bound <= excess
    assert pilots < 64 or abs(error.mean()) <= 0.12


@pytest.mark.parametrize("pilots", [16, 64])
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_c7_mmse_over_rayleigh(tell: Callable[[str], None], pilots: int, snr_db: float) -> None:
    length = pilots + 32
    spec = ChannelSpec(snr_db=snr_db, fading="block-rayleigh", coherence=length)
    bits = np.random.default_rng(0).integers(0, 2, (FRAMES, 32, 2)) * 2 - 1
    payload = ((bits[..., 0] + 1j * bits[..., 1]) / 2**0.5).astype(np.complex64)
    sent = pilot_sequence(pilots)
    frames = np.concatenate((np.broadcast_to(sent, (FRAMES, pilots)), payload), axis=1)
    heard = Channel(spec).transform(0, 0, np.ascontiguousarray(frames).reshape(-1)).reshape(FRAMES, length)
    fitted = [fit_pilots(frame, sent.astype(np.complex128)) for frame in heard[:, :pilots]]
    pooled = np.mean([left for _, left in fitted]) / (pilots - 1)
    taps = np.array([one_tap(gain, pooled, pilots)[0] for gain, _ in fitted])
    error = np.mean(np.abs(heard[:, pilots:] * taps[:, None] - payload) ** 2)
    rho = 10 ** (snr_db / 10)
    effective = rho**2 * pilots / (1 + rho * pilots + rho)
    theory = special.exp1(1 / effective) * math.exp(1 / effective) / effective
    offset = 10 * math.log10(error / theory)
    tell(f"C7 MMSE, {pilots} pilots at {snr_db} dB: {10 * math.log10(error):.3f} dB, theory with estimated gain "
         f"{10 * math.log10(theory):.3f}, offset {offset:+.3f}")  # fmt: skip
    assert abs(offset) <= 0.1
