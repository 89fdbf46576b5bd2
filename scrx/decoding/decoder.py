"""Semantic decoder: equalised soft symbols + per-symbol SNR -> embedding and answers. The receiver's only torch.

Knows nothing about sockets, pilots or images.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from common.pair.blocks import MlpBlock
from common.pair.halves import built, load_half
from common.pair.manifest import Manifest
from common.pair.shapes import DecoderShape
from scrx.decoding.tasks import heads_of


class Decoder(nn.Module):
    """p = R_mu(Y^, gamma): a residual MLP over soft symbols, no hard demodulation, and a linear head for each task.

    The log-likelihood of a codeword c is linear in gamma x^ (2 Re<y, h c>/N0), so each symbol enters as x^, as
    x^ scaled by log(1 + gamma), and with log(1 + gamma) itself, which is 0 exactly where nothing was received.
    """

    def __init__(self, shape: DecoderShape, symbols: int, heads: Mapping[str, int]) -> None:
        """heads: task -> outputs, for each task that has a head."""
        super().__init__()
        self.inner = nn.Linear(5 * symbols, shape.hidden)
        self.blocks = nn.Sequential(*(MlpBlock(shape.hidden) for _ in range(shape.blocks)))
        self.norm = nn.LayerNorm(shape.hidden)
        self.embed = nn.Linear(shape.hidden, shape.embedding)
        self.heads = nn.ModuleDict({name: nn.Linear(shape.embedding, wide) for name, wide in heads.items()})

    def forward(self, symbols: Tensor, gamma: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """symbols: complex64 [B, S], gamma: float [B, S], linear; both 0 where not received.

        Returns the embedding, float [B, E], and what each head says, {"classify": float [B, C]}.
        """
        return self.decide(symbols.real, symbols.imag, gamma)

    def decide(self, real: Tensor, imaginary: Tensor, gamma: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The same of the symbols' real and imaginary parts, float [B, S] each."""
        belief = torch.log1p(gamma.clamp(max=1e4)) / 3.0
        x = torch.cat((real, imaginary, real * belief, imaginary * belief, belief), -1)
        embedding = self.embed(self.norm(self.blocks(self.inner(x))))
        return embedding, {name: head(embedding.relu()) for name, head in self.heads.items()}


def load_decoder(manifest: Manifest) -> Decoder:
    """The pair's receiver half, ready to answer (evaluation mode). It has a head for classes whatever its tasks are."""
    symbols, where, heads = manifest.layout.max_symbols, manifest.path / "decoder.safetensors", heads_of(manifest)
    weights = load_half(manifest, "decoder")
    return built(lambda: Decoder(manifest.decoder, symbols, heads), weights, str(where))


class ForGraph(nn.Module):
    """A decoder that takes and gives what `scrx.decoding.answerer.networks_of` says: no complex numbers, no names.

    symbols: float [B, S, 2], real and imaginary part; gamma: float [B, S] -> the embedding and each head, in order.
    """

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, symbols: Tensor, gamma: Tensor) -> tuple[Tensor, ...]:
        embedding, heads = self.decoder.decide(symbols[..., 0], symbols[..., 1], gamma)
        return (embedding, *heads.values())


def modules(manifest: Manifest) -> dict[str, nn.Module]:
    """The networks of `scrx.decoding.answerer.networks_of`. Raises as `load_decoder`."""
    return {"decoder": ForGraph(load_decoder(manifest)).eval()}
