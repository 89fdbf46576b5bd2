"""The examples of adding to training do what they say."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from common.images.datasets import load_images, load_splits
from common.pair.manifest import find_pair
from common.pair.shapes import Preprocess
from tests.examples import dataset, figure, softcast
from training import evaluate
from training.recipes.fitted import recipe_for
from training.systems.bench import Bench
from training.systems.entrance import open_codec
from training.systems.system import Place

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


def test_a_method_of_another_kind_is_a_class_in_a_file() -> None:
    digits = find_pair("digits")
    bench = Bench("quick", digits, "digits", load_images("digits", "test", digits.preprocess))
    system = open_codec(f"{softcast.__file__}:SoftCast").system(bench)
    assert system.name == "softcast"
    quiet, noisy, none = (
        system.measure(Place("awgn", "estimated", 16, snr_db), stream=0, seed=0).right.mean()
        for snr_db in (20.0, 3.0, -60.0)
    )
    assert quiet > 0.93 > noisy > 0.7
    assert none == pytest.approx(0.1, abs=0.08)
    codec = system.way(Place("awgn", "estimated", 16, 20.0)).codec
    many = codec.encode(bench.images[:20])
    alone = np.concatenate([codec.encode(bench.images[k : k + 1]) for k in range(20)])
    assert np.allclose(many, alone, atol=1e-12)
    assert codec.encode(np.zeros((1, 8, 8, 1), np.uint8)).shape == (1, 12)  # a black picture has unit power as well
