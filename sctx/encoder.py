"""Semantic encoder: image -> features and the transmitter's own decision. The transmitter's only torch.

Knows nothing about symbols, rates or SNR.
"""

from torch import Tensor, nn

from common.errors import ConfigError, ModelError
from common.pair.blocks import ConvBlock
from common.pair.halves import built
from common.pair.manifest import Manifest
from common.pair.shapes import RESNET, EncoderShape, Preprocess
from common.pair.tensors import SPEECH, load_half
from common.text import safe

MOST_MACS = 10**11
"""Multiply-accumulates for one image that a transmitter lets a pair ask for."""


class Encoder(nn.Module):
    """X0 = R_alpha(image): a body that ends in one vector per image, and one linear layer that decides by it.

    images: float [B, C, H, W], normalised as the manifest says -> X0: float [B, F]; logits: float [B, classes].
    A kind of encoder is a subclass and a row of ENCODERS. Its constructor only makes layers: a pair's is also run on
    torch's "meta" device, where nothing can be computed.
    """

    head: nn.Linear
    """Features -> logits."""

    def __init__(self, shape: EncoderShape, channels: int, classes: int) -> None:
        super().__init__()

    @staticmethod
    def macs(shape: EncoderShape, height: int, width: int) -> int:
        """Multiply-accumulates for one image, about: by them a pair that would take hours is refused."""
        raise NotImplementedError

    def pooled(self, images: Tensor) -> Tensor:
        """The features: float [B, C, H, W] -> float [B, head.in_features]."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images: float [B, C, H, W] -> features float [B, F], logits float [B, classes]."""
        features = self.pooled(images)
        return features, self.head(features)


class ResNet(Encoder):
    """A plain 3x3 ResNet (He et al. 2015, 4.2) of three stages, `width`, 2 and 4 times as wide, average pooling.

    blocks: residual blocks of each stage; stem_stride: of the first convolution.
    """

    def __init__(self, shape: EncoderShape, channels: int, classes: int) -> None:
        super().__init__(shape, channels, classes)
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
        self.head = nn.Linear(wide_in, classes)

    @staticmethod
    def macs(shape: EncoderShape, height: int, width: int) -> int:
        """Of the 3x3 convolutions: each stage has as many."""
        places = -(-height // shape.stem_stride) * -(-width // shape.stem_stride)
        return 3 * 2 * 9 * shape.blocks * shape.width**2 * places

    def maps(self, images: Tensor) -> Tensor:
        """What is pooled: float [B, C, H, W] -> float [B, head.in_features, h, w]."""
        return self.blocks(self.norm(self.stem(images)).relu())  # type: ignore[no-any-return]

    def pooled(self, images: Tensor) -> Tensor:
        return self.maps(images).mean((2, 3))


class ExpandedResNet(ResNet):
    """The same with a 1x1 convolution to twice as many channels before the pooling, as MobileNets have.

    (Howard et al. 2019, 5.1.) Features that later questions are asked of are told apart better by more numbers.
    """

    def __init__(self, shape: EncoderShape, channels: int, classes: int) -> None:
        super().__init__(shape, channels, classes)
        inside = 4 * shape.width
        self.expand = nn.Conv2d(inside, 2 * inside, 1, bias=False)
        self.expanded = nn.BatchNorm2d(2 * inside)
        self.head = nn.Linear(2 * inside, classes)

    @staticmethod
    def macs(shape: EncoderShape, height: int, width: int) -> int:
        """And those of the 1x1 convolution, which sees a sixteenth of the places."""
        places = -(-height // (4 * shape.stem_stride)) * -(-width // (4 * shape.stem_stride))
        return ResNet.macs(shape, height, width) + 2 * (4 * shape.width) ** 2 * places

    def maps(self, images: Tensor) -> Tensor:
        return self.expanded(self.expand(super().maps(images))).relu()  # type: ignore[no-any-return]


ENCODERS: dict[str, type[Encoder]] = {RESNET: ResNet, "resnet-expanded": ExpandedResNet}
"""Every kind of encoder, by the name that a manifest or a recipe gives it."""


def make_encoder(shape: EncoderShape, channels: int, classes: int) -> Encoder:
    """An untrained encoder. ConfigError for a kind that is not known here."""
    return kind_of(shape)(shape, channels, classes)


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
    scaled = images.permute(0, 3, 1, 2).float() / 255.0  # channels first: ONNX Runtime takes 3 numbers at a time else
    centre, spread = (scaled.new_tensor(one)[:, None, None] for one in (mean, std))
    return (scaled - centre) / spread


def load_encoder(manifest: Manifest) -> Encoder:
    """The pair's encoder (evaluation mode); ModelError where its manifest or its file is wrong."""
    shape, image = manifest.encoder, manifest.preprocess
    try:
        check_cost(shape, image)
    except ConfigError as error:
        raise ModelError(f"pair {safe(manifest.name, 60)}: {error}") from None
    weights = {name: one for name, one in load_half(manifest, "encoder").items() if not name.startswith(SPEECH)}
    where = str(manifest.path / "encoder.safetensors")
    encoder = built(lambda: make_encoder(shape, image.channels, len(manifest.labels)), weights, where)
    if encoder.head.in_features != manifest.features:
        have = encoder.head.in_features
        raise ModelError(f"{where} gives {have} features, and its manifest says {manifest.features}")
    return encoder


class FromPixels(nn.Module):
    """The encoder behind what the manifest says of pixels: uint8 [B, H, W, C] -> features and logits."""

    def __init__(self, encoder: Encoder, image: Preprocess) -> None:
        super().__init__()
        self.encoder, self._mean, self._std = encoder, image.mean, image.std

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        made: tuple[Tensor, Tensor] = self.encoder(normalise(images, self._mean, self._std))
        return made


def modules(manifest: Manifest) -> dict[str, nn.Module]:
    """The networks of `sctx.pipeline.networks_of`. Raises as `load_encoder`."""
    return {"encoder": FromPixels(load_encoder(manifest), manifest.preprocess).eval()}
