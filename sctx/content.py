"""Content head: one image's features -> how easy it is -> the accuracy table of images as easy.

No shipped pair has one. Knows nothing about channels, reports or rates. One number is predicted per image, and tables
are measured (`training.content`): in a table predicted for one image each rate has an error of its own, and the best
of them is then often the luckiest.

    acc_k(snr | image) = acc_k(snr | group),    group = how many edges ease(features) exceeds
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from common.manifest import ContentShape


class ContentHead(nn.Module):
    """Two layers on standardised features, float [B, D]; edges between G groups; their accuracies, float [G, K, J]."""

    mean: Tensor
    spread: Tensor
    edges: Tensor
    table: Tensor

    def __init__(self, shape: ContentShape, width: int, rates: int) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("edges", torch.zeros(shape.groups - 1))
        self.register_buffer("table", torch.zeros(shape.groups, rates, len(shape.snr_db)))
        self.inner = nn.Linear(width, shape.hidden)
        self.outer = nn.Linear(shape.hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """features: float [B, D], as the encoder gives them -> ease, float [B]: the logit of the mean accuracy."""
        ease: Tensor = self.outer(torch.relu(self.inner((features - self.mean) / self.spread)))[:, 0]
        return ease

    def group(self, features: Tensor) -> Tensor:
        """features: float [B, D] -> int64 [B], 0 (hardest) to G - 1."""
        return torch.bucketize(self(features), self.edges)

    def accuracies(self, features: Tensor, snr_db: Sequence[float]) -> Tensor:
        """acc_k of each image at these SNRs in dB: float [B, K, len(snr_db)], linear between the head's own."""
        between = np.stack([np.interp(snr_db, self.shape.snr_db, unit) for unit in np.eye(len(self.shape.snr_db))])
        tables = self.table @ torch.as_tensor(between, dtype=self.table.dtype, device=self.table.device)
        return tables[self.group(features)]
