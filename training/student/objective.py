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
from training.knowledge.shards import Store, View
from training.recipes.specs import Conditions, LossSpec
from training.student.air import Draw, draw
from training.student.decisions import Decisions
from training.student.end_to_end import Student
from training.student.losses import SymbolRate, distortion, unexplained
from training.teachers.oracles import Oracle, ask


class Objective(nn.Module):
    """Student and rate model under one loss, so that one optimiser (and one gradient exchange) serves both."""

    def __init__(self, student: Student, preprocess: Preprocess, spec: LossSpec, components: int = 0) -> None:
        """components: most numbers of a teacher's embedding that it will be shown."""
        super().__init__()
        check_cost(student.shapes.encoder, preprocess)  # before it is trained, and not when the pair is used
        self.student = student
        self.preprocess = preprocess
        self.spec = spec
        shapes = student.shapes
        self.rate = SymbolRate(2 * shapes.layout.max_symbols, shapes.order) if spec.beta else None
        width = student.encoder.head.in_features
        self.auxiliary = nn.Linear(width, shapes.classes) if spec.auxiliary else None
        self.heard = nn.Linear(shapes.decoder.embedding, components) if spec.embedding else None
        self.meant = nn.Linear(width, components) if spec.embedding and spec.auxiliary else None

    def forward(
        self, images: Tensor, labels: Tensor, teacher: Tensor, drawn: Draw, embedding: Tensor | None = None
    ) -> Tensor:
        """images: uint8 [B, H, W, C]; labels: int64 [B]; teacher: float [B, C]; embedding: its components, float [B, d]
        -> scalar loss, mean over rates."""
        encoder, spec = self.student.encoder, self.spec
        pooled = encoder.pooled(normalise(images, self.preprocess.mean, self.preprocess.std))
        heard, logits, squashed = self.student.hear(encoder.head(pooled).float(), drawn)
        count = len(logits)
        answers = logits.float().flatten(0, 1)
        loss: Tensor = distortion(answers, teacher.repeat(count, 1), labels.repeat(count), spec)
        if self.heard is not None and embedding is not None:
            loss = loss + spec.embedding * unexplained(self.heard(heard).float(), embedding)
        if self.auxiliary is not None:
            aside = distortion(self.auxiliary(pooled).float(), teacher, labels, spec)
            if self.meant is not None and embedding is not None:
                aside = aside + spec.embedding * unexplained(self.meant(pooled).float(), embedding)
            loss = loss + spec.auxiliary * aside
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
        self._view: View | None = None
        self._none = torch.zeros(1, len(images.classes))

    def start_view(self, view: int) -> None:
        """Open the view's soft labels; the store checks them, and that its pixels are ours."""
        if isinstance(self.soft, Store):
            self._view = self.soft.view(view, self.images)

    def arguments(
        self, pixels: NDArray[np.uint8], index: NDArray[np.int64], rows: slice, random: torch.Generator
    ) -> tuple[Any, ...]:
        """See `training.loop.fit.Task`."""
        ours = index[rows]
        drawn = draw(len(index), self.layout, self.conditions, random).part(rows)
        teacher, more = self._asked(pixels, ours)
        moved = (torch.from_numpy(pixels), self.labels[torch.from_numpy(ours)], teacher)
        given = [tensor.to(self.device) for tensor in moved]
        return *given, drawn.to(self.device), *(tensor.to(self.device) for tensor in more)

    def _asked(self, pixels: NDArray[np.uint8], index: NDArray[np.int64]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The teacher's logits for these images of the view, float [B, C], and where they are kept its embeddings."""
        if self.soft is None or (isinstance(self.soft, Store) and self._view is None):
            return self._none.expand(len(index), -1), ()
        if self._view is None:
            return ask(cast(Oracle, self.soft), pixels, index), ()
        more = (self._view.embedding(index),) if self._view.projection else ()
        return self._view.logits(index), more
