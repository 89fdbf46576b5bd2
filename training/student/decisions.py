"""The second stage of training: symbols and receiver learn to bring the student's own decision through the noise.

Knows nothing about teachers, optimisers or files.

Distillation spends the channel on the whole soft label, also on what no decision depends on. Here the encoder's body is
fixed; its last layer, the adaptive module and the decoder are trained on what the student decides without noise.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from common.pair.shapes import Preprocess
from sctx.encoder import normalise
from training.student.air import Draw
from training.student.end_to_end import Student
from training.student.losses import divergence

CLEAN_DB = 60.0


class Decisions(nn.Module):
    """KL of every rate's answer from the student's own, at a low temperature: the lower it is, the less counts but the
    largest logit. Its own answer is the auxiliary classifier's, or without one that to all symbols without noise."""

    def __init__(
        self, student: Student, preprocess: Preprocess, tau: float, auxiliary: nn.Module | None = None
    ) -> None:  # fmt: skip
        super().__init__()
        self.student, self.preprocess, self.tau = student, preprocess, tau
        self.before = copy.deepcopy(student).requires_grad_(False)
        self.auxiliary = None if auxiliary is None else auxiliary.requires_grad_(False)
        student.encoder.requires_grad_(False)
        student.encoder.head.requires_grad_(True)

    def train(self, mode: bool = True) -> "Decisions":
        """The body keeps its batch statistics too."""
        super().train(mode)
        self.student.encoder.eval()
        self.before.eval()
        return self

    def forward(self, images: Tensor, labels: Tensor, teacher: Tensor, drawn: Draw) -> Tensor:
        """As `training.student.objective.Objective`; labels and teacher are not looked at."""
        pooled = self.student.encoder.pooled(normalise(images, self.preprocess.mean, self.preprocess.std))
        logits, _ = self.student.from_features(self.student.encoder.head(pooled).float(), drawn)
        return divergence(logits.float().flatten(0, 1), self.own(pooled, drawn).repeat(len(logits), 1), self.tau)

    def own(self, pooled: Tensor, drawn: Draw) -> Tensor:
        """The answer to keep: pooled float [B, D] -> logits float [B, C]."""
        if self.auxiliary is not None:
            logits: Tensor = self.auxiliary(pooled).float()
            return logits
        answers, _ = self.before.from_features(self.before.encoder.head(pooled).float(), without_noise(drawn))
        return answers[-1].float()


def without_noise(drawn: Draw) -> Draw:
    """The same frames over h = 1 at 60 dB, and the transmitter knows it."""
    n0 = torch.full_like(drawn.n0, 10 ** (-CLEAN_DB / 10))
    return replace(drawn, gain=torch.ones_like(drawn.gain), n0=n0, told_db=torch.full_like(drawn.told_db, CLEAN_DB))
