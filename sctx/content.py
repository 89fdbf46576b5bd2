"""Content head: one image's features -> that image's own accuracy table. A pair may have one; no shipped pair has.

Knows nothing about channels, reports or rates. What it says is relative to the pair's table, which is of all images: by
how much this image is easier or harder, in logits, at a few SNRs; between them the shift is linear in dB.

    logit acc_k(snr | image) = logit acc_k(snr) + shift_k(snr | features)
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from common.manifest import Accuracy, ContentShape

SURE = 1e-3
"""Accuracies of the pair's table are held this far from 0 and 1, where a logit has no end."""


class ContentHead(nn.Module):
    """Two layers on standardised features: float [B, D] -> shifts in logits, float [B, K, J] (J: SNRs of the shape)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, shape: ContentShape, width: int, rates: int) -> None:
        super().__init__()
        self.shape, self._rates = shape, rates
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.inner = nn.Linear(width, shape.hidden)
        self.outer = nn.Linear(shape.hidden, rates * len(shape.snr_db))
        nn.init.zeros_(self.outer.weight)  # an untrained head says what the table says
        nn.init.zeros_(self.outer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """features: float [B, D], as the encoder gives them -> float [B, K, J]."""
        hidden = torch.relu(self.inner((features - self.mean) / self.spread))
        shifts: Tensor = self.outer(hidden).unflatten(-1, (self._rates, len(self.shape.snr_db)))
        return shifts

    def accuracies(self, features: Tensor, table: Accuracy, snr_db: Sequence[float]) -> Tensor:
        """acc_k of each image at these SNRs in dB: float [B, K, len(snr_db)], monotone in SNR."""
        between = np.stack([np.interp(snr_db, self.shape.snr_db, unit) for unit in np.eye(len(self.shape.snr_db))])
        shifts = self(features) @ torch.as_tensor(between, dtype=features.dtype, device=features.device)
        base = base_logits(table, snr_db).to(features.device)
        rising: Tensor = (base + shifts).sigmoid().cummax(-1).values
        return rising


def base_logits(table: Accuracy, snr_db: Sequence[float]) -> Tensor:
    """The pair's own table at these SNRs in dB, in logits: float [K, len(snr_db)]."""
    rows = np.stack([np.interp(snr_db, table.snr_db, row) for row in table.acc])
    return torch.as_tensor(rows, dtype=torch.float32).clamp(SURE, 1.0 - SURE).logit()
