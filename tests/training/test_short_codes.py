"""Short codes: what was sent is found again, as often as theory or a published curve says."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import binomtest, norm

from training.baselines.linear_code import LinearCode, union_bound
from training.baselines.short_codes import ShortCode, code_of, likelihoods

REED_MULLER = [(2, 1, 4.0), (3, 2, 2.0), (4, 4, 0.0), (5, 8, -2.0), (6, 16, -5.0)]
POLAR = [(16, 16, 2.5), (24, 32, 0.5), (32, 32, 2.5), (32, 64, -2.0), (64, 64, 2.0)]
"""Bits, uses, SNR in dB."""
PUBLISHED = [
    (-1.31, 3.70e-1, 1.32e-1),
    (-1.01, 1.79e-1, 4.69e-2),
    (-0.71, 7.20e-2, 1.57e-2),
    (-0.51, 3.21e-2, 6.52e-3),
]
"""SNR in dB, and the share of wrong words that was published for 0.2 dB less and for 0.2 dB more."""
needs_sionna = pytest.mark.skipif(find_spec("sionna") is None, reason="Sionna is not installed (extra `baselines`)")


def heard(symbols: NDArray[np.complex64], snr_db: float, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Symbols off a Gaussian channel whose receiver knows all of it, equalised as `scrx` does: y snr/(1 + snr)."""
    snr = 10.0 ** (snr_db / 10.0)
    noise = rng.normal(size=(2, *symbols.shape)) * math.sqrt(0.5 / snr)
    y = (symbols + noise[0] + 1j * noise[1]) * (snr / (1.0 + snr))
    return y.astype(np.complex64), np.full(symbols.shape, snr, np.float32)


def wrong(bits: int, uses: int, snr_db: float, words: int, seed: int = 0) -> int:
    """How many of so many random words come out wrong."""
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, (words, bits), dtype=np.uint8)
    code = ShortCode(bits, uses)
    found = code.decode(*heard(code.encode(sent), snr_db, rng))
    return int((found != sent).any(1).sum())


def interval(count: int, of: int, level: float = 0.9999) -> tuple[float, float]:
    ci = binomtest(count, of).proportion_ci(level)
    return float(ci.low), float(ci.high)


def biorthogonal_wrong(bits: int, energy: float) -> float:
    """Proakis, Digital Communications, 5th ed., 4.4: 2^k words in 2^(k-1) dimensions, energy E/N0, coherent."""
    shift = math.sqrt(2.0 * energy)
    right = quad(lambda x: norm.pdf(x - shift) * (2.0 * norm.cdf(x) - 1.0) ** (2 ** (bits - 1) - 1), 0, shift + 9)[0]
    return 1.0 - right


@pytest.mark.parametrize(
    ("bits", "uses", "snr_db"), [(2, 1, 4.0), (3, 2, 2.0), (4, 4, 0.0), (5, 8, -2.0), (6, 16, -5.0)]
)
def test_first_order_reed_muller_codes_err_as_often_as_biorthogonal_words(bits: int, uses: int, snr_db: float) -> None:
    low, high = interval(wrong(bits, uses, snr_db, 20_000), 20_000)
    assert low <= biorthogonal_wrong(bits, uses * 10.0 ** (snr_db / 10.0)) <= high


def test_the_search_finds_the_codes_that_have_a_name() -> None:
    golay = LinearCode(12, 24).weights
    assert {w: int(golay[w]) for w in np.flatnonzero(golay)} == {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}
    for bits in range(2, 8):  # first-order Reed-Muller: all words but two lie half the length away
        half = 2 ** (bits - 2)
        weights = LinearCode(bits, 2 * half).weights
        assert (weights[0], weights[half], weights[2 * half]) == (1, 2**bits - 2, 1)
    for bits in range(2, 7):  # simplex: all words as far from each other as can be
        assert LinearCode(bits, 2**bits - 1).weights[2 ** (bits - 1)] == 2**bits - 1


@pytest.mark.parametrize(("bits", "uses"), [(1, 1), (3, 5), (7, 9), (8, 8), (10, 12), (12, 16), (12, 60)])
def test_a_searched_code_errs_between_its_nearest_word_and_its_union_bound(bits: int, uses: int) -> None:
    weights = code_of(bits, 2 * uses).weights  # type: ignore[union-attr]
    snr_db = next(db for db in np.arange(-20.0, 20.0, 0.5) if union_bound(weights, 10 ** (db / 10) / 2) < 0.1)
    low, high = interval(wrong(bits, uses, float(snr_db), 4000), 4000)
    nearest = int(np.flatnonzero(weights[1:])[0]) + 1
    assert low <= union_bound(weights, 10 ** (snr_db / 10) / 2)
    assert norm.sf(math.sqrt(nearest * 10 ** (snr_db / 10))) <= high


@pytest.mark.parametrize("seed", range(3))
def test_log_likelihood_ratios_are_as_sure_as_they_may_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, (500, 2 * 16), dtype=np.uint8)
    signs = 1.0 - 2.0 * sent
    symbols = ((signs[:, 0::2] + 1j * signs[:, 1::2]) / np.sqrt(2)).astype(np.complex64)
    ratios = likelihoods(*heard(symbols, float(rng.uniform(-6, 6)), rng))
    hopes = 1.0 / (1.0 + np.exp(np.abs(ratios)))
    errors = ((ratios < 0) != (sent > 0)).sum()
    assert abs(errors - hopes.sum()) < 4.5 * math.sqrt((hopes * (1 - hopes)).sum())


@pytest.mark.parametrize(("bits", "uses"), [(0, 8), (17, 8), (65, 64), (3, 65), (5, 2)])
def test_what_does_not_fit_is_refused(bits: int, uses: int) -> None:
    with pytest.raises(ValueError, match=f"not {bits} bits in {uses} uses"):
        ShortCode(bits, uses)


def without_noise(bits: int, uses: int) -> bool:
    rng = np.random.default_rng(bits * uses)
    sent = rng.integers(0, 2, (40, bits), dtype=np.uint8)
    code = ShortCode(bits, uses)
    symbols = code.encode(sent)
    assert symbols.shape == (40, uses)
    assert np.abs(symbols) == pytest.approx(1.0, abs=1e-6)
    found = code.decode(*heard(symbols, 30.0, rng))
    alone = np.concatenate([code.decode(*heard(row[None], 30.0, rng)) for row in symbols[:3]])
    return bool((found == sent).all() and (alone == sent[:3]).all())


@pytest.mark.parametrize("bits", [1, 2, 5, 9, 11])
def test_without_noise_every_bit_comes_back(bits: int) -> None:
    assert all(without_noise(bits, uses) for uses in {-(-bits // 2), bits, 13, 31})
    assert ShortCode(bits, 8).decode(np.zeros((0, 8), np.complex64), np.zeros((0, 8), np.float32)).shape == (0, bits)


@needs_sionna
def test_polar_codes_of_any_length_bring_every_bit_back() -> None:
    assert all(without_noise(*place) for place in ((13, 7), (16, 8), (20, 12), (24, 33), (37, 28), (64, 32), (64, 64)))


@needs_sionna
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


@needs_sionna
@pytest.mark.full
@pytest.mark.parametrize(("snr_db", "before", "after"), PUBLISHED)
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
