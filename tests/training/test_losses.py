"""Losses against their definitions, and a rate term that has a gradient."""

import math

import pytest
import torch

from common.errors import ConfigError
from training.recipes.specs import LossSpec
from training.student.losses import SymbolRate, distortion

RANDOM = torch.Generator().manual_seed(0)
LOGITS, TEACHER = (3 * torch.randn(16, 10, generator=RANDOM) for _ in range(2))
LABELS = torch.randint(10, (16,), generator=RANDOM)


def test_plain_loss_is_tau_squared_kl_plus_cross_entropy() -> None:
    target, student = (TEACHER / 2).softmax(-1), (LOGITS / 2).softmax(-1)
    kl = (target * (target / student).log()).sum(-1).mean()
    ce = -LOGITS.log_softmax(-1)[torch.arange(16), LABELS].mean()
    expected = 0.7 * 4 * kl + 0.3 * ce
    assert torch.allclose(distortion(LOGITS, TEACHER, LABELS, LossSpec(hard=0.3, tau=2.0)), expected, rtol=1e-5)


def test_a_student_equal_to_its_teacher_has_no_soft_loss() -> None:
    assert abs(float(distortion(TEACHER, TEACHER, LABELS, LossSpec(hard=0.0)))) < 1e-5


def test_a_constant_added_to_the_logits_changes_nothing() -> None:
    spec = LossSpec(hard=0.2)
    moved = distortion(LOGITS + 5, TEACHER - 7, LABELS, spec)
    assert torch.allclose(moved, distortion(LOGITS, TEACHER, LABELS, spec), rtol=1e-4)


def test_rate_is_the_entropy_of_the_levels_and_has_a_gradient() -> None:
    rate = SymbolRate(2, 16)
    values = torch.tensor([[-0.95, 0.32], [0.95, 0.32]] * 50, requires_grad=True)
    with torch.no_grad():
        rate.logits[:] = torch.tensor([[math.log(0.5), -20, -20, math.log(0.5)], [-20, -20, 0.0, -20]])
    bits = rate(values)
    assert bits.tolist() == pytest.approx([1.0, 0.0], abs=0.05)
    bits.sum().backward()
    assert values.grad is not None
    assert values.grad.abs().max() > 0
    assert float(SymbolRate(1, 16)(values[:, :1]).detach()) == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"hard": 1.5}, {"tau": 0.0}, {"beta": -1.0}, {"auxiliary": -1.0}])
def test_impossible_losses_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LossSpec(**wrong)
