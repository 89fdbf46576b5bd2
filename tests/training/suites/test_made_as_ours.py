"""What is made as the pair was: a variant of its recipe, kept in half the bytes, found by the suite."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training.student.end_to_end import Student
from training.student.shorter import start_from

from common.pair.manifest import find_pair
from training.baselines.variants_of_ours import BANK_SYMBOLS, NAMES, bank, make, recipe_of
from training.distillation.pairs import load_student, write_halved
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
    setting = setting_of(bench.manifest, PLACE, 16, 0)
    decided = [Lab(find_pair(one.path), bench.images).decide(setting, 0) for one in (bench.manifest, halved)]
    assert np.mean(decided[0] == decided[1]) > 0.95


def test_the_bank_is_of_one_rate_and_of_snrs_from_low_to_high(bench: Bench) -> None:
    members = bank(bench, recipe_of(bench, None))
    for name, member in members.items():
        assert member.recipe.layout.increments == (BANK_SYMBOLS,)
        assert f"{member.recipe.channel.snr_low_db:g}dB" == name == f"{member.recipe.channel.snr_high_db:g}dB"
    assert set(NAMES) <= set(ALL)


def test_a_shorter_ladder_begins_with_what_the_longer_one_knows_of_its_symbols(bench: Bench) -> None:
    """Features of the first symbols, and answers to them where nothing else has come."""
    longer = load_student(bench.manifest)
    increments = longer.shapes.layout.increments[:-1]
    shorter = Student(replace(longer.shapes, layout=replace(longer.shapes.layout, increments=increments)))
    start_from(shorter, longer)
    shorter.eval()
    random = torch.Generator().manual_seed(0)
    mine, theirs = (one.shapes.layout.max_symbols for one in (shorter, longer))
    images = torch.rand(5, 1, 8, 8, generator=random)
    symbols, gamma = torch.zeros(5, theirs, dtype=torch.complex64), torch.zeros(5, theirs)
    symbols[:, :mine] = torch.randn(5, mine, dtype=torch.complex64, generator=random)
    gamma[:, :mine] = torch.rand(5, mine, generator=random)
    with torch.no_grad():
        features, known = (one.encoder(images).unflatten(1, (2, -1)) for one in (shorter, longer))
        assert torch.allclose(features, known[..., :mine], atol=1e-5)
        answers = shorter.decoder(symbols[:, :mine], gamma[:, :mine])[0], longer.decoder(symbols, gamma)[0]
    assert torch.allclose(*answers, atol=1e-4)
