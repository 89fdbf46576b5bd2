"""Distil a transmitter and a receiver from a teacher: `python -m training.distill`; without arguments, the digits pair.

Knows nothing about sockets. Makes what is missing (teacher, knowledge store) and re-uses what is there.
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from common import __version__
from common.cli import begin, invoke, shared_options
from common.errors import ConfigError, DataError, SemlinkError
from common.files import OutFolder, writable
from common.images.datasets import ImageSet, load_for, load_splits
from common.manifest import SHIPPED, Accuracy, Calibration, Manifest, Preprocess, user_path, write_pair
from common.origin import remember
from common.streams import tell
from training.data import skip_bad_option, tell_notes
from training.progress import print_table
from training.reuse import BUILD

if TYPE_CHECKING:
    from training.loop import Fitted, Run
    from training.objective import Objective
    from training.recipe import Recipe
    from training.student import Student

TASKS = ("classify", "embedding")
PLACES = ("--out", "--run", "--store", "--device", "--config", "--log-level")
"""Options that say where and how, but not what."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for, beside the recipe."""

    dataset: str
    teacher: str | None
    store: Path | None
    out: Path | None
    """None: a place of its own under build/pairs."""
    run: Path | None
    device: str
    seed: int
    online: bool
    tensorboard: bool
    by_position: bool = False
    """A teacher's columns are the data's classes in order, whatever it calls them."""
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.out is not None and self.out.resolve().is_relative_to(SHIPPED.resolve()):
            raise ConfigError(f"--out {self.out} is inside the shipped pairs; train elsewhere and copy what is better")


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; else one that fits the data]")
@click.option("--teacher", help="Folder or Hub id; several with commas. [default: made of these images if missing]")
@click.option("--by-position", is_flag=True, help="Take the teacher's classes in their order, whatever their names.")
@click.option("--store", type=click.Path(path_type=Path), help="Knowledge store. [default: build/stores/NAME-ID]")
@click.option("--views", type=int, help="Stored views per image; each epoch uses the next. [default: the recipe's]")
@click.option(
    "--epochs", type=int, help="The student's passes over the training images; teacher and second stage take as many "
    "more or fewer in proportion. [default: the recipe's]",
)
@click.option("--encoding", help="int8, fp16 or topK. [default: the recipe's]")
@click.option("--loss", help="kl, standardised or dkd. [default: the recipe's]")
@click.option("--beta", type=float, help="Weight of the rate term. [default: the recipe's]")
@click.option("--encoder", help="Transmitter as WIDTH,BLOCKS,STRIDE of its stem. [default: the recipe's]")
@click.option("--fraction", type=float, help="Share of the training images to use, 0 to 1. [default: the recipe's]")
@click.option("--out", type=OutFolder(), help="Folder of the pair. [default: build/pairs/NAME]")
@click.option("--run", type=OutFolder(), help="Checkpoint and metrics. [default: build/runs/NAME]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, batches and channels.")
@click.option("--force", is_flag=True, help="Exit with 0 even if the pair is not seen to have learnt anything.")
@click.option("--no-kd", is_flag=True, help="Ablation: true labels only, no teacher.")
@click.option("--no-adapt", is_flag=True, help="Ablation: no channel-adaptive module.")
@click.option("--online-teacher", is_flag=True, help="Ablation: run the teacher in every step, no store.")
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard events beside metrics.jsonl.")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    """NAME is the recipe's, or the data set's where the recipe fits itself; what would not fit there is NAME-ID."""
    begin(context, log_level)
    from training.fit import recipe_for, stages
    from training.recipe import adjusted

    request = Request(
        options["dataset"], options["teacher"], options["store"], options["out"], options["run"], options["device"],
        options["seed"], options["online_teacher"], options["tensorboard"], options["by_position"],
        options["skip_bad"],
    )  # fmt: skip
    for place in (BUILD, *([request.store] if request.store and not request.store.is_dir() else [])):
        writable(place, folder=True)
    recipe, told = recipe_for(options["dataset"], options["recipe"])
    recipe = adjusted(recipe, options["epochs"], options["views"], options["encoding"], options["loss"],
                      options["beta"], 1.0 if options["no_kd"] else None, options["encoder"],
                      not options["no_adapt"], options["fraction"])  # fmt: skip
    for line in (*told, *([stages(recipe)] if told or options["epochs"] else [])):
        tell(line)
    manifest = distill(recipe, request, Console(stderr=True))
    if manifest is not None:
        conclude(manifest, request, options["force"])


def conclude(manifest: Manifest, request: Request, force: bool) -> None:
    """Note where its pictures lie, and tell whether it has learnt anything; SemlinkError if not, unless `force`."""
    from training.judge import judge

    remember(manifest.id, request.dataset)
    parts = [load_for(manifest, request.dataset, "validation", skip_bad=request.skip_bad)]
    with suppress(DataError):  # there may be no test split
        parts.append(load_for(manifest, request.dataset, "test", skip_bad=request.skip_bad))
    verdict = judge(manifest, parts)
    tell(f"held out: {verdict}")
    if not verdict.learnt:
        what = f"pair {manifest.path} is not seen to do better than that: more pictures or more --epochs may help"
        if not force:
            raise SemlinkError(f"{what}. It is written; --force takes it as it is")
        tell(f"warning: {what}", "warning")


def distill(recipe: "Recipe", request: Request, console: Console) -> Manifest | None:
    """Teacher -> store -> student -> accuracy table -> pair. Returns None on all processes but the first."""
    import torch

    from common.nn.device import pick_device
    from training.loop import Run, fit, process
    from training.measure import calibrate, measure
    from training.objective import Distillation, Objective
    from training.outlook import announce
    from training.reuse import needs_teacher, pair_made_of, pair_place
    from training.soft import soft_labels, soft_name
    from training.student import Shapes, Student

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
              0 if request.online else recipe.views, recipe.schedule, request.seed, device, console,
              request.tensorboard)  # fmt: skip
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
    from training.decisions import Decisions
    from training.loop import fit
    from training.objective import Distillation

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
    from training.measure import transmitter_cost

    parameters, macs = transmitter_cost(student, preprocess)
    return f"{parameters:,} parameters, {macs / 1e6:.1f} MMAC"


def load_data(recipe: "Recipe", dataset: str, skip_bad: bool = False) -> tuple[ImageSet, ImageSet, Preprocess]:
    """Train and validation images at the recipe's size, and the preprocessing that train asks for.

    skip_bad: leave out pictures that cannot be read, and say so, instead of refusing the data set.
    """
    image = recipe.image
    blank = Preprocess(image.height, image.width, image.channels, (0.0,) * image.channels, (1.0,) * image.channels)
    splits = ("train", "validation")
    train, validation = load_splits(dataset, splits, blank, skip_bad=skip_bad, fraction=recipe.fraction)
    tell_notes((*train.notes, *validation.notes))
    if len(train) < 2 * len(train.classes):
        raise DataError(f"'{dataset}' has {len(train)} images to train on; {2 * len(train.classes)} are the least")
    measured, spread = train.mean_std()
    mean, std = (tuple(round(value, 4) for value in one) for one in (measured, [max(one, 0.01) for one in spread]))
    return train, validation, Preprocess(image.height, image.width, image.channels, mean, std)


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
