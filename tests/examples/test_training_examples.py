"""The examples of adding to training do what they say."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.images.datasets import load_splits
from common.pair.shapes import Preprocess
from tests.examples import dataset, figure
from training import evaluate
from training.recipes.fitted import recipe_for

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_data_set_of_ones_own_is_read_by_the_name_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "stripes"
    dataset.main(str(folder))
    fit = Preprocess(dataset.SIDE, dataset.SIDE, 1, (0.0,), (1.0,))
    train, validation, test = load_splits(str(folder), ("train", "validation", "test"), fit)
    assert set(train.classes) == set(test.classes) == set(dataset.CLASSES)
    assert len(train) + len(validation) == dataset.SPLITS["train"]
    assert len(test) == dataset.SPLITS["test"]
    assert test.images.shape[1:] == (dataset.SIDE, dataset.SIDE, 1)
    recipe, told = recipe_for(str(folder), None)
    assert (recipe.name, recipe.image.height, recipe.image.channels) == ("stripes", dataset.SIDE, 1)
    assert "180 grey pictures to train on, 3 classes" in told[0]


def test_a_figure_of_ones_own_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--csi", "estimated", "--symbols", "4,16", "--snr=-6,0", "--seeds", "1", "--json", "points.json"]
    done = CliRunner().invoke(evaluate.main, words, obj={}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    curves = figure.panel(json.loads(Path("points.json").read_text())["points"]).curves
    assert {curve.label: list(curve.x) for curve in curves} == {"-6 dB": [12, 24], "0 dB": [12, 24]}
    for curve in curves:
        assert all(low <= y <= high for low, y, high in zip(curve.low, curve.y, curve.high, strict=True))
        assert curve.y[0] < curve.y[1]
    figure.main("points.json", "figure.svg")
    assert Path("figure.svg").read_text().startswith("<?xml")
