"""A further task, "is the digit even?": one class, one row of TASKS, and its name in a pair's manifest.

The class is all that a receiver needs. Its head is trained here on the embedding of a pair that is there already, so
whatever else the pair answers stays as it is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from scrx.decoding.decoder import load_decoder
from torch import nn

from common.images.datasets import load_images
from common.pair.halves import load_half
from common.pair.manifest import Manifest
from scrx.decoding.tasks import Output, Task
from training.distillation.pairs import write_changed
from training.lab.evaluation import Lab, Setting


class Parity(Task):
    """{"even", "confidence"}: whether the digit is even, and how sure that is."""

    name = "parity"

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest, head=1)

    def answers(self, embedding: np.ndarray, scores: np.ndarray | None, gamma: np.ndarray) -> Sequence[Output]:
        """scores: float32 [B, 1], the logit of "even"."""
        assert scores is not None
        likely = 1.0 / (1.0 + np.exp(-scores[:, 0].astype(np.float64)))
        return [{"even": share > 0.5, "confidence": max(share, 1.0 - share)} for share in likely.tolist()]

    @staticmethod
    def confidence(output: Output) -> float | None:
        return float(output["confidence"])


def with_parity(manifest: Manifest, folder: Path) -> Manifest:
    """The pair with a head for parity, which comes first and so says the confidence; nothing else changes."""
    train = load_images("digits", "train", manifest.preprocess)
    soft = Lab(manifest, train.images).hear(Setting("awgn", "estimated", 6.0, 8, 1, 0, 0, 0.0, 6.0), stream=0)
    with torch.no_grad():
        given, _ = load_decoder(manifest)(torch.from_numpy(soft.symbols), torch.from_numpy(soft.gamma))
    even = torch.from_numpy(train.labels % 2 == 0).float()
    torch.manual_seed(0)
    head = nn.Linear(given.shape[1], 1)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        loss: Any = nn.functional.binary_cross_entropy_with_logits(head(given.relu())[:, 0], even)
        loss.backward()
        optimiser.step()
    weights = {**load_half(manifest, "decoder"), **head.state_dict(prefix=f"heads.{Parity.name}.")}
    return write_changed(manifest, folder, save(weights), tasks=(Parity.name, *manifest.tasks))
