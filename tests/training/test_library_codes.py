"""Codes that Sionna brings, polar and LDPC: what was sent comes back, as often as was published."""

import math
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from tests.training.gaussian import heard, interval, without_noise, wrong
from training.baselines.ldpc import LdpcQam
from training.baselines.picture_codes import FORMATS, PictureCodec
from training.baselines.picture_fitting import lost_words
from training.baselines.remembered import Remembered
from training.baselines.short_codes import likelihoods
from training.systems.carry import Way, carry, hear, send
from training.systems.system import Place

pytestmark = pytest.mark.skipif(find_spec("sionna") is None, reason="Sionna is not installed (extra `baselines`)")

POLAR = [(16, 16, 2.5), (24, 32, 0.5), (32, 32, 2.5), (32, 64, -2.0), (64, 64, 2.0)]
"""Bits, uses, SNR in dB."""
POLAR_PUBLISHED = [
    (-1.31, 3.70e-1, 1.32e-1),
    (-1.01, 1.79e-1, 4.69e-2),
    (-0.71, 7.20e-2, 1.57e-2),
    (-0.51, 3.21e-2, 6.52e-3),
]
"""SNR in dB, and the share of wrong words that was published for 0.2 dB less and for 0.2 dB more."""


def test_polar_codes_of_any_length_bring_every_bit_back() -> None:
    assert all(without_noise(*place) for place in ((13, 7), (20, 12), (24, 33), (64, 32)))


@pytest.mark.full
@pytest.mark.parametrize(
    ("bits", "uses", "snr_db"), [(16, 16, 2.5), (24, 32, 0.5), (32, 32, 2.5), (32, 64, -2.0), (64, 64, 2.0)]
)
def test_the_polar_code_is_no_worse_than_that_of_the_standard(bits: int, uses: int, snr_db: float) -> None:
    import torch
    from sionna.phy.fec.polar import Polar5GDecoder, Polar5GEncoder

    encoder = Polar5GEncoder(bits, 2 * uses, device="cpu")
    decoder = Polar5GDecoder(encoder, "SCL", list_size=8, device="cpu")
    rng = np.random.default_rng(1)
    sent = rng.integers(0, 2, (1500, bits), dtype=np.uint8)
    signs = 1.0 - 2.0 * encoder(torch.from_numpy(sent.astype(np.float32))).numpy()
    ratios = likelihoods(*heard((signs[:, 0::2] + 1j * signs[:, 1::2]) / np.sqrt(2.0), snr_db, rng))
    theirs = (decoder(torch.from_numpy(-ratios.astype(np.float32))).numpy() != sent).any(1).sum()
    assert wrong(bits, uses, snr_db, 1500) < theirs


@pytest.mark.full
@pytest.mark.parametrize(("snr_db", "before", "after"), POLAR_PUBLISHED)
def test_a_published_curve_is_reached_within_a_fifth_of_a_decibel(snr_db: float, before: float, after: float) -> None:
    """aff3ct/error_rate_references, POLAR/AWGN/BPSK/SC/Polar_N1024_K512_SC_5G_intra_p32.txt: (1024, 512), list of 1."""
    import torch
    from sionna.phy.fec.polar import PolarEncoder, PolarSCDecoder
    from sionna.phy.fec.polar.utils import generate_5g_ranking

    frozen = generate_5g_ranking(512, 1024)[0]
    encoder, decoder = PolarEncoder(frozen, 1024, device="cpu"), PolarSCDecoder(frozen, 1024, device="cpu")
    generator, snr = torch.Generator().manual_seed(0), 10.0 ** (snr_db / 10.0)
    count = 4000
    sent = torch.randint(0, 2, (count, 512), generator=generator).float()
    noise = torch.randn((count, 1024), generator=generator) * math.sqrt(0.5 / snr)
    found = decoder(4.0 * snr * (2.0 * encoder(sent) - 1.0 + noise))
    low, high = interval(int((found != sent).any(1).sum()), count, 0.999)
    assert low <= before
    assert high >= after


@pytest.mark.parametrize(("bits", "uses", "order_bits"), [(52, 64, 2), (84, 32, 4), (68, 16, 6)])
def test_a_word_comes_back_at_unit_power(bits: int, uses: int, order_bits: int) -> None:
    code = LdpcQam(bits, uses, order_bits)
    words = np.random.default_rng(0).integers(0, 2, (32, bits), dtype=np.uint8)
    symbols = code.encode(words)
    assert symbols.shape == (32, uses)
    assert np.mean(np.abs(symbols) ** 2, 1) == pytest.approx(1.0, abs=1e-5)
    assert (code.decode(symbols, np.full(symbols.shape, 1e5, np.float32)) == words).all()
    assert lost_words(code, 30.0, 64) < 0.05  # though the scale of a word of 64-QAM is not sent
    with pytest.raises(ValueError, match="no rate for 200 bits"):
        LdpcQam(200, uses, 2)


@pytest.mark.parametrize("order_bits", [2, 6])
def test_pictures_come_through_one_by_one_as_all_at_once_and_what_is_lost_is_some_class(order_bits: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    form, size = FORMATS["jpeg-ldpc"](images.shape[1:]), 12
    brightness = Remembered(lambda pictures: pictures.reshape(len(pictures), -1).mean(1).astype(np.int64))
    codec = PictureCodec(
        form, LdpcQam(4 + 8 * size, 62, order_bits), Remembered(partial(form.pack, size=size)), brightness
    )
    wanted = brightness(form.unpack(form.pack(images, size)))
    assert (carry(Way(codec, 2), images, Place("awgn", "estimated", 64, 30.0), stream=0) == wanted).all()
    place = Place("awgn", "perfect", 62, 3.0 * order_bits - 5.0)
    soft = hear(Way(codec), send(Way(codec), images), place, 0, 0)
    together = codec.decode(soft.symbols, soft.gamma)
    alone = [codec.decode(x[None], g[None])[0] for x, g in zip(soft.symbols, soft.gamma, strict=True)]
    assert (together == alone).all()
    assert (codec.encode(images[3:4]) == codec.encode(images)[3]).all()
    lost = carry(Way(codec), images, Place("awgn", "perfect", 62, -20.0), stream=0)
    assert lost.shape == (12,)


LDPC_PUBLISHED = {1.5: 3.104e-1, 2.0: 1.539e-1, 2.5: 6.415e-2, 3.0: 2.076e-2, 3.5: 6.088e-3}
"""Eb/N0 in dB, which is Es/N0 at two code bits a symbol and rate 1/2, and the share of wrong words."""


@pytest.mark.full
@pytest.mark.parametrize("snr_db", [2.0, 2.5, 3.0])
def test_5g_ldpc_reaches_a_published_curve_within_a_fifth_of_a_decibel(snr_db: float) -> None:
    """(128, 64) of base graph 2, QPSK, 20 iterations: the table in "5G Channel Coding and Rate-Matching: Polar vs. LDPC
    Codes", a tutorial of NVlabs/sionna (10,000 words and more a point)."""
    lost = lost_words(LdpcQam(64, 64, 2), snr_db, 4000)
    at, logs = list(LDPC_PUBLISHED), [math.log(share) for share in LDPC_PUBLISHED.values()]
    before, after = (math.exp(np.interp(snr_db + away, at, logs)) for away in (-0.2, 0.2))
    assert after <= lost <= before
