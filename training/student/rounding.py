"""The transmitter's modulator with a gradient: what `sctx/modulate.py` computes, bit for bit, for training.

Knows nothing about networks, SNR or pilots.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.phy.constellation import levels
from common.phy.layout import Layout
from sctx.modulate import bounds


@dataclass(frozen=True, slots=True)
class Modulated:
    """What modulation gives: `symbols` on the air, and what the rate term of the loss looks at."""

    symbols: Tensor
    """complex64 [B, S]; each increment has unit mean power by itself."""
    squashed: Tensor
    """float [B, 2 S]: the values before rounding, inside the outermost decision cell."""


def modulate(features: Tensor, layout: Layout, order: int) -> Modulated:
    """features: float [B, 2 S] (real parts, then imaginary parts) -> symbols complex64 [B, S].

    u = A tanh(v/A) as there, then rounding with a straight-through gradient (Bengio et al. 2013): the value is the
    level's, the slope is that of u.
    """
    features = features.float()
    axis = levels(order)
    unit = float(axis[1] - axis[0]) / 2
    edge = float(axis[-1]) + unit
    squashed = edge * torch.tanh(features / edge)
    grid = torch.from_numpy(bounds(order)).to(features.device)
    odd = 2.0 * torch.bucketize(features.detach(), grid, right=True) - len(grid)
    real, imaginary = (odd + (squashed - squashed.detach()) / unit).chunk(2, -1)
    sizes = list(layout.increments)
    parts = zip(torch.split(real, sizes, -1), torch.split(imaginary, sizes, -1), strict=True)
    return Modulated(torch.cat([_unit_power(re, im) for re, im in parts], -1), squashed)


def _unit_power(real: Tensor, imaginary: Tensor) -> Tensor:
    power = (real.square() + imaginary.square()).sum(-1, keepdim=True) / real.shape[-1]
    scale = power.double().sqrt().float()  # of single precision, torch's root is not the nearest number
    return torch.complex(real / scale, imaginary / scale)
