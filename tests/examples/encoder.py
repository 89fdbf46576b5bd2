"""Another kind of encoder: one class and one row of ENCODERS; a recipe names it as `kind` in its table [encoder].

In a recipe:

    [encoder]
    kind = "strided"
    width = 12
    blocks = 2
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from common.images.datasets import load_images
from common.pair.manifest import Manifest
from common.pair.shapes import EncoderShape, Preprocess
from sctx.encoder import Encoder
from training.distillation.pairs import write_encoder
from training.distillation.stages import untrained
from training.loop.fit import Run, fit
from training.recipes.recipe import Recipe
from training.student.objective import Distillation


class Strided(Encoder):
    """Convolutions that each halve the picture and double the width, without skips; then all that is left of it."""

    def __init__(self, shape: EncoderShape, channels: int, classes: int) -> None:
        super().__init__(shape, channels, classes)
        widths = [channels, *(shape.width << block for block in range(shape.blocks))]
        layers = [nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths)]
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.GELU())), nn.AdaptiveAvgPool2d(2))
        self.norm = nn.LayerNorm(4 * widths[-1])
        self.head = nn.Linear(4 * widths[-1], classes)

    @staticmethod
    def macs(shape: EncoderShape, height: int, width: int) -> int:
        """Each layer has a quarter of the places of the one before and four times its products."""
        return 9 * shape.blocks * shape.width**2 * height * width // 2

    def pooled(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.norm(self.body(images).flatten(1))
        return pooled


def trained(recipe: Recipe, folder: Path) -> Manifest:
    """A pair of the recipe's encoder, taught by the labels alone, as `training.distill` would write it."""
    image, device = recipe.image, torch.device("cpu")
    preprocess = Preprocess(image.height, image.width, image.channels, (0.3,), (0.4,))
    train, held = (load_images("digits", split, preprocess) for split in ("train", "validation"))
    held = held.take(np.arange(60))  # enough for an example
    torch.manual_seed(0)
    objective = untrained(replace(recipe, loss=replace(recipe.loss, hard=1.0)), train, preprocess)
    run = Run("student", folder / "run", {}, train, recipe.view, recipe.views, recipe.schedule, 0, device,
              Console(quiet=True))  # fmt: skip
    objective.load_state_dict(fit(Distillation(objective, train, None, device), run).weights)
    return write_encoder(folder / "pair", objective.encoder, recipe.encoder, recipe.layout, recipe.order, recipe.name,
                         train, held, preprocess, {"command": "an example"}, seed=0)  # fmt: skip
