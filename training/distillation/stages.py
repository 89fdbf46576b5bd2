"""One distillation, stage by stage: teacher -> store -> student -> accuracy table -> pair.

Knows nothing about the command line. What is there already is used again (`reuse.py`, `soft.py`).
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from common import __version__
from common.console import tell
from common.files import user_path
from common.images.datasets import ImageSet
from common.pair.manifest import Manifest, write_pair
from common.pair.shapes import Accuracy, Calibration, Preprocess
from training.data.images import load_data
from training.distillation.request import Request
from training.distillation.reuse import BUILD
from training.recipes.recipe import Recipe
from training.report.progress import print_table

if TYPE_CHECKING:
    from training.loop.fit import Fitted, Run
    from training.student.objective import Objective
    from training.student.student import Student


TASKS = ("classify", "embedding")

PLACES = ("--out", "--run", "--store", "--device", "--config", "--log-level")
"""Options that say where and how, but not what."""


def distill(recipe: "Recipe", request: Request, console: Console) -> Manifest | None:
    """Teacher -> store -> student -> accuracy table -> pair. Returns None on all processes but the first."""
    import torch

    from common.pair.device import pick_device
    from training.distillation.measure import calibrate, measure
    from training.distillation.outlook import announce
    from training.distillation.reuse import needs_teacher, pair_made_of, pair_place
    from training.distillation.soft import soft_labels, soft_name
    from training.loop.fit import Run, fit, process
    from training.student.objective import Distillation, Objective
    from training.student.student import Shapes, Student

    device = pick_device(request.device, recipe.threads)
    train, validation, preprocess = load_data(recipe, request.dataset, request.skip_bad)
    tell(f"data: {request.dataset}, {len(train)} to train on, {len(validation)} to validate")
    made_of = pair_made_of(recipe, train)
    out = pair_place(recipe.name, made_of, request.out)
    torch.manual_seed(request.seed)
    shapes = Shapes(
        recipe.layout, recipe.order, recipe.image.channels, len(train.classes), recipe.encoder, recipe.decoder
    )
    student = Student(shapes)
    objective = Objective(student, preprocess, recipe.loss)
    first = replace(recipe, decisions=None)  # which it does not depend on
    run = Run("student", request.run or BUILD / "runs" / out.name, {}, train, recipe.view,
              0 if request.online else recipe.views, recipe.schedule, request.seed, device, console)  # fmt: skip
    announce(recipe, objective, train, run, console, needs_teacher(recipe, request, train))
    soft = soft_labels(recipe, request, train, device, console)
    source = soft_name(soft)
    run = replace(run, identity={"recipe": first.plain(), "soft": source, "data": made_of["data"]})
    fitted = fit(Distillation(objective, train, recipe.channel, soft, device), run)
    objective.load_state_dict(fitted.weights)
    runs = [run, *second_stage(recipe, objective, run)]
    if process()[0]:
        return None
    accuracy = measure(student.to(device), validation, preprocess, request.seed)
    fitted_confidence = calibrate(student, validation, preprocess, recipe.channel, request.seed)
    notes = provenance(recipe, request, source, made_of["data"], transmitter(student, preprocess))
    manifest = write(recipe, out, train, preprocess, student, accuracy, fitted_confidence, notes)
    for one in runs:
        one.forget()
    report(manifest, fitted, console)
    figure(manifest, run.folder / "accuracy.png")
    return manifest


def second_stage(recipe: "Recipe", objective: "Objective", first: "Run") -> "list[Run]":
    """Train the student of `objective` on its own decisions, where the recipe says so; returns the run, if any."""
    from training.loop.fit import fit
    from training.student.decisions import Decisions
    from training.student.objective import Distillation

    if recipe.decisions is None:
        return []
    second = Decisions(objective.student, objective.preprocess, recipe.decisions.tau, objective.auxiliary)
    task = Distillation(second, first.images, recipe.channel, None, first.device)
    run = replace(first, title="decisions", folder=first.folder / "decisions",
                  identity={**first.identity, "recipe": recipe.plain()},
                  schedule=recipe.decisions.schedule)  # fmt: skip
    second.load_state_dict(fit(task, run).weights)
    return [run]


def transmitter(student: "Student", preprocess: Preprocess) -> str:
    """Its cost, in words."""
    from training.distillation.measure import transmitter_cost

    parameters, macs = transmitter_cost(student, preprocess)
    return f"{parameters:,} parameters, {macs / 1e6:.1f} MMAC"


def provenance(recipe: "Recipe", request: Request, source: str, data: str, transmitter: str) -> Mapping[str, str]:
    """What made this pair: command, versions, seed, data, soft labels. Neither time nor a path, so that the same run
    gives the same id, wherever its files lie."""
    libraries = {name: version(name) for name in ("torch", "numpy", "transformers")}
    return {
        "command": " ".join(("python -m training.distill", *without_paths(sys.argv[1:]))),
        "data": data,
        "transmitter": transmitter,
        "recipe": recipe.name,
        "epochs": str(recipe.schedule.epochs),
        "loss": f"{recipe.loss}",
        "channel": json.dumps(asdict(recipe.channel)),
        "soft_labels": source,
        "seed": str(request.seed),
        "semlink": __version__,
        "python": platform.python_version(),
        **libraries,
    }


def without_paths(words: Sequence[str]) -> list[str]:
    """The arguments: what names a file of this machine is cut down to its last part, and the places of outputs go."""
    kept, skip = [], False
    for word in words:
        option, equals, value = word.partition("=")
        if not skip and option not in PLACES:
            path = value if equals else word
            names = [Path(one).expanduser().resolve().name if _is_path(one) else one for one in path.split(",")]
            kept.append((option + equals if equals else "") + ",".join(names))
        skip = not skip and option in PLACES and not equals
    return [word for word in kept if word]


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or ("/" in text and user_path(text).exists())


def write(
    recipe: "Recipe", out: Path, train: ImageSet, preprocess: Preprocess, student: "Student",
    accuracy: Accuracy, calibration: Calibration, notes: Mapping[str, str],
) -> Manifest:  # fmt: skip
    """Both halves as safetensors, then the manifest."""
    from safetensors.torch import save

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}
    decoder = {
        name.removeprefix("decoder."): weights.pop(name) for name in list(weights) if name.startswith("decoder.")
    }
    document: dict[str, Any] = {
        "name": recipe.name, "layout": asdict(recipe.layout), "order": recipe.order, "preprocess": asdict(preprocess),
        "dataset": train.name, "labels": train.classes, "tasks": TASKS, "encoder": asdict(recipe.encoder),
        "decoder": asdict(recipe.decoder), "accuracy": asdict(accuracy), "calibration": asdict(calibration),
        "provenance": notes,
    }  # fmt: skip
    return write_pair(out, document, save(weights), save(decoder))


def report(manifest: Manifest, fitted: "Fitted", console: Console) -> None:
    """What was made, as one table."""
    csi = "estimated CSI" if manifest.layout.pilots else "no pilots"
    table = manifest.accuracy
    shown = [index for index, snr in enumerate(table.snr_db) if -6 <= snr <= 22][::2]
    rows = [(rate, *(f"{100 * row[index]:.1f}" for index in shown))
            for rate, row in zip(manifest.layout.rates, table.acc, strict=True)]  # fmt: skip
    title = f"validation accuracy in %, AWGN, {csi} (clean {100 * table.clean:.1f})"
    print_table(title, ("symbols", *(f"{table.snr_db[index]:g} dB" for index in shown)), rows, console=console)
    tell(f"transmitter: {manifest.provenance['transmitter']}; {fitted.epoch_s:.2f} s per epoch")
    tell(f"pair: {manifest.path}, id {manifest.id[:16]}")


def figure(manifest: Manifest, path: Path) -> None:
    """The accuracy table as curves."""
    from training.report.figures import draw_figure
    from training.report.points import Point

    table = manifest.accuracy
    points = [
        Point(
            manifest.name,
            "awgn",
            "estimated" if manifest.layout.pilots else "none",
            n + manifest.layout.pilots,
            snr,
            share,
            (share, share),
            1,
            float(n),
        )
        for n, row in zip(manifest.layout.rates, table.acc, strict=True)
        for snr, share in zip(table.snr_db, row, strict=True)
    ]
    draw_figure(points, path)
