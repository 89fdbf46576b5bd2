"""Accuracy of a student at fixed SNR, and its calibration, for the manifest; on validation data only.

Knows nothing about files. `training.evaluate` measures a finished pair through the emulator's channel instead.
"""

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.images.datasets import ImageSet
from common.pair.shapes import Accuracy, Calibration, Preprocess
from scrx.decoding.tasks import snr_bins
from sctx.encoder import normalise
from training.recipes.specs import Conditions
from training.student.air import draw, receive
from training.student.end_to_end import Student

GRID_DB = tuple(float(snr) for snr in range(-10, 31, 2))
CLEAN_DB = 60.0
ROWS = 2048
TEMPERATURES = tuple(round(2.0 ** (step / 35), 4) for step in range(-70, 71))
"""1/4 to 4 in steps of 2 %."""
EDGES_DB, FEW = (0.0, 6.0, 12.0), 200
"""SNR bins of the calibration, and the answers below which a bin has too few for a temperature of its own."""


def transmitter_cost(student: Student, preprocess: Preprocess) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of convolutions and linear layers for one image."""
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        places = output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
        macs += module.weight.numel() * places  # type: ignore[operator]

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
    trials = trials_for(len(images))
    features, labels = features_of(student, images, preprocess)
    random = torch.Generator().manual_seed(seed)
    columns = [_at(student, features, labels, snr, random, trials) for snr in (*GRID_DB, CLEAN_DB)]
    table = torch.stack(columns[:-1], 1).tolist()
    return Accuracy(GRID_DB, tuple(monotone(row) for row in table), round(float(columns[-1][-1]), 5))


@torch.no_grad()
def calibrate(
    student: Student, images: ImageSet, preprocess: Preprocess, conditions: Conditions, seed: int
) -> Calibration:
    """Temperature T of each rate and SNR bin that makes the NLL of softmax(logits / T) least (Guo et al. 2017), to 2 %.

    conditions: the channels of training, AWGN and Rayleigh, every SNR of the range, reports aged and missing. A bin
    with few answers takes the temperature of its whole rate.
    """
    layout = student.shapes.layout
    features, labels = features_of(student, images, preprocess)
    random = torch.Generator().manual_seed(seed)
    loss = np.zeros((len(layout.increments), len(EDGES_DB) + 1, len(TEMPERATURES)))
    seen = np.zeros(loss.shape[:2])
    for _ in range(2 * trials_for(len(labels))):
        for rows in _parts(len(labels)):
            part = features[rows]
            drawn = draw(len(part), layout, conditions, random).to(labels.device)
            logits, _ = student.from_features(part, drawn)
            silence = torch.zeros(len(part), layout.max_symbols, dtype=torch.complex64)
            _, gamma = receive(silence.to(labels.device), drawn, layout)
            losses = np.stack([_nll(logits, labels[rows], temperature) for temperature in TEMPERATURES], -1)
            for rate, symbols in enumerate(layout.rates):
                bins = snr_bins(gamma[:, :symbols].cpu().numpy(), EDGES_DB)
                np.add.at(loss[rate], bins, losses[rate])
                np.add.at(seen[rate], bins, 1)
    pooled = np.broadcast_to(loss.sum(1, keepdims=True), loss.shape)
    best = np.where((seen < FEW)[..., None], pooled, loss).argmin(-1)
    return Calibration(EDGES_DB, tuple(tuple(TEMPERATURES[one] for one in row) for row in best.tolist()))


def _nll(logits: Tensor, labels: Tensor, temperature: float) -> NDArray[np.float64]:
    """-log p of the true class: logits float [K, B, C], labels int64 [B] -> float [K, B]."""
    log_p = (logits / temperature).log_softmax(-1)
    right: NDArray[np.float64] = -log_p[:, torch.arange(len(labels)), labels].cpu().numpy()
    return right


def trials_for(images: int) -> int:
    """Channels per image: the fewer images, the more."""
    return max(2, min(8, 10_000 // images))


def _parts(count: int) -> Iterator[slice]:
    """Rows that fit into memory together."""
    return (slice(start, start + ROWS) for start in range(0, count, ROWS))


def features_of(student: Student, images: ImageSet, preprocess: Preprocess) -> tuple[Tensor, Tensor]:
    """Features float [N, 2 S] and labels int64 [N] on the student's device."""
    student.eval()
    device = next(student.parameters()).device
    parts = np.array_split(images.images, -(-len(images) // ROWS))
    features = [
        student.encoder(normalise(torch.from_numpy(part).to(device), preprocess.mean, preprocess.std)) for part in parts
    ]
    return torch.cat(features), torch.from_numpy(images.labels).to(device)


def _at(
    student: Student, features: Tensor, labels: Tensor, snr_db: float, random: torch.Generator, trials: int
) -> Tensor:
    """Accuracy of every rate at one SNR: float [K]."""
    layout = student.shapes.layout
    known = Conditions(snr_db, snr_db, rayleigh=0.0, missing=0.0, report_error_db=0.0)
    right = torch.zeros(len(layout.increments), device=labels.device)
    for _ in range(trials):
        for rows in _parts(len(labels)):
            part = features[rows]
            logits, _ = student.from_features(part, draw(len(part), layout, known, random).to(labels.device))
            right += (logits.argmax(-1) == labels[rows]).sum(-1)
    return (right / (trials * len(labels))).cpu()


def monotone(row: list[float]) -> tuple[float, ...]:
    """Mean of three neighbours, then the running maximum: accuracy does not fall with SNR but for chance."""
    padded = [row[0], *row, row[-1]]
    smooth = [sum(padded[i : i + 3]) / 3 for i in range(len(row))]
    return tuple(round(value, 5) for value in accumulate(smooth, max))
