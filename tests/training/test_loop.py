"""The training loop: resumable bit for bit, the same examples on any number of processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console

from common.images.datasets import load_images
from common.images.imageset import ImageSet
from common.pair.shapes import Preprocess
from training.loop import fit as loop
from training.loop.fit import Fitted, Run, fit, one_cycle
from training.recipes.recipe import Recipe
from training.student.objective import Distillation, Objective

CPU = torch.device("cpu")
PREPROCESS = Preprocess(8, 8, 1, (0.3,), (0.4,))


class Killed(Exception):
    """Stands for kill -9."""


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return load_images("digits", "train").take(np.arange(300))


def train(recipe: Recipe, images: ImageSet, folder: Path, die_at: int | None = None, seed: int = 0) -> Fitted:
    torch.manual_seed(seed)
    objective = Objective(recipe.encoder, 10, PREPROCESS, replace(recipe.loss, hard=1.0))
    task = Distillation(objective, images, None, CPU)
    if die_at is not None:
        task.start_view = dying(die_at)  # type: ignore[method-assign]
    return fit(task, run_of(recipe, images, folder, seed))


def run_of(recipe: Recipe, images: ImageSet, folder: Path, seed: int = 0) -> Run:
    identity = {"recipe": recipe.plain()}
    return Run("test", folder, identity, images, recipe.view, recipe.views, recipe.schedule, seed, CPU,
               Console(quiet=True))  # fmt: skip


def dying(at: int) -> Any:
    calls = iter(range(1000))

    def start_view(view: int) -> None:
        if next(calls) == at:
            raise Killed

    return start_view


@pytest.fixture
def recipe5(recipe: Recipe) -> Recipe:
    return replace(recipe, schedule=replace(recipe.schedule, epochs=5, batch=100))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every epoch."""
    monkeypatch.setattr(loop, "CHECKPOINT_S", -1.0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
@pytest.mark.parametrize("kills", [(1,), (4,), (2, 1, 1)])
def test_a_killed_run_ends_bit_for_bit_the_same(
    recipe5: Recipe, images: ImageSet, tmp_path: Path, kills: tuple[int, ...], optimiser: Literal["adamw", "muon"]
) -> None:
    recipe5 = replace(recipe5, schedule=replace(recipe5.schedule, optimiser=optimiser))
    whole = train(recipe5, images, tmp_path / "whole")
    for at in kills:
        with pytest.raises(Killed):
            train(recipe5, images, tmp_path / "killed", die_at=at)
    again = train(recipe5, images, tmp_path / "killed")
    assert whole.weights.keys() == again.weights.keys()
    for name, tensor in whole.weights.items():
        assert torch.equal(tensor, again.weights[name]), name


def test_a_finished_run_is_kept_until_it_is_forgotten(recipe5: Recipe, images: ImageSet, tmp_path: Path) -> None:
    """Killed between the last epoch and the file that its weights go to, nothing is trained twice."""
    whole = train(recipe5, images, tmp_path)
    again = train(recipe5, images, tmp_path, die_at=0)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in whole.weights.items())
    run_of(recipe5, images, tmp_path).forget()
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.usefixtures("always")
def test_a_checkpoint_of_another_run_is_not_taken_up(recipe5: Recipe, images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(recipe5, images, tmp_path, die_at=3)
    fresh = train(recipe5, images, tmp_path / "fresh", seed=1)
    other = train(recipe5, images, tmp_path, seed=1)
    assert all(torch.equal(tensor, other.weights[name]) for name, tensor in fresh.weights.items())


@pytest.mark.usefixtures("always")
def test_a_damaged_checkpoint_means_starting_anew(recipe5: Recipe, images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(recipe5, images, tmp_path, die_at=3)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    whole, again = train(recipe5, images, tmp_path / "whole"), train(recipe5, images, tmp_path)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in whole.weights.items())


def test_the_batch_is_drawn_before_it_is_split(recipe: Recipe, images: ImageSet) -> None:
    """Two processes see the two halves of the batch that one process sees: pixels and labels."""
    task = Distillation(Objective(recipe.encoder, 10, PREPROCESS, recipe.loss), images, None, CPU)
    index: NDArray[np.int64] = np.arange(0, 40, dtype=np.int64)

    def arguments(rows: slice) -> tuple[Any, ...]:
        return task.arguments(images.images[index[rows]], index, rows, torch.Generator().manual_seed(3))

    whole = arguments(slice(0, 40))
    halves = [arguments(slice(0, 20)), arguments(slice(20, 40))]
    for k in range(3):
        assert torch.equal(whole[k], torch.cat([half[k] for half in halves]))


def test_the_rate_rises_and_falls() -> None:
    rates = [one_cycle(k / 100) for k in range(101)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 10
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
