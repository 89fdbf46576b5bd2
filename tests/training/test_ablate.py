"""A bank of models: each trained for one SNR and rate alone, and asked nowhere else."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError
from common.pair.manifest import find_pair
from training.ablate import compute
from training.experiments import trials
from training.experiments.trials import Row, compared, grid, run
from training.experiments.variants import FULL, NAMES, OPTIONAL, Variant, dedicated, variant
from training.recipes.recipe import Recipe, load_recipe
from training.report.figures import draw

OPTIONS: dict[str, Any] = {"dataset": "digits", "split": "test", "teacher": None, "device": "cpu", "seeds": 1}


def test_each_model_of_a_bank_answers_at_its_own_snr_and_rate_only(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = grid("2,6", 1, [0.0, 9.0])
    digits = find_pair("digits")
    made: list[tuple[float, tuple[int, ...], str]] = []

    def trained(variant: Variant, one: Recipe, name: str, seed: int, options: dict[str, Any]) -> Any:
        assert one.channel.snr_low_db == one.channel.snr_high_db
        made.append((one.channel.snr_low_db, one.layout.increments, name))
        return digits, 1.0

    def answered(manifest: Any, mine: list[Any], options: dict[str, Any]) -> list[Any]:
        snr, increments, _ = made[-1]
        assert {(one.snr_db, one.symbols) for one in mine} == {(snr, *increments)}
        assert len(mine) == 2
        return [np.full(3, settings.index(one)) for one in mine]

    monkeypatch.setattr(trials, "trained", trained)
    monkeypatch.setattr(trials, "answered", answered)
    row = run(Variant("bank", recipe, bank=True), settings, {**OPTIONS, "seeds": 2})
    assert row.right.shape == (2, 8, 3)
    assert row.right[1, :, 0].tolist() == list(range(8))
    assert len({name for _, _, name in made}) == len(made) == 2 * 4


@pytest.mark.parametrize(("name", "told"), [(FULL, 3.0), ("never told the SNR", None)])
def test_who_was_never_told_in_training_is_not_told_when_asked(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, name: str, told: float | None
) -> None:
    heard: list[float] = []

    def answered(manifest: Any, mine: list[Any], options: dict[str, Any]) -> list[Any]:
        heard.extend(one.told_db for one in mine)
        return [np.zeros(3)] * len(mine)

    monkeypatch.setattr(trials, "trained", lambda *_: (find_pair("digits"), 1.0))
    monkeypatch.setattr(trials, "answered", answered)
    run(variant(recipe, name), grid("6", 1, [3.0]), OPTIONS)
    assert [None if math.isnan(one) else one for one in heard] == [told] * 2


def test_a_dedicated_model_shares_the_store_and_knows_one_rate(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    row = run(Variant("bank", recipe, bank=True), grid("6", 1, [3.0]), OPTIONS)
    pair = find_pair(tmp_path / "build/ablate/digits/bank-3-dB-6-0")
    assert pair.layout.rates == (6,)
    trained_at = json.loads(pair.provenance["channel"])
    assert (trained_at["snr_low_db"], trained_at["snr_high_db"]) == (3.0, 3.0)
    assert row.right.shape == (1, 2, 360)
    assert f"{row.parameters:,} parameters, {row.macs / 1e6:.1f} MMAC" == pair.provenance["transmitter"]
    run(Variant(FULL, recipe), grid("6", 1, [3.0]), OPTIONS)
    assert len(list((tmp_path / "build/stores").iterdir())) == 1
    assert dedicated(recipe, 3.0, 6).view == recipe.view


@pytest.mark.full
def test_a_finished_training_is_not_done_again_and_another_one_is(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, calls = grid("6", 1, [3.0]), []
    true = replace(recipe, loss=replace(recipe.loss, hard=1.0))

    def counted(*args: Any) -> Any:
        calls.append(args)
        return whole(*args)

    whole = trials.distill
    monkeypatch.setattr(trials, "distill", counted)
    first = run(Variant(FULL, true), settings, OPTIONS)
    again = run(Variant(FULL, true), settings, OPTIONS)
    assert len(calls) == 1
    assert np.array_equal(first.right, again.right)
    run(Variant(FULL, replace(true, views=true.views + 1)), settings, OPTIONS)
    assert len(calls) == 2

    def killed(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "distill", killed)
    with pytest.raises(KeyboardInterrupt):
        run(Variant(FULL, true), settings, OPTIONS)
    monkeypatch.setattr(trials, "distill", counted)
    run(Variant(FULL, replace(true, views=true.views + 1)), settings, OPTIONS)
    assert len(calls) == 3  # the one that was begun in its place may have left half a pair


def test_every_setting_has_a_paired_interval() -> None:
    settings = grid("4", 1, [0.0])
    right = np.random.default_rng(0).random((2, 2, 200))
    cost = (1000, 2_000_000)
    full, better = Row(FULL, right, [1.0], [1.0], *cost), Row("bank", right + 0.1, [1.0], [1.0], *cost)
    found = compared(better, full, settings)
    assert found["ci95"] == pytest.approx([10.0, 10.0])
    assert found["difference_over_seeds"] == pytest.approx([10.0, 10.0])
    assert found["settings"]["awgn 4 0"] == pytest.approx([100 * (right[:, 0].mean() + 0.1), 10.0, 10.0, 10.0])


@pytest.mark.parametrize("name", [*NAMES, FULL, "views 7", "beta 0.003", "encoder 8/1/2"])
def test_a_variant_differs_from_the_method_in_what_its_name_says(recipe: Recipe, name: str) -> None:
    found = variant(recipe, name)
    assert found.name == name
    assert (found != Variant(name, recipe)) == (name != FULL)


def test_what_a_recipe_has_can_be_left_out_and_what_it_has_not_cannot() -> None:
    full = load_recipe("cifar10")
    assert variant(full, "without auxiliary classifier").recipe.loss == replace(full.loss, auxiliary=0.0)
    assert variant(full, "without second stage").recipe == replace(full, decisions=None)
    plain = replace(full, loss=replace(full.loss, auxiliary=0.0), decisions=None)
    for name in OPTIONAL:
        with pytest.raises(ConfigError, match=f"no variant '{name}'"):
            variant(plain, name)


def test_numbers_of_a_variant_reach_its_recipe(recipe: Recipe) -> None:
    assert variant(recipe, "views 7").recipe.views == 7
    assert variant(recipe, "beta 0.003").recipe.loss.beta == 0.003
    shape = variant(recipe, "encoder 8/1/2").recipe.encoder
    assert (shape.width, shape.blocks, shape.stem_stride) == (8, 1, 2)


@pytest.mark.parametrize("name", ["views many", "views 0", "beta", "encoder 8", "no such part", ""])
def test_an_unknown_variant_is_refused_in_one_line(recipe: Recipe, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no variant|at least 1|WIDTH,BLOCKS,STRIDE"):
        variant(recipe, name)


def test_accuracy_is_drawn_against_compute(tmp_path: Path) -> None:
    settings = grid("4", 1, [0.0])
    small, large = (
        Row(f"encoder {n}", np.full((1, 2, 9), 0.1 * n), [1.0], [1.0], 1000 * n, 2_000_000 * n) for n in (1, 4)
    )
    panel = compute([compared(row, large, settings) for row in (large, small)])
    assert [(one.label, one.x, one.y) for one in panel.curves] == [
        (f"{channel}, 4 symbols, 0 dB", [2.0, 8.0], [pytest.approx(10.0), pytest.approx(40.0)])
        for channel in ("awgn", "block-rayleigh")
    ]
    draw(tmp_path / "new" / "compute.png", [[panel]])
    assert (tmp_path / "new" / "compute.png").read_bytes().startswith(b"\x89PNG")
