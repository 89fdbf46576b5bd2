"""What the student is trained on: the loss over every rate, with soft labels from a store or from a teacher at hand.

Knows nothing about optimisers, files or progress.
"""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.images.datasets import ImageSet
from common.pair.shapes import Preprocess
from sctx.encoder import check_cost, normalise
from training.knowledge.shards import Store
from training.recipes.specs import Conditions, LossSpec
from training.student.air import Draw, draw
from training.student.decisions import Decisions
from training.student.end_to_end import Student
from training.student.losses import SymbolRate, distortion
from training.teachers.oracles import Oracle, ask


class Objective(nn.Module):
    """Student and rate model under one loss, so that one optimiser (and one gradient exchange) serves both."""

    def __init__(self, student: Student, preprocess: Preprocess, spec: LossSpec) -> None:
        super().__init__()
        check_cost(student.shapes.encoder, preprocess)  # before it is trained, and not when the pair is used
        self.student = student
        self.preprocess = preprocess
        self.spec = spec
        shapes = student.shapes
        self.rate = SymbolRate(2 * shapes.layout.max_symbols, shapes.order) if spec.beta else None
        width = student.encoder.head.in_features
        self.auxiliary = nn.Linear(width, shapes.classes) if spec.auxiliary else None

    def forward(self, images: Tensor, labels: Tensor, teacher: Tensor, drawn: Draw) -> Tensor:
        """images: uint8 [B, H, W, C]; labels: int64 [B]; teacher: float [B, C] -> scalar loss, mean over rates."""
        encoder = self.student.encoder
        pooled = encoder.pooled(normalise(images, self.preprocess.mean, self.preprocess.std))
        logits, squashed = self.student.from_features(encoder.head(pooled).float(), drawn)
        count = len(logits)
        answers = logits.float().flatten(0, 1)
        loss: Tensor = distortion(answers, teacher.repeat(count, 1), labels.repeat(count), self.spec)
        if self.auxiliary is not None:
            loss = loss + self.spec.auxiliary * distortion(self.auxiliary(pooled).float(), teacher, labels, self.spec)
        if self.rate is None:
            return loss
        bits = self.rate(squashed)
        prefixes = self.student.received.to(bits.dtype).repeat(1, 2) @ bits
        loss = loss + self.spec.beta * prefixes.mean()
        return loss


class Distillation:
    """Batches for the loop: pixels, hard label, soft label of the same view, and a channel."""

    def __init__(
        self, objective: Objective | Decisions, images: ImageSet, conditions: Conditions, soft: Store | Oracle | None,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.objective: nn.Module = objective
        self.layout = objective.student.shapes.layout
        self.images = images
        self.labels = torch.from_numpy(images.labels)
        self.conditions = conditions
        self.soft = soft
        self.device = device
        self._view = torch.zeros(len(images), len(images.classes))

    def start_view(self, view: int) -> None:
        """Read the view's soft labels; the store checks them, and that its pixels are ours."""
        if isinstance(self.soft, Store):
            self._view = self.soft.logits(view, self.images)

    def arguments(
        self, pixels: NDArray[np.uint8], index: NDArray[np.int64], rows: slice, random: torch.Generator
    ) -> tuple[Any, ...]:
        """See `training.loop.fit.Task`."""
        ours = torch.from_numpy(index[rows])
        there = self.soft is None or isinstance(self.soft, Store)
        teacher = self._view[ours] if there else ask(cast(Oracle, self.soft), pixels, index[rows])
        drawn = draw(len(index), self.layout, self.conditions, random).part(rows)
        moved = (torch.from_numpy(pixels), self.labels[ours], teacher)
        return *(tensor.to(self.device) for tensor in moved), drawn.to(self.device)
