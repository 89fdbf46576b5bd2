"""What distillation minimises: distance to the stored soft label, plus the rate of the symbols.

Knows nothing about networks, stores or channels. The derivation is in README.md beside this file.

    L = E[(1 - a) D(t, q) + a CE(y, q)] + beta R,     D = tau^2 KL(t_tau || q_tau) unless the recipe says otherwise
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from common.errors import ConfigError
from common.phy.constellation import levels

KINDS = ("kl", "standardised", "dkd")


@dataclass(frozen=True, slots=True)
class LossSpec:
    """kind: plain KL (the bottleneck's bound), logit standardisation (Sun et al. 2024) or DKD (Zhao et al. 2022)."""

    kind: Literal["kl", "standardised", "dkd"] = "kl"
    hard: float = 0.1
    """a: weight of the true label; 1 is training without a teacher."""
    tau: float = 2.0
    beta: float = 0.0
    """Weight of the rate, per bit and real dimension."""
    auxiliary: float = 0.0
    """Weight of the same distortion for a classifier on the encoder's features, without symbols or channel."""
    dkd_beta: float = 2.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"unknown loss '{self.kind}': one of {', '.join(KINDS)}")
        if not 0 <= self.hard <= 1 or self.tau <= 0 or min(self.beta, self.auxiliary) < 0:
            raise ConfigError(f"a loss needs 0 <= hard <= 1, tau > 0, beta and auxiliary >= 0: {self}")


def distortion(logits: Tensor, teacher: Tensor, labels: Tensor, spec: LossSpec) -> Tensor:
    """Mean over the batch. logits, teacher: float [B, C]; labels: int64 [B] -> scalar."""
    hard = fn.cross_entropy(logits, labels)
    if spec.hard == 1:
        return hard
    if spec.kind == "standardised":
        logits, teacher = _standardised(logits), _standardised(teacher)
    soft = _decoupled(logits, teacher, labels, spec) if spec.kind == "dkd" else divergence(logits, teacher, spec.tau)
    return (1 - spec.hard) * soft + spec.hard * hard


def divergence(logits: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """tau^2 KL(softmax(t/tau) || softmax(q/tau)) (Hinton et al. 2015, eq. 2; tau^2 keeps the gradient's scale)."""
    student, target = (logits / tau).log_softmax(-1), (teacher / tau).log_softmax(-1)
    return tau**2 * fn.kl_div(student, target, reduction="batchmean", log_target=True)


def _standardised(logits: Tensor) -> Tensor:
    """(z - mean)/std per row (Sun et al. 2024, eq. 10): scale-free, so confidence is left to the hard label."""
    return (logits - logits.mean(-1, keepdim=True)) / (logits.std(-1, keepdim=True) + 1e-7)


def _decoupled(logits: Tensor, teacher: Tensor, labels: Tensor, spec: LossSpec) -> Tensor:
    """Target-class KL + dkd_beta * KL among the other classes (Zhao et al. 2022, eq. 7)."""
    tau = spec.tau
    own = fn.one_hot(labels, logits.shape[-1]).bool()
    student, target = (logits / tau).softmax(-1), (teacher / tau).softmax(-1)
    two = [torch.stack((p[own], 1 - p[own]), -1).clamp(1e-7, 1.0) for p in (student, target)]
    target_class = fn.kl_div(two[0].log(), two[1], reduction="batchmean")
    rest = [(z / tau).masked_fill(own, -1e4).log_softmax(-1) for z in (logits, teacher)]
    others = fn.kl_div(rest[0], rest[1], reduction="batchmean", log_target=True)
    return tau**2 * (target_class + spec.dkd_beta * others)


class SymbolRate(nn.Module):
    """R = E[-log2 r(s)]: cross-entropy of the levels under a learned factorised model, an upper bound of their entropy.

    The level of a real dimension enters as a softmax over squared distances, so that the encoder gets a gradient; with
    hard levels it would get none, and with a Gaussian prior under a power constraint it is exactly zero.
    """

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
