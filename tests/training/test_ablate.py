"""Variants of the method, each trained once and compared in pairs."""

import json
import math
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from common.flags import numbers
from tests.model.pairs import tiny_pair
from tests.training.kinds import make
from training import ablate, fractions
from training.ablate import compute
from training.data.images import fingerprint, load_data
from training.distillation.pairs import write_changed
from training.distillation.request import Request
from training.experiments import shares, trials
from training.experiments.trials import Row, compared, grid, run
from training.experiments.variants import FULL, NAMES, Variant, variant
from training.recipes.recipe import Recipe, adjusted, load_recipe
from training.report.figures import draw

OPTIONS: dict[str, Any] = {"dataset": "digits", "split": "test", "teacher": None, "device": "cpu", "seeds": 1}


@pytest.mark.full
def test_a_finished_training_is_not_done_again_and_another_one_is(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, calls = grid(recipe, "6", 1, [3.0]), []
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
    other, load = replace(true, views=true.views + 1), trials.load_data

    def with_others(*given: Any) -> Any:
        train, validation, preprocess = load(*given)
        return train, validation.take(np.arange(len(validation) - 1)), preprocess

    monkeypatch.setattr(trials, "load_data", with_others)
    run(Variant(FULL, other), settings, OPTIONS)
    assert len(calls) == 4  # its tables would be of pictures that are no longer held out


def test_what_a_training_depends_on_trains_again_and_nothing_else_does(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training itself is a stub, which a kill may end; a checkpoint is there afterwards."""
    monkeypatch.chdir(tmp_path)
    teacher = make("ViT", tmp_path / "teacher", tuple("0123456789"))
    processor = json.loads((teacher / "preprocessor_config.json").read_text())
    data = fingerprint(load_data(recipe, "digits")[0])
    met, killed = list[bool](), [False]

    def distilled(_: Recipe, request: Request, *__: Any) -> None:
        checkpoint = request.run / "checkpoint.safetensors"
        met.append(checkpoint.exists())
        checkpoint.touch()
        if killed[0]:
            raise KeyboardInterrupt
        checkpoint.unlink()
        write_changed(tiny_pair(tmp_path / "any"), request.out, provenance={"data": data})
        (request.run / "metrics.jsonl").write_text('{"seconds": 1.0}\n')

    def trains(one: Variant, *, kill: bool = False) -> list[bool]:
        """Whether each training that this took met a checkpoint."""
        met.clear()
        killed[0] = kill
        with pytest.raises(KeyboardInterrupt) if kill else nullcontext():
            trials.trained(one, one.recipe, one.name, 0, OPTIONS | {"teacher": str(teacher)})
        return list(met)

    monkeypatch.setattr(trials, "distill", distilled)
    taught, alone = Variant("a", recipe), Variant("b", adjusted(recipe, hard=1.0))
    assert [trains(one) for one in (taught, alone, taught, alone)] == [[False], [False], [], []]
    (teacher / "preprocessor_config.json").write_text(json.dumps(processor | {"image_mean": [0.1] * 3}))
    assert [trains(one) for one in (taught, taught, alone)] == [[False], [], []]
    shutil.rmtree("build/ablate/digits/a")  # and the folder of its run is left
    assert [trains(taught), trains(taught)] == [[False], []]
    monkeypatch.setattr(trials, "code_sha256", lambda: "another")
    assert [trains(taught, kill=True), trains(taught, kill=True)] == [[False], [True]]
    monkeypatch.setattr(trials, "code_sha256", lambda: "a third")
    assert [trains(taught), trains(taught)] == [[False], []]


def test_every_setting_has_a_paired_interval() -> None:
    settings = grid(load_recipe("digits"), "4", 1, [0.0])
    right = np.random.default_rng(0).random((2, 2, 200))
    cost = (1000, 2_000_000)
    full, better = Row(FULL, right, [1.0], [1.0], *cost), Row("bank", right + 0.1, [1.0], [1.0], *cost)
    found = compared(better, full, settings)
    assert found["ci95"] == pytest.approx([10.0, 10.0])
    assert found["difference_over_seeds"] == pytest.approx([10.0, 10.0])
    assert found["settings"]["awgn 4 0"] == pytest.approx([100 * (right[:, 0].mean() + 0.1), 10.0, 10.0, 10.0])


@pytest.mark.parametrize("name", [*NAMES, FULL, "views 7", "encoding top3", "encoder 8/1/2"])
def test_a_variant_differs_from_the_method_in_what_its_name_says(recipe: Recipe, name: str) -> None:
    recipe = replace(recipe, embedding=16, loss=replace(recipe.loss, embedding=1.0))
    found = variant(recipe, name)
    assert found.name == name
    assert (found != Variant(name, recipe)) == (name != FULL)


def test_numbers_of_a_variant_reach_its_recipe(recipe: Recipe) -> None:
    assert variant(recipe, "views 7").recipe.views == 7
    assert variant(recipe, "encoding top3").recipe.encoding == "top3"
    assert variant(recipe, "embedding 32").recipe.embedding == 32
    shape = variant(recipe, "encoder 8/1/2").recipe.encoder
    assert (shape.width, shape.blocks, shape.stem_stride) == (8, 1, 2)


@pytest.mark.parametrize("name", ["views many", "views 0", "embedding 0", "encoder 8", "no such part", ""])
def test_an_unknown_variant_is_refused_in_one_line(recipe: Recipe, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no variant|at least 1|WIDTH,BLOCKS,STRIDE"):
        variant(recipe, name)


def test_accuracy_is_drawn_against_compute(tmp_path: Path) -> None:
    settings = grid(load_recipe("digits"), "4", 1, [0.0])
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


@pytest.mark.parametrize(
    ("words", "why"),
    [(("--symbols", "x"), "give numbers"), (("--symbols", "4,"), "give numbers"), (("--snr", "nan"), "--snr takes"),
     (("--symbols", "0"), "0 is not a rate"), (("--symbols", "4,5"), "5 is not a rate of this recipe: 2, 4, "),
     (("--snr", "4,x"), "--snr")],
)  # fmt: skip
@pytest.mark.parametrize("command", [ablate, fractions])
def test_what_makes_no_grid_is_refused_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, command: Any, words: tuple[str, str], why: str
) -> None:
    for module, name in ((trials, "distill"), (shares, "own_teacher")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("it was trained"))
    if words[0] in {option for one in command.main.params for option in one.opts}:
        with pytest.raises(ConfigError, match=why):
            CliRunner().invoke(command.main, words, obj={}, standalone_mode=False, catch_exceptions=False)


def test_what_is_given_twice_is_one(recipe: Recipe) -> None:
    assert [one.symbols for one in grid(recipe, "2,6,2", 1, [0.0])] == [2, 6] * 2
    assert numbers("snr", "5, 0,5,inf", float) == [5.0, 0.0, math.inf]
