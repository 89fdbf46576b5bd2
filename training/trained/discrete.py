"""A discrete bottleneck: an image is a word of `positions` letters out of `order`, which a receiver reads.

Knows nothing about how letters are brought over. After Xie et al. 2023 (arXiv 2209.10382), III: scores of a position
are inner products with a codebook, letters are drawn in training (Gumbel, straight-through) and the best one is taken
afterwards; what is heard wrong enters the loss as it is, without a gradient of its own.

    L = D(answer) - lambda H(letter | image) - mu H(letter)

The last term is not theirs (Baevski et al. 2020, arXiv 2006.11477, eq. 4): where few letters are all there is, it keeps
them in use.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.recipes.specs import LossSpec
from training.student.losses import distortion
from training.trained.fronts import linear_macs, mlp
from training.trained.small_nets import SmallNet

GUMBEL_TAU = 0.5
"""As published."""


@dataclass(frozen=True, slots=True)
class WordShape:
    """wide_in: of the front; before: units of a hidden layer of the encoder, 0: none, as published for MNIST.

    hidden: units of the decoder's first layer; whole: numbers of all letters of a word together (published: 1024)."""

    wide_in: int
    classes: int
    positions: int
    order: int
    before: int
    hidden: int
    whole: int


class Discrete(SmallNet):
    """Encoder, codebook and decoder. What becomes of the letters on the way is `heard`, a subclass's matter."""

    def __init__(self, shape: WordShape, loss: LossSpec, entropy: float = 0.0, usage: float = 0.0) -> None:
        """entropy, usage: lambda and mu, weights of entropies in nats, mean over the positions."""
        super().__init__()
        self.positions, self.order, self.loss = shape.positions, shape.order, loss
        self.entropy, self.usage = entropy, usage
        self.wide = max(2, shape.whole // shape.positions)
        self.encoder = mlp(shape.wide_in, shape.before, shape.positions * self.wide)
        spread = 1 / math.sqrt(shape.order)
        self.codebook = nn.Parameter(torch.empty(shape.order, self.wide).uniform_(-spread, spread))
        narrow = max(shape.hidden // 4, 2 * shape.classes)
        self.decoder = mlp(shape.positions * self.wide, shape.hidden, narrow, shape.classes)

    def draw(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """Gumbel noise, float [B, positions, order], and what `heard` needs."""
        uniform = torch.rand(batch, self.positions, self.order, generator=random).clamp(1e-9, 1 - 1e-7)
        return -(-uniform.log()).log(), *self.draw_way(batch, random)

    def draw_way(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """What is random on the way of the letters."""
        raise NotImplementedError

    def heard(self, letters: Tensor, *way: Tensor) -> Tensor:
        """letters: int64 [B, positions] -> as the receiver reads them, int64 [B, positions]."""
        raise NotImplementedError

    def scores(self, inputs: Tensor) -> Tensor:
        """float [B, D] -> float [B, positions, order]; the largest of a position is its letter."""
        words: Tensor = self.encoder(inputs)
        scores: Tensor = words.reshape(-1, self.positions, self.wide) @ self.codebook.T / math.sqrt(self.wide)
        return scores

    def answers(self, letters: Tensor) -> Tensor:
        """Letters as they were read, int64 [B, positions] -> logits float [B, C]."""
        logits: Tensor = self.decoder(self.codebook[letters].flatten(1))
        return logits

    def forward(self, inputs: Tensor, labels: Tensor, own: Tensor, gumbel: Tensor, *way: Tensor) -> Tensor:
        scores = self.scores(inputs)
        soft = ((scores + gumbel) / GUMBEL_TAU).softmax(-1)
        sent = soft.argmax(-1)
        read = nn.functional.one_hot(self.heard(sent, *way), self.order).to(soft.dtype)
        chosen = read + soft - soft.detach()
        logits = self.decoder((chosen @ self.codebook).flatten(1))
        log_p = scores.log_softmax(-1)
        entropy = -(log_p.exp() * log_p).sum(-1).mean()
        usage: Tensor = torch.special.entr(log_p.exp().mean(0)).sum(-1).mean()
        return distortion(logits, own, labels, self.loss) - self.entropy * entropy - self.usage * usage

    @property
    def sender_cost(self) -> tuple[int, int]:
        """Parameters and multiply-accumulates of the encoder and of the inner products, for one image."""
        parameters = sum(one.numel() for one in self.encoder.parameters()) + self.codebook.numel()
        return parameters, linear_macs(self.encoder) + self.positions * self.codebook.numel()
