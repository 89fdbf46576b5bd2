"""What a pair promises is what its link does: tables of words and accuracy, and how sure an answer is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError
from common.images.datasets import load_images
from common.images.imageset import ImageSet
from common.pair.manifest import Manifest, find_pair
from training.distillation.pairs import measured_again, write_changed
from training.lab.evaluation import Lab, Setting
from training.report.metrics import reliability
from training.words import arrivals


@pytest.fixture(scope="module")
def digits() -> Manifest:
    return find_pair("digits")


@pytest.fixture(scope="module")
def validation(digits: Manifest) -> ImageSet:
    return load_images("digits", "validation", digits.preprocess)


def setting(channel: str, snr_db: float, symbols: int) -> Setting:
    """The link's own estimates; all symbols the word's."""
    return Setting(channel, "estimated", snr_db, symbols, 1, 0, 0, 3.9e-4, snr_db, features=0.0)


def test_the_tables_of_a_pair_are_what_its_link_does(
    digits: Manifest, validation: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To three deviations of 1,200 frames, and a noise power that a link has to estimate."""
    monkeypatch.setattr(arrivals, "DRAWS", 5000)
    measured = measured_again(digits, digits.layout, validation, tmp_path / "pair")
    lab, table = Lab(measured, validation.images), measured.accuracy
    for snr_db in (-8.0, -4.0, 0.0):
        for symbols in (4, 32):
            asked = setting("awgn", snr_db, symbols)
            right = np.mean([lab.decide(asked, stream) == validation.labels for stream in range(4)])
            promised = table.acc[digits.layout.rates.index(symbols)][table.snr_db.index(snr_db)]
            assert right == pytest.approx(promised, abs=0.045), (snr_db, symbols)


@pytest.mark.parametrize("channel", ["awgn", "block-rayleigh"])
def test_an_answer_is_as_often_right_as_it_is_sure(channel: str, digits: Manifest) -> None:
    """Expected calibration error over the test images, 16 and 32 symbols; the noise power is estimated, too."""
    images = load_images("digits", "test", digits.preprocess)
    lab, labels = Lab(digits, images.images), np.tile(images.labels, 2)
    for symbols in (16, 32):
        for snr_db, most in ((-4.0, 0.07), (0.0, 0.04), (8.0, 0.03)):
            answers = [lab.answer(setting(channel, snr_db, symbols), stream)[0] for stream in range(2)]
            assert reliability(np.concatenate(answers), labels).ece < most, (symbols, snr_db)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    labels = np.array([0, 0, 0, 1])
    sure = np.tile([np.log(0.9), np.log(0.1)], (4, 1))
    found = reliability(sure, labels)
    assert (found.ece, found.answers) == (pytest.approx(0.15), 4)
    assert found.bins == (pytest.approx((1.0, 0.9, 0.75)),)
    assert found.nll == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4)
    assert reliability(sure + 5.0, labels).ece == pytest.approx(found.ece)


def test_the_pair_in_use_is_not_written_over(digits: Manifest) -> None:
    with pytest.raises(ConfigError, match="own folder"):
        write_changed(digits, digits.path, layout=replace(digits.layout, pilots=4))
