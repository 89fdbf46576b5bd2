"""Muon: an update whose singular values are equal, for matrices and convolutions; AdamW for the rest."""

import pytest
import torch
from torch import nn

from common.errors import ConfigError
from training.loop.optimiser import Muon, make_optimisers, orthogonal
from training.recipes.specs import Schedule


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (96, 10), (1, 20)])
def test_an_update_has_nearly_equal_singular_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_an_update_keeps_the_singular_vectors() -> None:
    left, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)))
    right, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))
    turned = orthogonal(left @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.7, 0.5, 0.3])) @ right)
    inner = left.T @ turned @ right.T
    assert torch.allclose(inner, torch.diag(inner.diagonal()), atol=1e-3)
    assert (inner.diagonal() > 0.5).all()


def test_memory_format_does_not_change_a_step() -> None:
    """A convolution laid out channels last must move exactly as one that is not."""
    weights = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        layer = nn.Conv2d(4, 6, 3).to(memory_format=layout)
        image = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(4))
        (optimiser,) = [one for one in make_optimisers("muon", layer.parameters(), 0.1, 0.1) if isinstance(one, Muon)]
        layer(image).square().sum().backward()
        optimiser.step()
        weights.append(layer.weight.detach())
    assert torch.allclose(weights[0], weights[1], atol=1e-5)


def test_matrices_go_to_muon_and_every_parameter_to_exactly_one() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    adamw, muon = make_optimisers("muon", model.parameters(), 0.1, 0.0)
    assert {p.ndim for group in muon.param_groups for p in group["params"]} == {2, 4}
    assert {p.ndim for group in adamw.param_groups for p in group["params"]} == {1}
    assert len(make_optimisers("adamw", model.parameters(), 0.1, 0.0)) == 1


def test_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown optimiser 'sgd'"):
        Schedule(optimiser="sgd")  # type: ignore[arg-type]
