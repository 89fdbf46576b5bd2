"""The linear layer that decides, fitted to the features of a body that is done. Knows nothing about how it was trained.

A head that was trained with its body has learnt the teacher's answers by the features of earlier steps; on many classes
a fit to the labels is right more often (LOG.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional as fn

from common.images.imageset import ImageSet
from common.pair.shapes import Preprocess
from sctx.encoder import Encoder
from training.distillation.measure import said_of

DECAY, TURNS = 1e-4, 100
"""Of a fit: weight of its squares, and most steps."""
CHANCE = 0.05
"""A head is exchanged only where chance would give as much with this probability at most."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Right decisions of `count` validation images by the head as it was trained, and by the fitted one."""

    trained: int
    fitted: int
    count: int
    exchanged: bool

    def __str__(self) -> str:
        chance = ", for that may be chance" if self.fitted > self.trained else ""
        outcome = "the fitted one is taken" if self.exchanged else f"it stays{chance}"
        return (
            f"head: right on {self.trained} of {self.count} validation images, a fitted one on {self.fitted}; {outcome}"
        )


def better_head(encoder: Encoder, train: ImageSet, validation: ImageSet, preprocess: Preprocess) -> Heads:
    """Exchange the head for one fitted to train, where that is better on validation beyond chance.

    By an exact test of McNemar's, one-sided.
    """
    kept = encoder.head
    before = said_of(encoder, validation, preprocess)[0] == validation.labels
    encoder.head = fit_head(kept, said_of(encoder, train, preprocess)[1], train.labels)
    after = said_of(encoder, validation, preprocess)[0] == validation.labels
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    better = gained > lost and float(binomtest(gained, gained + lost, alternative="greater").pvalue) <= CHANCE
    if not better:
        encoder.head = kept
    return Heads(int(before.sum()), int(after.sum()), len(validation), better)


def fit_head(head: nn.Linear, features: NDArray[np.float32], labels: NDArray[np.int64]) -> nn.Linear:
    """Multinomial logistic regression of the labels on the features; features: float32 [N, F]; labels: int64 [N].

    A new layer of the same shape, on the same device.
    """
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    x, y = torch.from_numpy((features - mean) / deviation), torch.from_numpy(labels)
    weight = torch.zeros(head.out_features, head.in_features, requires_grad=True)
    bias = torch.zeros(head.out_features, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=TURNS, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimiser.zero_grad()
        value = fn.cross_entropy(x @ weight.T + bias, y) + DECAY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fitted = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        scaled = weight / torch.from_numpy(deviation)
        fitted.weight.copy_(scaled)
        fitted.bias.copy_(bias - scaled @ torch.from_numpy(mean))
    return fitted.to(head.weight.device)
