"""A transmitter that is told a wrong SNR, or none: compared with one that is told the right one, image by image."""

import math
from typing import Any

import pytest

from common.errors import ConfigError
from common.pair.manifest import find_pair
from training.lab.evaluation import evaluate, plan

OPTIONS: dict[str, Any] = {
    "channel": "awgn", "csi": "estimated", "snr": "0", "symbols": "4", "told": "average", "words": "told", "seeds": 1,
    "seed": 0, "stream": 0, "doppler": 0.0,
}  # fmt: skip


def test_what_is_told_follows_the_average_or_is_fixed_or_nothing() -> None:
    found = plan(find_pair("digits"), {**OPTIONS, "snr": "3", "told": "average,average-12,average+6,-5,none"})
    assert [one.told_db for one in found][:4] == [3.0, -9.0, 9.0, -5.0]
    assert math.isnan(found[4].told_db)
    assert [one.told for one in found] == ["average", "average-12", "average+6", "-5", "none"]


def test_who_is_told_that_there_is_no_noise_sends_as_over_a_channel_with_hardly_any() -> None:
    """It had been told nothing, so that all symbols were the word's and the features stayed at home."""
    pair = find_pair("digits")
    settings = plan(pair, {**OPTIONS, "csi": "known", "snr": "60,inf", "symbols": "32"})
    good, perfect = evaluate(pair, settings, "digits", "test", "cpu")
    assert perfect.missed == pytest.approx(good.missed, abs=0.001)
    assert perfect.missed < 0.05


@pytest.mark.parametrize("wrong", ["loud", "average6dB", "average,,none", "average*2"])
def test_what_cannot_be_told_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="--told"):
        plan(find_pair("digits"), {**OPTIONS, "told": wrong})


def test_differences_are_paired_with_what_was_told_first_at_the_same_snr_and_rate() -> None:
    pair = find_pair("digits")
    settings = plan(pair, {**OPTIONS, "snr": "0,6", "told": "average,average+0,average+30"})
    points = {(one.snr_db, one.told): one for one in evaluate(pair, settings, "digits", "test", "cpu")}
    for snr in (0.0, 6.0):
        right, same, wrong = (points[snr, told] for told in ("average", "average+0", "average+30"))
        assert right.difference is None
        assert same.difference == (0.0, 0.0, 0.0)
        assert wrong.difference is not None
        assert wrong.difference[0] == pytest.approx(wrong.accuracy - right.accuracy)
        assert wrong.difference[1] <= wrong.difference[0] <= wrong.difference[2]


def test_a_word_as_long_as_the_channel_asks_for_is_ahead_of_any_fixed_length() -> None:
    """As often right as the best, to half a point; of the features it misses a tenth more than those at most."""
    pair = find_pair("digits")
    options = {**OPTIONS, "csi": "known", "symbols": "16", "seeds": 2, "words": "told,4,8,12,16"}
    points = evaluate(pair, plan(pair, {**options, "snr": "-6,0,6,12"}), "digits", "test", "cpu")
    for snr in (-6.0, 0.0, 6.0, 12.0):
        told, *fixed = (one for one in points if one.snr_db == snr)
        best = max(one.accuracy for one in fixed)
        assert told.accuracy > best - 0.005
        assert told.missed < 1.1 * min(one.missed for one in fixed if one.accuracy > best - 0.005)
    assert points[3].missed < 0.5 * points[-1].missed  # at 12 dB: told, and 16


@pytest.mark.parametrize("wrong", ["0", "33", "few", "told,,4"])
def test_a_word_of_no_length_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="--words"):
        plan(find_pair("digits"), {**OPTIONS, "words": wrong})
