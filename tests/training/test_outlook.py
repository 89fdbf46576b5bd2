"""How long it will take is timed on real steps, and timing changes nothing that is trained."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from training.data.images import load_data
from training.distillation import outlook
from training.loop import fit as loop
from training.loop.fit import Run, fit, pace
from training.recipes.recipe import Recipe
from training.recipes.specs import Schedule
from training.student.objective import Distillation, Objective

CPU = torch.device("cpu")


def begun(recipe: Recipe, folder: Path) -> tuple[Objective, Distillation, Run]:
    train, _, preprocess = load_data(recipe, "digits")
    torch.manual_seed(0)
    objective = Objective(recipe.encoder, 10, preprocess, recipe.loss)
    run = Run("student", folder, {}, train, recipe.view, recipe.views, recipe.schedule, 0, CPU, Console(quiet=True))
    return objective, Distillation(objective, train, None, CPU), run


def test_timing_a_few_steps_changes_no_weight_and_no_dice(recipe: Recipe, tmp_path: Path) -> None:
    weights = []
    for timed in (False, True):
        _, task, run = begun(recipe, tmp_path / str(timed))
        if timed:
            before = torch.random.get_rng_state()
            assert pace(task, run) > 0
            assert torch.equal(torch.random.get_rng_state(), before)
        weights.append(fit(task, run).weights)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_an_epoch_is_as_many_steps_as_it_has(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def steps(*_: Any) -> Iterator[float]:
        for _ in range(5):
            now[0] += 0.7
            yield 0.0

    monkeypatch.setattr(loop._Training, "steps", steps)
    _, task, run = begun(replace(recipe, schedule=Schedule(epochs=3, batch=100)), tmp_path)
    assert len(run.images) // 100 == 11
    assert pace(task, run) == pytest.approx(11 * 0.7)


@pytest.mark.parametrize(("seconds", "fixed", "chosen"), [((3.0, 1.0), 0, 1), ((1.0, 3.0), 0, 2), ((3.0, 1.0), 2, 2)])
def test_as_many_threads_are_taken_as_are_faster_now(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    seconds: tuple[float, float], fixed: int, chosen: int,
) -> None:  # fmt: skip
    torch.set_num_threads(2)
    monkeypatch.setattr(outlook, "pace", lambda *_: seconds[0] if torch.get_num_threads() == 2 else seconds[1])
    _, task, run = begun(recipe, tmp_path)
    assert outlook._pace_on_threads(task, run, fixed) == (seconds[0] if chosen == 2 else seconds[1])
    assert torch.get_num_threads() == chosen


def test_every_stage_is_told_with_its_passes(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = replace(recipe, teacher=replace(recipe.teacher, schedule=Schedule(epochs=5, batch=256)))
    monkeypatch.setattr(outlook, "pace", lambda task, run: 60.0)
    objective, _, run = begun(stages, tmp_path)
    total = outlook.announce(stages, objective, run.images, run, Console(quiet=True), own_teacher=True)
    said = capsys.readouterr().err
    assert "teacher 5 min" in said
    assert "student 3 min" in said
    assert total == pytest.approx(8 * 60, rel=0.05)
    outlook.announce(stages, objective, run.images, run, Console(quiet=True), own_teacher=False)
    assert "teacher" not in capsys.readouterr().err
    assert all(one.requires_grad for one in objective.encoder.parameters())
