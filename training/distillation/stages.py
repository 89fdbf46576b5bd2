"""One distillation, stage by stage: teacher -> store -> encoder -> what its symbols say -> pair.

Knows nothing about the command line. What is there already is used again (`reuse.py`, `soft.py`).
"""

from dataclasses import replace

import torch
from rich.console import Console

from common.console import tell
from common.images.imageset import ImageSet
from common.pair.device import pick_device
from common.pair.manifest import Manifest
from common.pair.shapes import Preprocess
from training.data.images import load_data
from training.distillation.accuracy_table import panel, show
from training.distillation.last_layer import better_head
from training.distillation.measure import transmitter_cost
from training.distillation.outlook import announce
from training.distillation.pairs import write_encoder
from training.distillation.provenance import provenance
from training.distillation.request import BUILD, Request
from training.distillation.reuse import needs_teacher, pair_made_of, pair_place
from training.distillation.soft import soft_key, soft_labels, soft_name
from training.export.tracing import finish
from training.knowledge.embedding import MOST_COMPONENTS
from training.knowledge.shards import Store
from training.loop.fit import Run, fit
from training.loop.journal import CURVE, draw_curve
from training.loop.machine import process
from training.recipes.recipe import Recipe
from training.report.figures import draw
from training.student.objective import Distillation, Objective


def distill(recipe: Recipe, request: Request, console: Console) -> Manifest | None:
    """The pair as it lies on disk, its figures beside its checkpoint. None on all processes but the first."""
    device = pick_device(request.device, recipe.threads)
    train, validation, preprocess = load_data(recipe, request.dataset, request.skip_bad)
    tell(f"data: {request.dataset}, {len(train)} to train on, {len(validation)} to validate")
    made_of = pair_made_of(recipe, train, request.seed)
    if request.out:
        pair_place(recipe.name, made_of, request.out, request.keep)  # refused now, and not after hours
    torch.manual_seed(request.seed)
    objective = untrained(recipe, train, preprocess)
    run = Run("student", BUILD / "runs", {}, train, recipe.view,
              0 if request.online else recipe.views, recipe.schedule, request.seed, device, console)  # fmt: skip
    announce(recipe, objective, train, run, console, needs_teacher(recipe, request, train))
    soft = soft_labels(recipe, request, train, device, console)
    out = pair_place(recipe.name, {**made_of, "soft_labels": soft_name(soft)}, request.out, request.keep)
    run = replace(run, folder=request.run or BUILD / "runs" / out.name,
                  identity={"recipe": recipe.plain(), "soft": soft_key(soft), "data": made_of["data"]})  # fmt: skip
    fitted = fit(Distillation(objective, train, soft, device), run)
    objective.load_state_dict(fitted.weights)
    if process()[0]:
        return None
    encoder = objective.encoder.to(device)
    heads = better_head(encoder, train, validation, preprocess)
    tell(str(heads))
    parameters, macs = transmitter_cost(encoder, preprocess)
    teacher = soft.plan.teacher.name if isinstance(soft, Store) else None
    notes = provenance(recipe, request.seed, soft_name(soft), teacher, made_of["data"],
                       f"{parameters:,} parameters, {macs / 1e6:.1f} MMAC", heads.exchanged)  # fmt: skip
    manifest = write_encoder(out, encoder, recipe.encoder, recipe.layout, recipe.order, recipe.name, train, validation,
                             preprocess, notes, request.seed, objective.meant)  # fmt: skip
    finish(manifest)
    draw(run.folder / "accuracy.png", [[panel(manifest)]])
    draw_curve(run.folder / CURVE, {run.title: run.folder})
    run.forget()
    show(manifest, fitted.epoch_s, console)
    return manifest


def untrained(recipe: Recipe, images: ImageSet, preprocess: Preprocess) -> Objective:
    """An encoder of the recipe's shape for these classes, under its loss; weights by torch's generator."""
    return Objective(recipe.encoder, len(images.classes), preprocess, recipe.loss, MOST_COMPONENTS)
