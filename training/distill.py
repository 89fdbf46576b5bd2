"""Distil a transmitter and a receiver from a teacher: `python -m training.distill`; without arguments, the digits pair.

Knows nothing about sockets. Makes what is missing (teacher, knowledge store) and re-uses what is there.
"""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from common import __version__
from common.cli import begin, invoke, shared_options
from common.errors import ConfigError, DataError
from common.images.datasets import ImageSet, load_splits
from common.manifest import SHIPPED, Accuracy, Calibration, Manifest, Preprocess, write_pair
from training.data import skip_bad_option, tell

if TYPE_CHECKING:
    import torch

    from training.knowledge import Store
    from training.loop import Fitted
    from training.oracle import Oracle
    from training.recipe import Recipe
    from training.student import Student

BUILD = Path("build")
TASKS = ("classify", "embedding")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for, beside the recipe."""

    dataset: str
    teacher: str | None
    store: Path | None
    out: Path
    run: Path
    device: str
    seed: int
    online: bool
    tensorboard: bool
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.out.resolve().is_relative_to(SHIPPED.resolve()):
            raise ConfigError(f"--out {self.out} is inside the shipped pairs; train elsewhere and copy what is better")


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; cifar10 for other data]")
@click.option(
    "--teacher", help="Folder or Hub id; several with commas. [default: build/teachers/RECIPE, made if missing]"
)
@click.option("--store", type=click.Path(path_type=Path), help="Knowledge store. [default: build/stores/RECIPE-ID]")
@click.option("--views", type=int, help="Stored views per image; each epoch uses the next. [default: the recipe's]")
@click.option("--epochs", type=int, help="Passes over the training images. [default: the recipe's]")
@click.option("--encoding", help="int8, fp16 or topK. [default: the recipe's]")
@click.option("--loss", help="kl, standardised or dkd. [default: the recipe's]")
@click.option("--beta", type=float, help="Weight of the rate term. [default: the recipe's]")
@click.option("--encoder", help="Transmitter as WIDTH,BLOCKS,STRIDE of its stem. [default: the recipe's]")
@click.option("--fraction", type=float, help="Share of the training images to use, 0 to 1. [default: the recipe's]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the pair. [default: build/pairs/RECIPE]")
@click.option("--run", type=click.Path(path_type=Path), help="Checkpoint and metrics. [default: build/runs/RECIPE]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, batches and channels.")
@click.option("--no-kd", is_flag=True, help="Ablation: true labels only, no teacher.")
@click.option("--no-adapt", is_flag=True, help="Ablation: no channel-adaptive module.")
@click.option("--online-teacher", is_flag=True, help="Ablation: run the teacher in every step, no store.")
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard events beside metrics.jsonl.")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.recipe import adjusted, load_recipe

    recipe = load_recipe(options["recipe"] or ("digits" if options["dataset"] == "digits" else "cifar10"))
    request = Request(
        options["dataset"], options["teacher"], options["store"], options["out"] or BUILD / "pairs" / recipe.name,
        options["run"] or BUILD / "runs" / recipe.name, options["device"], options["seed"], options["online_teacher"],
        options["tensorboard"], options["skip_bad"],
    )  # fmt: skip
    recipe = adjusted(recipe, options["epochs"], options["views"], options["encoding"], options["loss"],
                      options["beta"], 1.0 if options["no_kd"] else None, options["encoder"],
                      not options["no_adapt"], options["fraction"])  # fmt: skip
    distill(recipe, request, Console(stderr=True))


def distill(recipe: "Recipe", request: Request, console: Console) -> Manifest | None:
    """Teacher -> store -> student -> accuracy table -> pair. Returns None on all processes but the first."""
    import torch

    from common.nn.device import pick_device
    from training.decisions import Decisions
    from training.loop import Run, fit, process
    from training.measure import calibrate, measure, transmitter_cost
    from training.objective import Distillation, Objective
    from training.student import Shapes, Student

    device = pick_device(request.device, recipe.threads)
    train, validation, preprocess = load_data(recipe, request.dataset, request.skip_bad)
    console.print(f"data: {request.dataset}, {len(train)} to train on, {len(validation)} to validate")
    soft = soft_labels(recipe, request, train, device, console)
    torch.manual_seed(request.seed)
    shapes = Shapes(
        recipe.layout, recipe.order, recipe.image.channels, len(train.classes), recipe.encoder, recipe.decoder
    )
    student = Student(shapes)
    objective = Objective(student, preprocess, recipe.loss)
    task = Distillation(objective, train, recipe.channel, soft, device)
    source = soft_name(soft)
    first = replace(recipe, decisions=None)  # which it does not depend on
    run = Run("student", request.run, {"recipe": first.plain(), "soft": source}, train, recipe.view,
              0 if request.online else recipe.views, recipe.schedule, request.seed, device, console,
              request.tensorboard)  # fmt: skip
    fitted = fit(task, run)
    objective.load_state_dict(fitted.weights)
    runs = [run]
    if recipe.decisions:
        second = Decisions(student, preprocess, recipe.decisions.tau, objective.auxiliary)
        task = Distillation(second, train, recipe.channel, None, device)
        identity = {"recipe": recipe.plain(), "soft": source}
        runs.append(replace(run, title="decisions", folder=request.run / "decisions", identity=identity,
                            schedule=recipe.decisions.schedule))  # fmt: skip
        task.objective.load_state_dict(fit(task, runs[-1]).weights)
    if process()[0]:
        return None
    accuracy = measure(student.to(device), validation, preprocess, request.seed)
    fitted_confidence = calibrate(student, validation, preprocess, recipe.channel, request.seed)
    parameters, macs = transmitter_cost(student, preprocess)
    cost = f"{parameters:,} parameters, {macs / 1e6:.1f} MMAC"
    notes = {**provenance(recipe, request, source), "transmitter": cost}
    manifest = write(recipe, request, train, preprocess, student, accuracy, fitted_confidence, notes)
    for one in runs:
        one.forget()
    report(manifest, fitted, console)
    figure(manifest, request.run / "accuracy.png")
    return manifest


def load_data(recipe: "Recipe", dataset: str, skip_bad: bool = False) -> tuple[ImageSet, ImageSet, Preprocess]:
    """Train and validation images at the recipe's size, and the preprocessing that train asks for.

    skip_bad: leave out pictures that cannot be read, and say so, instead of refusing the data set.
    """
    image = recipe.image
    blank = Preprocess(image.height, image.width, image.channels, (0.0,) * image.channels, (1.0,) * image.channels)
    splits = ("train", "validation")
    train, validation = load_splits(dataset, splits, blank, skip_bad=skip_bad, fraction=recipe.fraction)
    tell((*train.notes, *validation.notes))
    if len(train) < 2 * len(train.classes):
        raise DataError(f"'{dataset}' has {len(train)} images to train on; {2 * len(train.classes)} are the least")
    measured, spread = train.mean_std()
    mean, std = (tuple(round(value, 4) for value in one) for one in (measured, [max(one, 0.01) for one in spread]))
    return train, validation, Preprocess(image.height, image.width, image.channels, mean, std)


def soft_labels(
    recipe: "Recipe", request: Request, train: ImageSet, device: "torch.device", console: Console
) -> "Store | Oracle | None":
    """The knowledge store, made where it is missing; the teacher itself with --online-teacher; None without either."""
    from training import encoding as codec
    from training.generate import generate, plan_for
    from training.knowledge import MANIFEST, open_store
    from training.loop import autocasts, wait
    from training.oracle import identify, load_oracle
    from training.pretrain import train_teacher

    if recipe.loss.hard == 1:
        return None
    codec.check(recipe.encoding, len(train.classes))
    if request.store and (request.store / MANIFEST).is_file() and not request.teacher and not request.online:
        return _ready_store(recipe, request.store, train, console)
    folder = BUILD / "teachers" / recipe.name
    teacher = request.teacher or str(folder)
    if request.teacher is None and not (folder / "config.json").is_file():
        train_teacher(recipe, train, folder, request.seed, device, console)
        wait()
    else:
        console.print(f"teacher: re-using {teacher}")
    dtype = "bf16" if autocasts(recipe.teacher.schedule, device) else "fp32"
    if request.online:
        return load_oracle(teacher, train.classes, device, dtype)
    plan = plan_for(train, "train", identify(teacher, dtype), recipe.view, recipe.encoding)
    where = request.store or BUILD / "stores" / f"{recipe.name}-{plan.id[:8]}"
    if (where / MANIFEST).is_file():
        store = open_store(where)
        plan.refuse(store.plan, where)
        if store.views >= recipe.views:
            console.print(f"store: re-using {where} ({store.views} views)")
            return store
    return generate(
        where, plan, range(recipe.views), train, load_oracle(teacher, train.classes, device, dtype), console
    )


def _ready_store(recipe: "Recipe", folder: Path, train: ImageSet, console: Console) -> "Store":
    """A finished store is all that training needs: its teacher may be gone."""
    from training.knowledge import open_store

    store = open_store(folder)
    store.check_data(train, recipe.view)
    if store.views < recipe.views:
        raise ConfigError(f"{folder} holds {store.views} views, not {recipe.views}; say --views {store.views}")
    console.print(f"store: re-using {folder} (teacher {store.plan.teacher.name}), no teacher is loaded")
    return store


def soft_name(soft: "Store | Oracle | None") -> str:
    """Where the soft labels came from, for manifest and checkpoint."""
    from training.knowledge import Store

    if soft is None:
        return "true labels"
    return f"store {soft.plan.id}" if isinstance(soft, Store) else f"teacher {soft.id.sha256}"


def provenance(recipe: "Recipe", request: Request, source: str) -> Mapping[str, str]:
    """What made this pair: command, versions, seed, soft labels. No time, so the same run gives the same id."""
    libraries = {name: version(name) for name in ("torch", "numpy", "transformers")}
    arguments = " ".join(word for word in sys.argv[1:] if word)
    return {
        "command": f"python -m training.distill {arguments}".strip(),
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


def write(
    recipe: "Recipe", request: Request, train: ImageSet, preprocess: Preprocess, student: "Student",
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
    return write_pair(request.out, document, save(weights), save(decoder))


def report(manifest: Manifest, fitted: "Fitted", console: Console) -> None:
    """What was made, as one table."""
    from rich.table import Table

    csi = "estimated CSI" if manifest.layout.pilots else "no pilots"
    table = Table(title=f"validation accuracy in %, AWGN, {csi} (clean {100 * manifest.accuracy.clean:.1f})")
    shown = [index for index, snr in enumerate(manifest.accuracy.snr_db) if -6 <= snr <= 22][::2]
    for heading in ("symbols", *(f"{manifest.accuracy.snr_db[index]:g} dB" for index in shown)):
        table.add_column(heading, justify="right")
    for rate, row in zip(manifest.layout.rates, manifest.accuracy.acc, strict=True):
        table.add_row(str(rate), *(f"{100 * row[index]:.1f}" for index in shown))
    console.print(table)
    console.print(f"transmitter: {manifest.provenance['transmitter']}; {fitted.epoch_s:.2f} s per epoch")
    console.print(f"pair: {manifest.path}, id {manifest.id[:16]}")


def figure(manifest: Manifest, path: Path) -> None:
    """The accuracy table as curves."""
    from training.evaluate import Point, draw_figure

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


if __name__ == "__main__":
    invoke(main, "TRAINING_DISTILL")
