"""Accuracy of a student at fixed SNR, for the table in the manifest; on validation data only.

Knows nothing about files. `training.evaluate` measures a finished pair through the emulator's channel instead.
"""

from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from common.data import ImageSet
from common.manifest import Accuracy, Preprocess
from sctx.pipeline import normalise
from training.channel import Conditions, draw
from training.student import Student

GRID_DB = tuple(float(snr) for snr in range(-10, 31, 2))
CLEAN_DB = 60.0
ROWS = 2048


def transmitter_cost(student: Student, preprocess: Preprocess) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of convolutions and linear layers for one image."""
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        places = output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
        macs += module.weight.numel() * places  # type: ignore[operator, union-attr]

    parts = [part for part in (student.encoder, student.adapt) if part is not None]
    layers = [layer for part in parts for layer in part.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    device = next(student.parameters()).device
    image = torch.zeros(1, preprocess.channels, preprocess.height, preprocess.width, device=device)
    with torch.no_grad():
        student.eval()
        features = student.encoder(image)
        if student.adapt is not None:
            student.adapt(features, torch.zeros(1, device=device))
    for hook in hooks:
        hook.remove()
    return sum(p.numel() for part in parts for p in part.parameters()), macs


@torch.no_grad()
def measure(student: Student, images: ImageSet, preprocess: Preprocess, seed: int) -> Accuracy:
    """acc[k][g] on AWGN with pilots and estimated CSI, the transmitter told the true SNR.

    A fixed instantaneous SNR is all that a table needs: under fading the controller averages over it.
    """
    student.eval()
    trials = max(2, min(8, 10_000 // len(images)))  # noises per image: the fewer images, the more
    device = next(student.parameters()).device
    parts = np.array_split(images.images, -(-len(images) // ROWS))
    features = torch.cat(
        [
            student.encoder(normalise(torch.from_numpy(part).to(device), preprocess.mean, preprocess.std))
            for part in parts
        ]
    )
    labels = torch.from_numpy(images.labels).to(device)
    random = torch.Generator().manual_seed(seed)
    columns = [_at(student, features, labels, snr, random, trials) for snr in (*GRID_DB, CLEAN_DB)]
    table = torch.stack(columns[:-1], 1).tolist()
    return Accuracy(GRID_DB, tuple(_monotone(row) for row in table), round(float(columns[-1][-1]), 5))


def _at(
    student: Student, features: Tensor, labels: Tensor, snr_db: float, random: torch.Generator, trials: int
) -> Tensor:
    """Accuracy of every rate at one SNR: float [K]."""
    layout = student.shapes.layout
    known = Conditions(snr_db, snr_db, rayleigh=0.0, missing=0.0, report_error_db=0.0)
    right = torch.zeros(len(layout.increments), device=labels.device)
    for _ in range(trials):
        for rows in torch.arange(len(labels), device=labels.device).split(ROWS):
            logits, _ = student.from_features(features[rows], draw(len(rows), layout, known, random).to(labels.device))
            right += (logits.argmax(-1) == labels[rows]).sum(-1)
    return (right / (trials * len(labels))).cpu()


def _monotone(row: list[float]) -> tuple[float, ...]:
    """Mean of three neighbours, then the running maximum: accuracy does not fall with SNR but for chance."""
    padded = [row[0], *row, row[-1]]
    smooth = [sum(padded[i : i + 3]) / 3 for i in range(len(row))]
    return tuple(round(value, 5) for value in accumulate(smooth, max))
