"""The keyed white noise is Gaussian, white, seekable, and independent between keys."""

import numpy as np
import pytest
from scipy import stats

from common.channel.models.noise import BLOCK, WhiteNoise


@pytest.mark.slow
def test_noise_is_gaussian_of_unit_power_in_both_dimensions() -> None:
    n = 1_000_000
    w = WhiteNoise(1, 2).samples(0, n)
    assert 10 * np.log10(np.mean(np.abs(w.astype(np.complex128)) ** 2)) == pytest.approx(0.0, abs=5 * 4.343 / n**0.5)
    for part in (w.real, w.imag):
        assert stats.kstest(part * 2**0.5, "norm").statistic < 1.95 / n**0.5  # 0.1 %
    assert abs(np.mean(w.real * w.imag)) * 2 < 5 / n**0.5


def test_tails_reach_as_far_as_they_should() -> None:
    n = 2_000_000
    power = np.abs(WhiteNoise(3).samples(0, n)) ** 2
    assert 0.8 < np.count_nonzero(power > 9) / (n * np.exp(-9)) < 1.2  # 247 expected, 3 sigma
    assert np.log(n) - 2 < power.max() < np.log(n) + 7


def test_noise_is_white() -> None:
    n = 1 << 20
    w = WhiteNoise(5).samples(0, n).astype(np.complex128)
    spectrum = np.abs(np.fft.fft(w, 2 * n)) ** 2
    correlation = np.fft.ifft(spectrum)[1:1001] / n
    assert np.max(np.abs(correlation)) < 5 / n**0.5


def test_any_cut_gives_the_same_samples() -> None:
    whole = WhiteNoise(7, 1).samples(0, 5 * BLOCK)
    cut = WhiteNoise(7, 1)
    sizes = np.random.default_rng(0).integers(1, 3000, 100)
    at, pieces = 100, []
    for size in sizes:
        if at + size > whole.size:
            break
        pieces.append(cut.samples(at, int(size)))
        at += int(size)
    np.testing.assert_array_equal(np.concatenate(pieces), whole[100:at])


def test_far_samples_cost_no_more_than_near_ones() -> None:
    far = 1_000_000_000
    np.testing.assert_array_equal(WhiteNoise(1).samples(far, 10), WhiteNoise(1).samples(far - 5000, 5010)[5000:])


def test_other_keys_are_other_processes() -> None:
    n = 100_000
    streams = np.stack([WhiteNoise(0, 0, stream).samples(0, n) for stream in range(20)])
    cross = np.abs(streams @ streams.conj().T) / n
    assert np.max(cross[~np.eye(20, dtype=bool)]) < 5 / n**0.5


def test_the_integers_behind_the_noise_never_change() -> None:
    w = WhiteNoise(0, 0, 0, 0).samples(0, 3)
    expected = [-0.12805907 + 0.76407099j, -0.17198524 + 0.69317788j, -0.69313937 + 0.5741508j]
    np.testing.assert_allclose(w, expected, rtol=1e-6)
