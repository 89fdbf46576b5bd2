"""The simplex and the Fano curve against what they are said to be."""

import numpy as np
import pytest

from training.baselines import label_code
from training.systems.bench import Bench
from training.systems.bounds import (
    FanoBound,
    SimplexBound,
    most_right,
    most_right_faded,
    told_right,
    told_right_at,
    told_right_faded,
)
from training.systems.system import Place


@pytest.mark.parametrize("labels", [2, 10, 100])
@pytest.mark.parametrize("snr_db", [-10, -3, 2])
def test_the_simplex_is_told_right_as_the_integral_says(labels: int, snr_db: float) -> None:
    assert told_right(snr_db, 64, labels) == pytest.approx(label_code.told_right(snr_db, 64, labels), abs=1e-8)


@pytest.mark.parametrize("snr_db", [-10, 0, 10, 20])
def test_over_rayleigh_fading_it_is_the_mean_over_the_gain(snr_db: float) -> None:
    gains = -np.log1p(-(np.arange(4000) + 0.5) / 4000)  # of equal probability
    each = told_right_at(np.sqrt(2 * 16 * 10 ** (snr_db / 10) * gains * 10 / 9), 10)
    assert told_right_faded(snr_db, 16, 10) == pytest.approx(each.mean(), abs=3e-4)
    fano = most_right(8 * np.log2(1 + gains * 10 ** (snr_db / 10)), 3.3, 10)
    assert most_right_faded(snr_db, 8, 3.3, 10) == pytest.approx(fano.mean(), abs=3e-4)


def test_fano_is_met_with_equality_and_ends_where_all_gets_through() -> None:
    entropy, labels = np.log2(10), 10
    bits = np.linspace(0, entropy, 50)
    wrong = 1 - most_right(bits, float(entropy), labels)
    inside = wrong[:-1]
    lost = -inside * np.log2(inside) - (1 - inside) * np.log2(1 - inside) + inside * np.log2(labels - 1)
    assert np.allclose(lost, (entropy - bits)[:-1], atol=1e-9)
    assert wrong[0] == pytest.approx(0.9)
    assert wrong[-1] == 0


@pytest.mark.parametrize("channel", ["awgn", "block-rayleigh"])
def test_no_label_code_passes_fano(channel: str) -> None:
    bench = Bench.open("quick", "digits", most=40)
    for n in (2, 8, 64):
        for snr_db in (-10.0, -3.0, 6.0, 20.0):
            place = Place(channel, "perfect", n, snr_db)
            simplex, fano = (one(bench).measure(place, 0, 0).right.mean() for one in (SimplexBound, FanoBound))
            assert simplex <= fano + 1e-12
