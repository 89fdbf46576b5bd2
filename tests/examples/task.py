"""A further task, "is the digit even?": one class, one row of TASKS, and its name in a pair's manifest.

The class is all that a receiver needs. Its head is trained here on the features of a pair that is there already, so
whatever else the pair answers stays as it is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from common.images.datasets import load_images
from common.pair.manifest import Manifest
from common.pair.tensors import Tensors, load_half
from scrx.decoding.tasks import Output, Task
from training.distillation.pairs import write_changed
from training.lab.evaluation import Lab, Setting


class Parity(Task):
    """{"even", "confidence"}: whether the digit is even, and how sure that is."""

    name = "parity"

    def __init__(self, manifest: Manifest, weights: Tensors) -> None:
        super().__init__(manifest, weights)
        self._weight, self._bias = weights["weight"], weights["bias"]

    def answers(self, classes: np.ndarray, features: np.ndarray) -> Sequence[Output]:
        """features: float32 [B, F]; a linear head gives the logit of "even"."""
        likely = 1.0 / (1.0 + np.exp(-(features @ self._weight[0] + self._bias[0]).astype(np.float64)))
        return [{"even": share > 0.5, "confidence": max(share, 1.0 - share)} for share in likely.tolist()]

    @staticmethod
    def confidence(output: Output) -> float | None:
        return float(output["confidence"])


def with_parity(manifest: Manifest, folder: Path) -> Manifest:
    """The pair with a head for parity, which comes first and so says the confidence; nothing else changes."""
    train = load_images("digits", "train", manifest.preprocess)
    heard, _ = Lab(manifest, train.images).embed(Setting("awgn", "estimated", 6.0, 8, 1, 0, 0, 0.0, 6.0), stream=0)
    given, even = torch.from_numpy(heard), torch.from_numpy(train.labels % 2 == 0).float()
    torch.manual_seed(0)
    head = nn.Linear(given.shape[1], 1)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        loss: Any = nn.functional.binary_cross_entropy_with_logits(head(given)[:, 0], even)
        loss.backward()
        optimiser.step()
    made = {f"heads.{Parity.name}.{name}": one.detach().numpy() for name, one in head.named_parameters()}
    return write_changed(manifest, folder, save({**load_half(manifest, "decoder"), **made}),
                         tasks=(Parity.name, *manifest.tasks))  # fmt: skip
