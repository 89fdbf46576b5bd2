"""Semantic encoder, the distilled student: image -> features, two real numbers per symbol.

Knows nothing about SNR, constellations or rates.
"""

from torch import Tensor, nn

from common.pair.blocks import ConvBlock
from common.pair.shapes import EncoderShape


class Encoder(nn.Module):
    """X0 = R_alpha(image): a plain 3x3 ResNet (He et al. 2015, 4.2), average pooling, one linear layer.

    images: float [B, C, H, W], normalised as the manifest says -> X0: float [B, 2 S].
    """

    def __init__(self, shape: EncoderShape, channels: int, symbols: int) -> None:
        super().__init__()
        widths = (shape.width, 2 * shape.width, 4 * shape.width)
        self.stem = nn.Conv2d(channels, widths[0], 3, shape.stem_stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        blocks: list[nn.Module] = []
        wide_in = widths[0]
        for stage, width in enumerate(widths):
            for block in range(shape.blocks):
                blocks.append(ConvBlock(wide_in, width, 2 if stage and not block else 1))
                wide_in = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(wide_in, 2 * symbols)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.head(self.pooled(images))
        return features

    def pooled(self, images: Tensor) -> Tensor:
        """What the last layer is given: float [B, C, H, W] -> float [B, 4 width]."""
        x: Tensor = self.blocks(self.norm(self.stem(images)).relu())
        return x.mean((2, 3))
