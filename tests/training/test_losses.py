"""Losses against their definitions."""

import pytest
import torch

from common.errors import ConfigError
from training.recipes.specs import LossSpec
from training.student.losses import distortion

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


@pytest.mark.parametrize("wrong", [{"hard": 1.5}, {"tau": 0.0}, {"embedding": -1.0}])
def test_impossible_losses_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LossSpec(**wrong)
