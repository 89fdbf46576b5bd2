"""What a teacher costs in seconds and bytes, stored and online: measured on the same machine in the same minutes.

Knows nothing about accuracy, the command line or tables.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from common.images.imageset import ImageSet
from common.pair.shapes import Preprocess
from training.data.views import augment, words
from training.distillation.stages import untrained
from training.knowledge import encoding as codec
from training.knowledge.generate import generate, plan_for
from training.knowledge.shards import Store
from training.loop.fit import Run, fit
from training.loop.journal import epochs
from training.recipes.recipe import Recipe
from training.student.objective import Distillation
from training.teachers.identity import TeacherId
from training.teachers.oracles import Classifier, Oracle
from training.teachers.pixels import Pixels

ENCODINGS = ("int8", "top5", "top10")


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


def untrained_vit(classes: tuple[str, ...], dtype: str, device: torch.device) -> Oracle:
    """The usual large teacher, for timing only."""
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    model = ViTForImageClassification(ViTConfig(num_labels=len(classes))).to(kind)
    identity = TeacherId("untrained ViT-B/16 at 224", "0" * 64, "224", dtype)
    return Classifier(model, Pixels(ViTImageProcessorPil(), 3), identity, device, range(len(classes)))


def measure(
    recipe: Recipe, images: ImageSet, preprocess: Preprocess, oracle: Oracle, few: int, device: torch.device
) -> Savings:
    """Generation, a stored epoch and an online epoch, in that order, on the same machine in the same minutes."""
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


def _any_store(folder: Path, recipe: Recipe, images: ImageSet) -> Store:
    """A store of random answers: reading it takes as long as reading a teacher's."""

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
    recipe: Recipe, images: ImageSet, preprocess: Preprocess, soft: Store | Oracle, device: torch.device,
    folder: Path, passes: int,
) -> float:  # fmt: skip
    """Fastest of `passes` epochs, in seconds per image that was trained on."""
    task = Distillation(untrained(recipe, images, preprocess), images, soft, device)
    batch = min(recipe.schedule.batch, len(images))
    schedule = replace(recipe.schedule, epochs=passes, batch=batch)
    place = Path(tempfile.mkdtemp(dir=folder))
    run = Run("epoch", place, {}, images, recipe.view, 1, schedule, 0, device, Console(quiet=True))
    fit(task, run)
    return min(one["seconds"] for one in epochs(place)) / (len(images) // batch * batch)


def encodings(recipe: Recipe, images: ImageSet, oracle: Oracle) -> list[dict[str, Any]]:
    """Bytes per image and view, and KL to the full logits at the recipe's tau, for each encoding."""
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
