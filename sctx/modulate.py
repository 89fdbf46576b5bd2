"""Features -> constellation points: squash, round to square QAM, unit mean power per increment.

Knows nothing about networks, SNR or pilots.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.phy.constellation import levels
from common.phy.layout import Layout


@dataclass(frozen=True, slots=True)
class Modulated:
    """What modulation gives: `symbols` on the air, and what the rate term of training looks at."""

    symbols: Tensor
    """complex64 [B, S]; each increment has unit mean power by itself."""
    squashed: Tensor
    """float [B, 2 S]: the values before rounding, inside the outermost decision cell."""


def modulate(features: Tensor, layout: Layout, order: int) -> Modulated:
    """features: float [B, 2 S] (real parts, then imaginary parts) -> symbols complex64 [B, S].

    u = A tanh(v/A), A half a step beyond the outermost level; then rounding with a straight-through gradient (Bengio
    et al. 2013); then each increment is divided by the root of its own mean power, so power is constrained per image
    and increment, and a symbol is never rescaled when further increments follow.
    """
    grid = torch.as_tensor(levels(order), device=features.device)
    step = grid[1] - grid[0]
    edge = grid[-1] + step / 2
    squashed = edge * torch.tanh(features.float() / edge)
    index = ((squashed - grid[0]) / step).round().clamp(0, len(grid) - 1).long()
    hard = squashed + (grid[index] - squashed).detach()
    real, imaginary = hard.chunk(2, -1)
    sizes = list(layout.increments)
    parts = zip(torch.split(real, sizes, -1), torch.split(imaginary, sizes, -1), strict=True)
    return Modulated(torch.cat([_unit_power(re, im) for re, im in parts], -1), squashed)


def _unit_power(real: Tensor, imaginary: Tensor) -> Tensor:
    power = (real.square() + imaginary.square()).mean(-1, keepdim=True)
    scale = power.rsqrt()
    return torch.complex(real * scale, imaginary * scale)
