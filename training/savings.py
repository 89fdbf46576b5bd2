"""What storing the teacher's answers saves: `python -m training.savings`, in seconds and bytes, measured in one run.

Knows nothing about accuracy; `training.ablate` compares that.

With Tt seconds of teacher and Ts of student per image and view, V stored views, E epochs and R runs that share a store:

    online  R E (Tt + Ts)        stored  V Tt + R E Ts        so nothing is saved when V = E and R = 1
"""

import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.files import OutFile, write_atomic
from training.report.progress import print_table

if TYPE_CHECKING:
    import torch

    from common.images.datasets import ImageSet
    from common.pair.shapes import Preprocess
    from training.knowledge.shards import Store
    from training.recipes.recipe import Recipe
    from training.teachers.oracles import Oracle

ENCODINGS = ("int8", "fp16", "top5", "top10")


@dataclass(frozen=True, slots=True)
class Savings:
    """Seconds per image and view. read_s: reading, checking and decoding the store; epoch_s are per image too."""

    teacher: str
    teacher_s: float
    generate_s: float
    read_s: float
    stored_epoch_s: float
    online_epoch_s: float
    images: int
    online_images: int

    def gain(self, views: int, epochs: int, runs: int) -> float:
        """Online time over stored time, the store's generation included."""
        return runs * epochs * self.online_epoch_s / (views * self.generate_s + runs * epochs * self.stored_epoch_s)


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", default="digits", show_default=True, help="Name in training/configs or TOML file.")
@click.option("--teacher", help="Folder or Hub id. [default: build/teachers/RECIPE]")
@click.option("--untrained-vit", is_flag=True, help="Time a ViT-B/16 at 224 pixels with random weights instead.")
@click.option("--images", default=2048, show_default=True, help="Images of an epoch with the store.")
@click.option("--online-images", default=256, show_default=True, help="Images that the teacher is run on.")
@click.option("--dtype", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True, help="Of the teacher.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.pair.device import pick_device
    from training.data.images import load_data
    from training.distillation.reuse import BUILD
    from training.recipes.recipe import load_recipe
    from training.teachers.find import load_oracle

    recipe = load_recipe(options["recipe"])
    device = pick_device(options["device"], recipe.threads)
    train, _, preprocess = load_data(recipe, options["dataset"])
    if options["untrained_vit"]:
        oracle = untrained_vit(train.classes, options["dtype"], device)
    else:
        place = options["teacher"] or str(BUILD / "teachers" / recipe.name)
        oracle = load_oracle(place, train.classes, device, options["dtype"])
    part = train.take(np.arange(min(options["images"], len(train))))
    found = measure(recipe, part, preprocess, oracle, options["online_images"], device)
    codes = [] if options["untrained_vit"] else encodings(recipe, part, oracle)
    _show(found, codes, recipe)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        document = {"savings": asdict(found), "encodings": codes}
        write_atomic(options["json_file"], json.dumps(document, indent=1).encode() + b"\n")


def untrained_vit(classes: tuple[str, ...], dtype: str, device: "torch.device") -> "Oracle":
    """The usual large teacher, for timing only."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    from training.teachers.identity import TeacherId
    from training.teachers.oracles import Classifier
    from training.teachers.pixels import Pixels

    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    model = ViTForImageClassification(ViTConfig(num_labels=len(classes))).to(kind)
    identity = TeacherId("untrained ViT-B/16 at 224", "0" * 64, "224", dtype)
    return Classifier(model, Pixels(ViTImageProcessorPil(), 3), identity, device, range(len(classes)))


def measure(
    recipe: "Recipe", images: "ImageSet", preprocess: "Preprocess", oracle: "Oracle", few: int, device: "torch.device"
) -> Savings:
    """Generation, a stored epoch and an online epoch, in that order, on the same machine in the same minutes."""
    from training.knowledge.generate import generate, plan_for

    small = images.take(np.arange(min(few, len(images))))
    oracle.logits(small.images[:8])  # the first call allocates
    began = time.perf_counter()
    oracle.logits(small.images)
    teacher_s = (time.perf_counter() - began) / len(small)
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_for(small, "train", oracle.id, recipe.view, recipe.encoding)
        began = time.perf_counter()
        generate(Path(folder) / "few", plan, range(1), small, oracle, Console(quiet=True))
        generate_s = (time.perf_counter() - began) / len(small)
        store = _any_store(Path(folder) / "many", recipe, images)
        began = time.perf_counter()
        store.logits(0, images)
        read_s = (time.perf_counter() - began) / len(images)
        stored = _epoch(recipe, images, preprocess, store, device, Path(folder), 3)
        online = _epoch(recipe, small, preprocess, oracle, device, Path(folder), 2)
    return Savings(oracle.id.name, teacher_s, generate_s, read_s, stored, online, len(images), len(small))


def _any_store(folder: Path, recipe: "Recipe", images: "ImageSet") -> "Store":
    """A store of random answers: reading it takes as long as reading a teacher's."""
    import torch

    from training.knowledge.generate import generate, plan_for
    from training.teachers.identity import TeacherId

    class Dice:
        id = TeacherId("dice", "0" * 64, "", "fp32")

        def logits(self, pixels: Any) -> torch.Tensor:
            return torch.randn(len(pixels), len(images.classes))

    plan = plan_for(images, "train", Dice.id, recipe.view, recipe.encoding)
    made = generate(folder, plan, range(1), images, Dice(), Console(quiet=True))
    if made is None:
        raise RuntimeError("savings are measured in one process")
    return made


def _epoch(
    recipe: "Recipe", images: "ImageSet", preprocess: "Preprocess", soft: "Store | Oracle", device: "torch.device",
    folder: Path, epochs: int,
) -> float:  # fmt: skip
    """Fastest of `epochs` epochs, in seconds per image that was trained on."""
    from training.loop.fit import Run, fit
    from training.student.objective import Distillation, Objective
    from training.student.student import Shapes, Student

    shapes = Shapes(
        recipe.layout, recipe.order, recipe.image.channels, len(images.classes), recipe.encoder, recipe.decoder
    )
    task = Distillation(Objective(Student(shapes), preprocess, recipe.loss), images, recipe.channel, soft, device)
    batch = min(recipe.schedule.batch, len(images))
    schedule = replace(recipe.schedule, epochs=epochs, batch=batch)
    place = Path(tempfile.mkdtemp(dir=folder))
    run = Run("epoch", place, {}, images, recipe.view, 1, schedule, 0, device, Console(quiet=True))
    fit(task, run)
    times = [json.loads(line)["seconds"] for line in (place / "metrics.jsonl").read_text().splitlines()]
    return float(min(times)) / (len(images) // batch * batch)


def encodings(recipe: "Recipe", images: "ImageSet", oracle: "Oracle") -> list[dict[str, Any]]:
    """Bytes per image and view, and KL to the full logits at the recipe's tau, for each encoding."""
    from training.data.views import augment, words
    from training.knowledge import encoding as codec

    logits = oracle.logits(augment(images.images, words(recipe.view, 0, 0, len(images)), recipe.view))
    rows = []
    for name in ENCODINGS:
        if name.startswith("top") and int(name[3:]) >= logits.shape[-1]:
            continue
        kept = codec.encode(logits, name)
        lost = codec.divergence(logits, codec.decode(kept, name, logits.shape[-1]), recipe.loss.tau).numpy()
        rows.append({"encoding": name, "bytes": codec.bytes_per_row(kept), "tau": recipe.loss.tau,
                     "kl_mean": float(lost.mean()), "kl_p99": float(np.percentile(lost, 99))})  # fmt: skip
    return rows


def _show(found: Savings, codes: list[dict[str, Any]], recipe: "Recipe") -> None:
    names = ("teacher_s", "generate_s", "read_s", "stored_epoch_s", "online_epoch_s")
    rows = [(name.removesuffix("_s").replace("_", " "), f"{1000 * getattr(found, name):.4f}") for name in names]
    rows.append(("online / stored epoch", f"{found.online_epoch_s / found.stored_epoch_s:.1f}"))
    rows.append(("reading, share of a stored epoch", f"{100 * found.read_s / found.stored_epoch_s:.2f} %"))
    views, epochs = recipe.views, recipe.schedule.epochs
    for runs, e in ((1, epochs), (1, 100), (10, epochs)):
        rows.append((f"gain, V = {views}, E = {e}, R = {runs}", f"{found.gain(views, e, runs):.1f}"))
    print_table(f"teacher {found.teacher}; milliseconds per image and view", ("what", ""), rows, left=("what",))
    if codes:
        cells = [(r["encoding"], f"{r['bytes']:g}", f"{r['kl_mean']:.1e}", f"{r['kl_p99']:.1e}") for r in codes]
        headings = ("encoding", "bytes", "mean KL", "99th percentile")
        print_table(f"KL in nats at tau {recipe.loss.tau:g}", headings, cells, left=("encoding",))


if __name__ == "__main__":
    invoke(main, "TRAINING_SAVINGS")
