"""What distillation minimises: distance to the stored soft label, plus the rate of the symbols.

Knows nothing about networks, stores or channels. The derivation is in training/README.md.

    L = E[(1 - a) D(t, q) + a CE(y, q) + w |v - v^|^2 / E|v|^2] + beta R,     D = tau^2 KL(t_tau || q_tau)
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from common.phy.constellation import levels
from training.recipes.specs import LossSpec


def distortion(logits: Tensor, teacher: Tensor, labels: Tensor, spec: LossSpec) -> Tensor:
    """Mean over the batch. logits, teacher: float [B, C]; labels: int64 [B] -> scalar."""
    hard = fn.cross_entropy(logits, labels)
    if spec.hard == 1:
        return hard
    return (1 - spec.hard) * divergence(logits, teacher, spec.tau) + spec.hard * hard


def divergence(logits: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """tau^2 KL(softmax(t/tau) || softmax(q/tau)) (Hinton et al. 2015, eq. 2; tau^2 keeps the gradient's scale)."""
    student, target = (logits / tau).log_softmax(-1), (teacher / tau).log_softmax(-1)
    return tau**2 * fn.kl_div(student, target, reduction="batchmean", log_target=True)


def unexplained(predicted: Tensor, embedding: Tensor) -> Tensor:
    """Share of the embedding's energy that a prediction misses: 1 for predicting its mean, 0; scalar.

    predicted: float [..., B, D], of which the first d count; embedding: float [B, d], centred.
    """
    missed = (predicted[..., : embedding.shape[-1]] - embedding).square().sum(-1).mean()
    return missed / embedding.square().sum(-1).mean().clamp(min=1e-12)


class SymbolRate(nn.Module):
    """R = E[-log2 r(s)]: cross-entropy of the levels under a learned factorised model, an upper bound of their entropy.

    The level of a real dimension enters as a softmax over squared distances, so that the encoder gets a gradient; with
    hard levels it would get none, and with a Gaussian prior under a power constraint it is exactly zero.
    """

    grid: Tensor
    """float [levels]"""

    def __init__(self, dimensions: int, order: int) -> None:
        super().__init__()
        grid = torch.as_tensor(levels(order))
        self.register_buffer("grid", grid)
        self.sharpness = float(8.0 / (grid[1] - grid[0]) ** 2)
        self.logits = nn.Parameter(torch.zeros(dimensions, len(grid)))

    def forward(self, squashed: Tensor) -> Tensor:
        """squashed: float [B, 2 S], before rounding -> bits per real dimension, mean over the batch, float [2 S]."""
        near = (-self.sharpness * (squashed[..., None] - self.grid) ** 2).softmax(-1)
        return -(near * self.logits.log_softmax(-1)).sum(-1).mean(0) / torch.log(torch.tensor(2.0))
