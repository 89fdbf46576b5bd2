"""The split model as training sees it: encoder, adaptive module, modulator, channel, receiver, decoder in one pass.

Knows nothing about teachers, losses or files.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.pair.shapes import DecoderShape, EncoderShape
from common.phy.layout import Layout
from scrx.decoding.decoder import Decoder
from scrx.decoding.tasks import CLASSIFY
from sctx.encoder import ChannelAdaptive, make_encoder
from training.student.air import Draw, receive
from training.student.rounding import modulate


@dataclass(frozen=True, slots=True)
class Shapes:
    """What the two networks look like; the manifest of the pair repeats it."""

    layout: Layout
    order: int
    channels: int
    classes: int
    encoder: EncoderShape
    decoder: DecoderShape


class Student(nn.Module):
    """Both halves and the channel between them. One pass answers for every rate: all prefixes train at once."""

    received: Tensor
    """bool [K, S]: which symbols have come by each rate."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.shapes = shapes
        symbols = shapes.layout.max_symbols
        self.encoder = make_encoder(shapes.encoder, shapes.channels, symbols)
        self.adapt = ChannelAdaptive(2 * symbols) if shapes.encoder.adaptive else None
        self.decoder = Decoder(shapes.decoder, symbols, {CLASSIFY: shapes.classes})
        received = torch.arange(symbols)[None] < torch.tensor(shapes.layout.rates)[:, None]
        self.register_buffer("received", received, persistent=False)

    def forward(self, images: Tensor, drawn: Draw) -> tuple[Tensor, Tensor]:
        """images: float [B, C, H, W] -> logits of every rate, float [K, B, C], and what the rate term looks at."""
        return self.from_features(self.encoder(images).float(), drawn)

    def from_features(self, features: Tensor, drawn: Draw) -> tuple[Tensor, Tensor]:
        """features: float [B, 2 S], as the encoder gives them -> logits float [K, B, C], squashed float [B, 2 S]."""
        _, logits, squashed = self.hear(features, drawn)
        return logits, squashed

    def hear(self, features: Tensor, drawn: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """As `from_features`, with the receiver's embedding at every rate before it, float [K, B, E]."""
        if self.adapt is not None:
            features = self.adapt(features, drawn.told_db)
        sent = modulate(features, self.shapes.layout, self.shapes.order)
        equalised, gamma = receive(sent.symbols, drawn, self.shapes.layout)
        kept, shape = self.received[:, None], (len(self.received), len(features))
        embedding, logits = self.decoder((equalised * kept).flatten(0, 1), (gamma * kept).flatten(0, 1))
        return embedding.unflatten(0, shape), logits[CLASSIFY].unflatten(0, shape), sent.squashed
