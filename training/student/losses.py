"""What distillation minimises: distance to the stored soft label and to the stored embedding.

Knows nothing about networks, stores or channels. The derivation is in training/README.md.

    L = E[(1 - a) D(t, q) + a CE(y, q) + w |v - v^|^2 / E|v|^2],     D = tau^2 KL(t_tau || q_tau)
"""

from torch import Tensor
from torch.nn import functional as fn

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
