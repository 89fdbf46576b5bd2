"""Semantic encoder and channel-adaptive module: image -> features, for the reported SNR. The transmitter's only torch.

Knows nothing about constellations, rates or how old a report is.
"""

import torch
from torch import Tensor, nn

from common.errors import ConfigError, ModelError
from common.pair.blocks import ConvBlock, snr_features
from common.pair.halves import built, load_half
from common.pair.manifest import Manifest
from common.pair.shapes import RESNET, EncoderShape, Preprocess
from common.text import safe

MOST_MACS = 10**11
"""Multiply-accumulates for one image that a transmitter lets a pair ask for."""


class Encoder(nn.Module):
    """X0 = R_alpha(image): a body that ends in one vector per image, and one linear layer, two numbers per symbol.

    images: float [B, C, H, W], normalised as the manifest says -> X0: float [B, 2 S], real parts, then imaginary ones.
    A kind of encoder is a subclass and a row of ENCODERS. Its constructor only makes layers: a pair's is also run on
    torch's "meta" device, where nothing can be computed.
    """

    head: nn.Linear
    """The last layer; the second stage of training leaves all before it as it is."""

    def __init__(self, shape: EncoderShape, channels: int, symbols: int) -> None:
        super().__init__()

    @staticmethod
    def macs(shape: EncoderShape, height: int, width: int) -> int:
        """Multiply-accumulates for one image, about: by them a pair that would take hours is refused."""
        raise NotImplementedError

    def pooled(self, images: Tensor) -> Tensor:
        """What the last layer is given: float [B, C, H, W] -> float [B, head.in_features]."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.head(self.pooled(images))
        return features


class ResNet(Encoder):
    """A plain 3x3 ResNet (He et al. 2015, 4.2) of three stages, `width`, 2 and 4 times as wide, average pooling.

    blocks: residual blocks of each stage; stem_stride: of the first convolution.
    """

    def __init__(self, shape: EncoderShape, channels: int, symbols: int) -> None:
        super().__init__(shape, channels, symbols)
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

    @staticmethod
    def macs(shape: EncoderShape, height: int, width: int) -> int:
        """Of the 3x3 convolutions: each stage has as many."""
        places = -(-height // shape.stem_stride) * -(-width // shape.stem_stride)
        return 3 * 2 * 9 * shape.blocks * shape.width**2 * places

    def pooled(self, images: Tensor) -> Tensor:
        x: Tensor = self.blocks(self.norm(self.stem(images)).relu())
        return x.mean((2, 3))


ENCODERS: dict[str, type[Encoder]] = {RESNET: ResNet}
"""Every kind of encoder, by the name that a manifest or a recipe gives it."""


class ChannelAdaptive(nn.Module):
    """w = Phi_theta(X0, snr), X = w * X0: one weight in 0..4 per feature.

    The modulator squashes and rounds afterwards, so a large weight moves a feature to the outer points of the
    constellation (robust, few levels in use) and a small one spreads it over the inner points (fine, fragile).
    """

    def __init__(self, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.inner = nn.Linear(width + 2, hidden)
        self.outer = nn.Linear(hidden, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.constant_(self.outer.bias, -1.0986)  # sigmoid(-ln 3) = 1/4: every weight starts at 1

    def forward(self, features: Tensor, snr_db: Tensor) -> Tensor:
        """features: float [B, D]; snr_db: float [B], NaN = no report -> float [B, D]."""
        hidden = torch.cat((features, snr_features(snr_db)), -1)
        weight = 4.0 * torch.sigmoid(self.outer(torch.relu(self.inner(hidden))))
        return weight * features


def make_encoder(shape: EncoderShape, channels: int, symbols: int) -> Encoder:
    """An untrained encoder. ConfigError for a kind that is not known here."""
    return kind_of(shape)(shape, channels, symbols)


def kind_of(shape: EncoderShape) -> type[Encoder]:
    """The class of an encoder's kind. ConfigError for one that is not known here."""
    kind = ENCODERS.get(shape.kind)
    if kind is None:
        known = ", ".join(ENCODERS)
        raise ConfigError(f"no encoder of kind '{safe(shape.kind, 64)}': this version of semlink has {known}")
    return kind


def check_cost(shape: EncoderShape, image: Preprocess) -> None:
    """ConfigError where one image would take more than MOST_MACS."""
    if kind_of(shape).macs(shape, image.height, image.width) > MOST_MACS:
        raise ConfigError(f"its encoder takes more than {MOST_MACS:.0e} multiply-accumulates for one image")


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """images: uint8 [B, H, W, C] -> float [B, C, H, W], (pixel/255 - mean)/std per channel."""
    scaled = images.float() / 255.0
    return ((scaled - scaled.new_tensor(mean)) / scaled.new_tensor(std)).permute(0, 3, 1, 2)


def load_encoder(manifest: Manifest) -> tuple[Encoder, ChannelAdaptive | None]:
    """The pair's transmitter half (evaluation mode); ModelError where its manifest or its file is wrong."""
    shape, image, symbols = manifest.encoder, manifest.preprocess, manifest.layout.max_symbols
    where = str(manifest.path / "encoder.safetensors")
    try:
        check_cost(shape, image)
    except ConfigError as error:
        raise ModelError(f"pair {safe(manifest.name, 60)}: {error}") from None
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "adapt": {}} if shape.adaptive else {"encoder": {}}
    for name, tensor in load_half(manifest, "encoder").items():
        part, _, rest = name.partition(".")
        if part not in parts:
            raise ModelError(f"{where} has a strange tensor '{safe(name)}'")
        parts[part][rest] = tensor
    encoder = built(lambda: make_encoder(shape, image.channels, symbols), parts["encoder"], where)
    if not shape.adaptive:
        return encoder, None
    return encoder, built(lambda: ChannelAdaptive(2 * symbols), parts["adapt"], where)


class FromPixels(nn.Module):
    """The encoder behind what the manifest says of pixels: uint8 [B, H, W, C] -> X0, float [B, 2 S]."""

    def __init__(self, encoder: Encoder, image: Preprocess) -> None:
        super().__init__()
        self.encoder, self._mean, self._std = encoder, image.mean, image.std

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.encoder(normalise(images, self._mean, self._std))
        return features


def modules(manifest: Manifest) -> dict[str, nn.Module]:
    """The networks of `sctx.pipeline.networks_of`. Raises as `load_encoder`."""
    encoder, adapt = load_encoder(manifest)
    found: dict[str, nn.Module] = {"encoder": FromPixels(encoder, manifest.preprocess).eval()}
    return found if adapt is None else {**found, "adapt": adapt}
