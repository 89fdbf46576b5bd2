"""One distillation, stage by stage: teacher -> store -> student -> second stage -> accuracy table -> pair.

Knows nothing about the command line. What is there already is used again (`reuse.py`, `soft.py`).
"""

from dataclasses import replace
from typing import Any

import torch
from rich.console import Console

from common.console import tell
from common.images.datasets import ImageSet
from common.pair.device import pick_device
from common.pair.manifest import Manifest
from common.pair.shapes import Preprocess
from training.data.images import load_data
from training.distillation.accuracy_table import panel, show
from training.distillation.measure import calibrate, measure, transmitter_cost
from training.distillation.outlook import announce
from training.distillation.pairs import load_student, write_student
from training.distillation.provenance import provenance
from training.distillation.request import BUILD, Request
from training.distillation.reuse import needs_teacher, pair_made_of, pair_place
from training.distillation.soft import soft_labels, soft_name
from training.export.tracing import finish
from training.knowledge.embedding import MOST_COMPONENTS
from training.loop.fit import Run, fit
from training.loop.journal import CURVE, draw_curve
from training.loop.machine import process
from training.recipes.recipe import Recipe
from training.report.figures import draw
from training.student.decisions import Decisions
from training.student.end_to_end import Shapes, Student
from training.student.objective import Distillation, Objective
from training.student.shorter import start_from


def distill(recipe: Recipe, request: Request, console: Console) -> Manifest | None:
    """The pair as it lies on disk, its figures beside its checkpoint. None on all processes but the first."""
    device = pick_device(request.device, recipe.threads)
    train, validation, preprocess = load_data(recipe, request.dataset, request.skip_bad)
    tell(f"data: {request.dataset}, {len(train)} to train on, {len(validation)} to validate")
    made_of = pair_made_of(recipe, train)
    out = pair_place(recipe.name, made_of, request.out)
    torch.manual_seed(request.seed)
    objective = untrained(recipe, train, preprocess)
    begun: dict[str, Any] = {}
    if request.start is not None:
        start_from(objective.student, load_student(request.start))
        begun = {"start": request.start.id}
    run = Run("student", request.run or BUILD / "runs" / out.name, {}, train, recipe.view,
              0 if request.online else recipe.views, recipe.schedule, request.seed, device, console)  # fmt: skip
    announce(recipe, objective, train, run, console, needs_teacher(recipe, request, train))
    soft = soft_labels(recipe, request, train, device, console)
    first = replace(recipe, decisions=None)  # which the student does not depend on
    run = replace(run, identity={"recipe": first.plain(), "soft": soft_name(soft), "data": made_of["data"],
                                 **begun})  # fmt: skip
    fitted = fit(Distillation(objective, train, recipe.channel, soft, device), run)
    objective.load_state_dict(fitted.weights)
    runs = [run, *second_stage(recipe, objective, run)]
    if process()[0]:
        return None
    parameters, macs = transmitter_cost(objective.student.to(device), preprocess)
    notes = provenance(recipe, request.seed, soft_name(soft), made_of["data"],
                       f"{parameters:,} parameters, {macs / 1e6:.1f} MMAC")  # fmt: skip
    measured = {
        "accuracy": measure(objective.student, validation, preprocess, request.seed),
        "calibration": calibrate(objective.student, validation, preprocess, recipe.channel, request.seed),
    }
    manifest = write_student(out, objective.student, recipe.name, train, preprocess, notes, measured)
    finish(manifest)
    draw(run.folder / "accuracy.png", [[panel(manifest)]])
    draw_curve(run.folder / CURVE, {one.title: one.folder for one in runs})
    for one in runs:
        one.forget()
    show(manifest, fitted.epoch_s, console)
    return manifest


def untrained(recipe: Recipe, images: ImageSet, preprocess: Preprocess) -> Objective:
    """A student of the recipe's shape for these classes, under its loss; weights by torch's generator."""
    shapes = Shapes(
        recipe.layout, recipe.order, recipe.image.channels, len(images.classes), recipe.encoder, recipe.decoder
    )
    return Objective(Student(shapes), preprocess, recipe.loss, MOST_COMPONENTS)


def second_stage(recipe: Recipe, objective: Objective, first: Run) -> list[Run]:
    """Train the student of `objective` on its own decisions, where the recipe says so; returns the run, if any."""
    if recipe.decisions is None:
        return []
    second = Decisions(objective.student, objective.preprocess, recipe.decisions.tau, objective.auxiliary)
    task = Distillation(second, first.images, recipe.channel, None, first.device)
    run = replace(first, title="decisions", folder=first.folder / "decisions",
                  identity={**first.identity, "recipe": recipe.plain()},
                  schedule=recipe.decisions.schedule)  # fmt: skip
    second.load_state_dict(fit(task, run).weights)
    return [run]
