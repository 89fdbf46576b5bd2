"""What the student is trained on: the loss on its features, with soft labels from a store or from a teacher at hand.

Knows nothing about optimisers, files, progress or what features become on the air.
"""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.images.imageset import ImageSet
from common.pair.shapes import EncoderShape, Preprocess
from sctx.encoder import check_cost, make_encoder, normalise
from training.knowledge.shards import Store, View
from training.recipes.specs import LossSpec
from training.student.losses import distortion, unexplained
from training.teachers.oracles import Oracle, ask


class Objective(nn.Module):
    """The encoder under its loss. `meant` predicts the teacher's embedding from the features, in training only."""

    def __init__(
        self, shape: EncoderShape, classes: int, preprocess: Preprocess, spec: LossSpec, components: int = 0
    ) -> None:
        """components: most numbers of a teacher's embedding that it will be shown."""
        super().__init__()
        check_cost(shape, preprocess)  # before it is trained, and not when the pair is used
        self.encoder = make_encoder(shape, preprocess.channels, classes)
        self.preprocess, self.spec = preprocess, spec
        self.meant = nn.Linear(self.encoder.head.in_features, components) if spec.embedding else None

    def forward(self, images: Tensor, labels: Tensor, teacher: Tensor, embedding: Tensor | None = None) -> Tensor:
        """images: uint8 [B, H, W, C]; labels: int64 [B]; teacher: float [B, C]; embedding: its components, float [B, d]
        -> scalar loss."""
        features, logits = self.encoder(normalise(images, self.preprocess.mean, self.preprocess.std))
        loss = distortion(logits.float(), teacher, labels, self.spec)
        if self.meant is not None and embedding is not None:
            loss = loss + self.spec.embedding * unexplained(self.meant(features).float(), embedding)
        return loss


class Distillation:
    """Batches for the loop: pixels, hard label, soft label of the same view."""

    def __init__(self, objective: Objective, images: ImageSet, soft: Store | Oracle | None, device: torch.device):
        self.objective: nn.Module = objective
        self.images = images
        self.labels = torch.from_numpy(images.labels)
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
        teacher, more = self._asked(pixels, ours)
        given = (torch.from_numpy(pixels), self.labels[torch.from_numpy(ours)], teacher, *more)
        return tuple(tensor.to(self.device) for tensor in given)

    def _asked(self, pixels: NDArray[np.uint8], index: NDArray[np.int64]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The teacher's logits for these images of the view, float [B, C], and where they are kept its embeddings."""
        if self.soft is None or (isinstance(self.soft, Store) and self._view is None):
            return self._none.expand(len(index), -1), ()
        if self._view is None:
            return ask(cast(Oracle, self.soft), pixels, index), ()
        more = (self._view.embedding(index),) if self._view.projection else ()
        return self._view.logits(index), more
