"""The second stage: the body stays, and noise changes fewer decisions than before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from training.student.air import draw
from training.student.decisions import Decisions, without_noise
from training.student.end_to_end import Shapes, Student

from common.errors import ConfigError
from common.images.datasets import ImageSet, load_images
from common.pair.shapes import Preprocess
from sctx.encoder import normalise
from training.distillation.measure import features_of
from training.loop.fit import Run, fit
from training.recipes.recipe import Recipe
from training.recipes.specs import Conditions, DecisionSpec, Schedule
from training.student.objective import Distillation, Objective

CPU = torch.device("cpu")
PREPROCESS = Preprocess(8, 8, 1, (0.3,), (0.4,))


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return load_images("digits", "train")


def fitted(task: Distillation, recipe: Recipe, images: ImageSet, folder: Path, epochs: int) -> None:
    schedule = Schedule(epochs=epochs, batch=128)
    run = Run("test", folder, {}, images, recipe.view, recipe.views, schedule, 0, CPU, Console(quiet=True))
    task.objective.load_state_dict(fit(task, run).weights)


def flips(student: Student, images: ImageSet, snr_db: float) -> float:
    """Share of images whose answer, to all symbols, noise changes."""
    features, _ = features_of(student, images, PREPROCESS)
    known = Conditions(snr_db, snr_db, rayleigh=0.0, missing=0.0, report_error_db=0.0)
    drawn = draw(len(features), student.shapes.layout, known, torch.Generator().manual_seed(9))
    with torch.no_grad():
        noisy, clean = (student.from_features(features, one)[0][-1].argmax(-1) for one in (drawn, without_noise(drawn)))
    return float((noisy != clean).float().mean())


def test_decisions_bear_more_noise_and_the_body_stays(recipe: Recipe, images: ImageSet, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = Student(Shapes(recipe.layout, recipe.order, 1, 10, recipe.encoder, recipe.decoder))
    objective = Objective(student, PREPROCESS, replace(recipe.loss, hard=1.0))
    fitted(Distillation(objective, images, recipe.channel, None, CPU), recipe, images, tmp_path / "first", 12)
    held = load_images("digits", "validation")
    before, body = flips(student, held, 0.0), {k: v.clone() for k, v in student.encoder.state_dict().items()}
    task = Distillation(Decisions(student, PREPROCESS, 0.5), images, recipe.channel, None, CPU)
    fitted(task, recipe, images, tmp_path / "second", 12)
    assert flips(student, held, 0.0) < before
    moved = {name for name, tensor in student.encoder.state_dict().items() if not torch.equal(tensor, body[name])}
    assert moved == {"head.weight", "head.bias"}


def test_an_auxiliary_classifier_learns_beside_and_its_answer_is_then_kept(
    recipe: Recipe, images: ImageSet, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    student = Student(Shapes(recipe.layout, recipe.order, 1, 10, recipe.encoder, recipe.decoder))
    objective = Objective(student, PREPROCESS, replace(recipe.loss, hard=1.0, auxiliary=1.0))
    fitted(Distillation(objective, images, recipe.channel, None, CPU), recipe, images, tmp_path / "first", 12)
    second = Decisions(student, PREPROCESS, 0.5, objective.auxiliary)
    pixels = torch.from_numpy(load_images("digits", "validation").images)
    with torch.no_grad():
        pooled = student.encoder.pooled(normalise(pixels, PREPROCESS.mean, PREPROCESS.std))
        nothing = draw(len(pixels), recipe.layout, recipe.channel, torch.Generator())
        before = second.own(pooled, nothing)
    labels = torch.from_numpy(load_images("digits", "validation").labels)
    assert (before.argmax(-1) == labels).float().mean() > 0.5  # it has learnt, with no channel
    task = Distillation(second, images, recipe.channel, None, CPU)
    fitted(task, recipe, images, tmp_path / "second", 3)
    with torch.no_grad():
        assert torch.equal(second.own(pooled, nothing), before)
    assert not any("auxiliary" in name for name in student.state_dict())


def test_without_noise_the_answer_does_not_depend_on_the_channel(recipe: Recipe, images: ImageSet) -> None:
    student = Student(Shapes(recipe.layout, recipe.order, 1, 10, recipe.encoder, recipe.decoder)).eval()
    features, _ = features_of(student, images.take(np.arange(50)), PREPROCESS)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        answers = [
            student.from_features(features, without_noise(draw(50, recipe.layout, recipe.channel, random)))[0][-1]
            for _ in range(2)
        ]
    assert torch.allclose(*answers, atol=0.05)


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"decisions\.tau must be above 0"):
        DecisionSpec(tau=0.0)
