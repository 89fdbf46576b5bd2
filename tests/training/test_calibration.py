"""Temperatures: fitted where confidence is wrong, kept in the manifest, applied by the receiver to what it reports."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import ConfigError, ModelError
from common.images.datasets import load_images
from common.pair.manifest import Manifest, find_pair
from common.pair.shapes import Calibration
from scrx.decoding.answerer import Answerer
from scrx.decoding.tasks import snr_bins
from tests.model.pairs import LAYOUT, tiny_pair, tiny_student
from training.distillation.measure import EDGES_DB, calibrate
from training.distillation.pairs import load_student, trained_under, write_changed
from training.experiments.reliability import Row, panels
from training.recipes.specs import Conditions
from training.report.metrics import Reliability, reliability

FITTED = Calibration((0.0,), ((0.5, 1.0), (2.0, 4.0)))


@pytest.fixture
def pair(tmp_path: Path) -> Manifest:
    return tiny_pair(tmp_path / "pair")


def confidences(manifest: Manifest, gamma: np.ndarray) -> np.ndarray:
    symbols = np.where(gamma > 0, 1.0, 0.0).astype(np.complex64)
    rows = Answerer(manifest).answer(symbols, gamma.astype(np.float32), [("classify",)] * len(gamma))
    return np.array([row["classify"]["confidence"] for row in rows])


def test_the_receiver_divides_by_the_temperature_of_rate_and_snr(pair: Manifest, tmp_path: Path) -> None:
    """Rate 0 is 2 symbols, rate 1 all 6; below and above 0 dB."""
    gamma = np.array([[0.1, 0.1, 0, 0, 0, 0], [10, 10, 0, 0, 0, 0], [0.1] * 6, [10.0] * 6])
    logits = []
    for row in gamma:
        symbols = torch.from_numpy(np.where(row > 0, 1.0, 0.0).astype(np.complex64))[None]
        with torch.no_grad():
            logits.append(
                load_student(pair).decoder(symbols, torch.from_numpy(row.astype(np.float32))[None])[1]["classify"]
            )
    expected = [float((row / t).softmax(-1).max()) for row, t in zip(logits, (0.5, 1.0, 2.0, 4.0), strict=True)]
    assert confidences(write_changed(pair, tmp_path / "fitted", calibration=FITTED), gamma) == pytest.approx(expected)
    assert confidences(pair, gamma) == pytest.approx([float(row.softmax(-1).max()) for row in logits])


def test_bins_look_at_what_was_received_only() -> None:
    gamma = np.array([[4.0, 4.0, 0.0, 0.0], [4.0, 4.0, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]], np.float32)
    assert snr_bins(gamma, (5.0,)).tolist() == [1, 0, 0]


def test_a_manifest_keeps_its_temperatures_and_one_without_stays_valid(pair: Manifest, tmp_path: Path) -> None:
    fitted = write_changed(pair, tmp_path / "fitted", calibration=FITTED)
    assert find_pair(tmp_path / "fitted") == fitted
    assert fitted.calibration == FITTED
    assert (pair.calibration, "calibration" in json.loads((pair.path / "manifest.json").read_text())) == (None, False)
    assert fitted.id != pair.id
    assert (fitted.path / "encoder.safetensors").read_bytes() == (pair.path / "encoder.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("edges", "table", "says"),
    [((0.0,), ((1.0,), (1.0,)), "needs 2 temperatures"), ((3.0, 0.0), ((1.0,) * 3,) * 2, "ascend"),
     ((), ((0.0,), (1.0,)), "outside 0.01 to 100"), ((), ((1.0,),), "has 1 rates, not 2")],
)  # fmt: skip
def test_wrong_temperatures_are_refused(pair: Manifest, tmp_path: Path, edges: tuple, table: tuple, says: str) -> None:
    wrong = {"edges_db": edges, "temperature": table}
    with pytest.raises(ModelError, match=says):
        write_changed(pair, tmp_path / "wrong", calibration=wrong)


def test_the_pair_in_use_is_not_written_over(pair: Manifest) -> None:
    with pytest.raises(ConfigError, match="own folder"):
        write_changed(pair, pair.path, calibration=FITTED)


def test_temperatures_undo_logits_that_are_too_large() -> None:
    """Logits twice as large need twice the temperature, at every rate and SNR."""
    shipped = find_pair("digits")
    images = load_images("digits", "validation", shipped.preprocess).take(np.arange(128))
    once, twice = load_student(shipped), load_student(shipped)
    head = twice.decoder.heads["classify"]
    with torch.no_grad():
        head.weight *= 2.0
        head.bias *= 2.0
    found = [calibrate(student, images, shipped.preprocess, Conditions(), 0) for student in (once, twice)]
    assert found[0].edges_db == EDGES_DB
    ratios = np.array(found[1].temperature) / np.array(found[0].temperature)
    assert ratios == pytest.approx(np.full(ratios.shape, 2.0), rel=0.03)


def test_temperatures_are_fitted_under_the_channels_that_are_given(pair: Manifest) -> None:
    """The whole range in the highest bin: no other has answers of its own, so all take what the rate has."""
    images = load_images("digits", "validation", pair.preprocess).take(np.arange(128))
    strong = Conditions(snr_low_db=40.0, snr_high_db=45.0, rayleigh=0.0)
    fitted, usual = (calibrate(load_student(pair), images, pair.preprocess, c, 0) for c in (strong, Conditions()))
    assert all(len(set(row)) == 1 for row in fitted.temperature)
    assert any(len(set(row)) > 1 for row in usual.temperature)


def test_the_channels_of_training_are_those_of_the_provenance(pair: Manifest) -> None:
    told = replace(pair, provenance={"channel": '{"snr_low_db": 3.0, "rayleigh": 1.0}'})
    assert trained_under(told) == Conditions(snr_low_db=3.0, rayleigh=1.0)
    assert trained_under(pair) == Conditions()
    with pytest.raises(ModelError, match=r"provenance\.channel is damaged"):
        trained_under(replace(pair, provenance={"channel": '{"colour": 1}'}))


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    labels = np.array([0, 0, 0, 1])
    sure = np.tile([np.log(0.9), np.log(0.1)], (4, 1))
    found = reliability(sure, labels)
    assert (found.ece, found.answers) == (pytest.approx(0.15), 4)
    assert found.bins == (pytest.approx((1.0, 0.9, 0.75)),)
    assert found.nll == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4)
    assert reliability(sure + 5.0, labels).ece == pytest.approx(found.ece)


def test_the_diagram_has_a_curve_for_each_rate_before_and_after() -> None:
    wrong, right = (Reliability(ece, 0.5, 9, ((1.0, 0.9, 0.9 - ece),)) for ece in (0.15, 0.01))
    rows = [Row(symbols, (1.0,), wrong, right, {}) for symbols in (4, 16)]
    before, after = panels(rows)
    assert [curve.label for curve in before.curves] == [curve.label for curve in after.curves] == [
        "4 symbols", "16 symbols",
    ]  # fmt: skip
    assert [(*curve.x, *curve.y) for curve in before.curves] == [(0.9, 0.75)] * 2
    assert after.title.endswith("1.0 to 1.0 %")


def test_a_student_is_loaded_as_it_was_written(pair: Manifest) -> None:
    images = torch.zeros(1, 1, 8, 8)
    assert torch.equal(load_student(pair).encoder(images), tiny_student().encoder(images))
    assert load_student(replace(pair, layout=replace(LAYOUT, pilots=2))).shapes.layout.pilots == 2
