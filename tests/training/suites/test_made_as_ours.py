"""What is made as the pair was: a variant of its recipe, kept in half the bytes, found by the suite."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.pair.manifest import find_pair
from training.baseline import fit
from training.baselines.variants_of_ours import NAMES, make
from training.distillation.pairs import _halved, write_halved
from training.lab.evaluation import Lab
from training.suites.roster import NAMES as ALL
from training.systems import bench as benches
from training.systems.bench import Bench
from training.systems.ours import missing, setting_of, trained_otherwise
from training.systems.system import Place

PLACE = Place("awgn", "perfect", 16, 0.0)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.open("quick", "digits", "digits", most=60)


@pytest.mark.full
def test_a_variant_is_trained_where_the_suite_finds_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benches, "SHIPPED", tmp_path / "shipped")
    make(bench, "no-distillation", epochs=2)
    system = trained_otherwise(bench, "no-distillation")
    assert 0.1 < system.measure(PLACE, 0, 0).right.mean() < 1
    assert system.bench.manifest.provenance["loss"].startswith("LossSpec(hard=1.0")
    about = json.loads(bench.weights("no-distillation").with_suffix(".json").read_bytes())
    assert (about["epochs"], about["data"]) == (2, bench.data)
    assert about["command"] in missing(bench, "no-distillation")


def test_half_precision_is_half_the_bytes_and_decides_the_same(bench: Bench, tmp_path: Path) -> None:
    halved = write_halved(bench.manifest, tmp_path / "half")
    sizes = [sum(path.stat().st_size for path in one.path.glob("*.safetensors")) for one in (bench.manifest, halved)]
    assert sizes[1] < 0.55 * sizes[0]
    assert halved.id != bench.manifest.id
    setting = setting_of(PLACE, 16, 0)
    decided = [Lab(find_pair(one.path), bench.images).decide(setting, 0) for one in (bench.manifest, halved)]
    assert np.mean(decided[0] == decided[1]) > 0.95


def test_numbers_beyond_half_precision_are_kept_whole() -> None:
    large, small = np.array([7e4, -1.0], np.float32), np.array([6e4, -1.0], np.float32)
    assert [_halved(one).dtype for one in (large, small, np.arange(3))] == [np.float32, np.float16, np.int64]


def test_what_is_made_as_ours_is_a_system_of_every_suite() -> None:
    assert set(NAMES) <= set(ALL)


@pytest.mark.parametrize(("pair", "dataset"), [(None, "digits"), ("digits", "digits"), ("cifar10", None)])
def test_rivals_of_another_pair_are_fitted_to_its_own_images(
    pair: str | None, dataset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Bench, "open", lambda suite, pair, dataset, *rest: asked.append((suite, pair, dataset)))
    fit(
        [],
        {
            "suite": "quick",
            "pair": pair,
            "dataset": None,
            "teacher": None,
            "images": None,
            "skip_bad": False,
            "out": None,
        },
    )
    assert asked == [("quick", pair or "digits", dataset)]
