"""The parts of a recipe, each checked by itself: images, views, teacher, loss, schedules.

Knows nothing about files, or about how any of it is carried out.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from common.errors import ConfigError

SIDE, WIDEST = 4096, 65536
"""Largest side of an image in pixels; most units of a layer."""
VIEWS = 10_000
"""Most views of an image."""
EMBEDDING_BYTES = 4096
"""Most bytes that a store keeps of an embedding."""


def refuse_outside(key: str, value: float, least: float, most: float) -> None:
    """ConfigError unless least <= value <= most."""
    if not least <= value <= most:
        raise ConfigError(f"{key} = {value} is not {least} to {most}")


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What the encoder is fed; images of another size are fitted to it."""

    height: int = 32
    width: int = 32
    channels: int = 3

    def __post_init__(self) -> None:
        refuse_outside("image.height", self.height, 1, SIDE)
        refuse_outside("image.width", self.width, 1, SIDE)
        if self.channels not in (1, 3):
            raise ConfigError(f"image.channels must be 1 or 3, not {self.channels}")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One cycle: the rate rises for a tenth of the steps and falls to 0 (Smith and Topin 2018)."""

    epochs: int = 30
    batch: int = 256
    lr: float = 3e-3
    weight_decay: float = 0.02
    ema: float = 0.99
    """Decay per step of the averaged weights that are kept."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    bf16: bool = False
    """Autocast of the convolutions to bfloat16, on processors that have it; GPUs always do."""

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or self.lr <= 0 or not 0 <= self.ema < 1:
            raise ConfigError(f"a schedule needs epochs and batch >= 1, lr > 0 and 0 <= ema < 1: {self}")
        refuse_outside("schedule.epochs", self.epochs, 1, 10**6)
        refuse_outside("schedule.batch", self.batch, 1, 10**6)
        if self.optimiser not in ("adamw", "muon"):
            raise ConfigError(f"unknown optimiser '{self.optimiser}': adamw or muon")


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """A `transformers` configuration and how to train it; `size` is the side to which images are resized for it."""

    model_type: str = "vit"
    config: dict[str, Any] = field(default_factory=dict)
    size: int = 32
    label_smoothing: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        refuse_outside("teacher.size", self.size, 1, SIDE)
        refuse_outside("teacher.label_smoothing", self.label_smoothing, 0, 1)


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """What may happen to an image. Each amount is drawn uniformly; 0 switches the operation off."""

    seed: int = 0
    shift: int = 0
    """Pixels, -shift..shift in both directions."""
    shear: int = 0
    """The top and the bottom row move by up to shear/2 pixels in opposite directions."""
    flip: bool = False
    """Left and right are exchanged in half of the views."""
    gain: int = 0
    """Brightness is multiplied by (256 - gain .. 256 + gain) / 256."""
    cutout: int = 0
    """A square of this side, centred anywhere, becomes `fill`."""
    reflect: bool = False
    """What lies outside the image: its mirror image, or `fill`."""
    fill: int = 0

    def __post_init__(self) -> None:
        if min(self.seed, self.shift, self.shear, self.gain, self.cutout, self.fill) < 0 or self.gain > 255:
            raise ConfigError(f"view parameters must not be negative, and gain at most 255: {self}")
        if self.fill > 255:
            raise ConfigError(f"fill is a pixel value, 0 to 255, not {self.fill}")


@dataclass(frozen=True, slots=True)
class LossSpec:
    """Weights of the terms that distillation minimises, see `training.student.losses`."""

    hard: float = 0.1
    """a: weight of the true label; 1 is training without a teacher."""
    tau: float = 2.0
    embedding: float = 0.0
    """Weight of the error in the teacher's embedding, as a share of the embedding's variance."""

    def __post_init__(self) -> None:
        if not 0 <= self.hard <= 1 or self.tau <= 0 or self.embedding < 0:
            raise ConfigError(f"a loss needs 0 <= hard <= 1, tau > 0 and embedding >= 0: {self}")
