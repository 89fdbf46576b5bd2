"""The optimiser: AdamW for everything, or Muon for weight matrices and convolutions with AdamW for the rest.

Knows nothing about losses, schedules of the rate or what the parameters mean.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
STEPS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is orthogonalised before it is applied (Jordan et al. 2024), decoupled weight decay.

    A convolution [O, I, k, k] counts as the matrix [O, I k k]. The update is scaled by 0.2 sqrt(max(rows, columns)), so
    that its root mean square is AdamW's and both take the same learning rate (Liu et al. 2025, eq. 4). In place of
    `torch.optim.Muon`, which takes matrices only and works in bfloat16: three times slower where processors emulate it.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(state["momentum"], group["momentum"])  # Nesterov
                matrix = ahead.flatten(1)
                scale = 0.2 * math.sqrt(max(matrix.shape))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(orthogonal(matrix).view_as(ahead), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """float [R, C] -> about U V^T of its singular value decomposition: singular values 0.7 to 1.2 after five steps."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = (x.T if tall else x).contiguous()
    return found


def make_optimisers(
    kind: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """kind: `adamw` or `muon`. One optimiser, or two that share the parameters out."""
    every = list(parameters)
    matrices = [one for one in every if kind == "muon" and one.ndim > 1]
    others = [one for one in every if kind != "muon" or one.ndim < 2]
    adamw: list[torch.optim.Optimizer] = (
        [torch.optim.AdamW(others, lr, weight_decay=weight_decay, fused=True)] if others else []
    )
    return adamw + ([Muon(matrices, lr, weight_decay)] if matrices else [])
