"""Train a classifier from a `transformers` configuration and save it, to be a teacher.

Knows nothing about students or stores; what it writes is an ordinary `save_pretrained` folder.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as fn

from common.errors import ConfigError
from common.files import write_json
from common.images.imageset import ImageSet
from training.data.images import fingerprint
from training.loop.fit import Run, fit
from training.loop.journal import CURVE, draw_curve
from training.loop.machine import process
from training.recipes.recipe import Recipe
from training.recipes.specs import TeacherSpec
from training.teachers.convnet import ConvNetForImageClassification
from training.teachers.find import load_oracle
from training.teachers.identity import NOTE
from training.teachers.oracles import ask

WHITENED = 5000
"""Training images whose patches say what a `semlink-convnet` whitens."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What the network is trained on: antialiased resize to its size, then (pixel/255 - mean)/std, all on its device.

    The folder's image processor does the same to whoever asks later; where it resizes, it rounds to 8 bits in between.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, C, size, size]."""
        x = images.permute(0, 3, 1, 2).float() / 255
        if x.shape[2:] != (self.size, self.size):
            x = fn.interpolate(x, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (x - mean) / std

    def processor(self) -> dict[str, Any]:
        """The same as `transformers` writes it."""
        side = {"height": self.size, "width": self.size}
        return {"image_processor_type": "ViTImageProcessor", "size": side, "image_mean": self.mean,
                "image_std": self.std, "resample": 3}  # fmt: skip


class _Objective(nn.Module):
    """Cross-entropy with label smoothing."""

    def __init__(self, model: nn.Module, inputs: _Inputs, smoothing: float) -> None:
        super().__init__()
        self.model, self.inputs, self.smoothing = model, inputs, smoothing

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(pixel_values=self.inputs(images)).logits
        return fn.cross_entropy(logits.float(), labels, label_smoothing=self.smoothing)


class _Task:
    def __init__(self, objective: nn.Module, images: ImageSet, device: torch.device) -> None:
        self.objective = objective
        self.labels = torch.from_numpy(images.labels)
        self.device = device

    def start_view(self, view: int) -> None:
        """Labels are the same in each view."""

    def arguments(
        self, pixels: NDArray[np.uint8], index: NDArray[np.int64], rows: slice, random: torch.Generator
    ) -> tuple[Any, ...]:
        return torch.from_numpy(pixels).to(self.device), self.labels[index[rows]].to(self.device)


def build_model(spec: TeacherSpec, channels: int, classes: tuple[str, ...]) -> nn.Module:
    """An untrained classifier of the recipe's `transformers` configuration."""
    from transformers import AutoConfig, AutoModelForImageClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours are enough
    names = dict(enumerate(classes))
    own: dict[str, Any] = {"image_size": spec.size, "num_channels": channels, **spec.config}
    try:
        config = AutoConfig.for_model(spec.model_type, **own, id2label=names, label2id={v: k for k, v in names.items()})
        model: nn.Module = AutoModelForImageClassification.from_config(config)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"teacher '{spec.model_type}' cannot be made: {' '.join(str(error).split())[:200]}"
        ) from error
    return model


def train_teacher(
    recipe: Recipe,
    train: ImageSet,
    out: Path,
    seed: int,
    device: torch.device,
    console: Console,
    made_of: Mapping[str, Any] | None = None,
) -> None:
    """Train the recipe's teacher on fresh views of `train` and save it to `out` as `save_pretrained` does.

    made_of: is kept beside it, in NOTE.
    """
    task, run, model, inputs = prepared(recipe, train, out, seed, device, console)
    fitted = fit(task, run)
    if process()[0] == 0:
        task.objective.load_state_dict(fitted.weights)
        _save(model, inputs, out, made_of)
        draw_curve(run.folder / CURVE, {run.title: run.folder})
        run.forget()


def prepared(
    recipe: Recipe,
    train: ImageSet,
    out: Path,
    seed: int,
    device: torch.device,
    console: Console,
) -> tuple[_Task, Run, nn.Module, _Inputs]:
    """The untrained teacher and its training, which has not begun."""
    spec = recipe.teacher
    channels = train.images.shape[-1]
    mean, std = (tuple(round(value, 4) for value in one) for one in train.mean_std())
    torch.manual_seed(seed)
    inputs = _Inputs(spec.size, mean, std)
    model = build_model(spec, channels, train.classes)
    if isinstance(model, ConvNetForImageClassification):
        model.whiten(inputs(torch.from_numpy(train.some(WHITENED).images)))
    identity = {"teacher": asdict(spec), "view": asdict(recipe.view), "data": fingerprint(train)}
    run = Run("teacher", out.parent / f"{out.name}.run", identity, train, recipe.view, 0, spec.schedule, seed, device,
              console)  # fmt: skip
    return _Task(_Objective(model, inputs, spec.label_smoothing), train, device), run, model, inputs


def _save(model: Any, inputs: _Inputs, out: Path, made_of: Mapping[str, Any] | None) -> None:
    """Written beside its place and moved there, config.json last: without it there is no teacher."""
    beside = out.with_name(f".{out.name}.tmp")
    beside.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(beside)
    write_json(beside / "preprocessor_config.json", inputs.processor())
    write_json(beside / NOTE, made_of or {})
    out.mkdir(exist_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    for path in sorted(beside.iterdir(), key=lambda path: path.name == "config.json"):
        path.replace(out / path.name)
    beside.rmdir()


def accuracy(folder: str, images: ImageSet, device: torch.device) -> float:
    """Fraction of `images` that the teacher at `folder` gets right."""
    logits = ask(load_oracle(folder, images.asked, device), images.images)
    return float((logits.argmax(-1).numpy() == images.labels).mean())
