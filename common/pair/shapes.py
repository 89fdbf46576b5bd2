"""What a manifest says of a pair's two networks and of what was measured of them, each checked by itself.

Knows nothing about files or weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import ModelError
from common.typed import check_types

RESNET = "resnet"
"""The kind of an encoder that names none."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What the encoder expects: uint8 [height, width, channels], then (pixel/255 - mean)/std per channel.

    A photograph of another size is cropped at its centre to the same aspect ratio and resized bicubically.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        check_types(self, ModelError)
        if self.channels not in (1, 3) or min(self.height, self.width) < 1 or max(self.height, self.width) > 2048:
            size = f"{self.height} x {self.width} x {self.channels}"
            raise ModelError(f"no image is {size}: sides are at most 2048, channels 1 or 3")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ModelError(f"mean and std need {self.channels} numbers each: {self.mean}, {self.std}")
        if not all(abs(one) <= 10 for one in self.mean) or not all(1e-6 <= one <= 1e3 for one in self.std):
            raise ModelError(f"images cannot be brought to mean {self.mean} and std {self.std}: a std is above 0")


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """Transmitter. What `width`, `blocks` and `stem_stride` mean, the `kind` says, see `sctx/encoder.py`."""

    width: int = 16
    blocks: int = 1
    stem_stride: int = 1
    kind: str = RESNET

    def __post_init__(self) -> None:
        check_types(self, ModelError)
        _within("encoder", width=(self.width, 1, 1024), blocks=(self.blocks, 1, 64),
                stem_stride=(self.stem_stride, 1, 64))  # fmt: skip
        if not 0 < len(self.kind) <= 64:
            raise ModelError(f"encoder: kind has {len(self.kind)} characters, not 1 to 64")


def without_default_kind(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """An encoder's fields as they are written down: a pair that names no kind is a resnet, and every older one is."""
    return {key: value for key, value in encoder.items() if (key, value) != ("kind", RESNET)}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Validation accuracy of rate k at instantaneous SNR g, with pilots and estimated CSI.

    snr_db: dB, ascending [G]; acc: 0..1 [K][G], made monotone in SNR (running maximum of a 3-point mean);
    clean: 0..1, without noise, full ladder.
    """

    snr_db: tuple[float, ...]
    acc: tuple[tuple[float, ...], ...]
    clean: float

    def __post_init__(self) -> None:
        check_types(self, ModelError)
        if not self.acc or any(len(row) != len(self.snr_db) for row in self.acc):
            raise ModelError(f"each row of the accuracy table needs {len(self.snr_db)} entries, one per SNR")
        if sorted(self.snr_db) != list(self.snr_db) or not 2 <= len(self.snr_db) <= 1000:
            raise ModelError("the SNR grid of the accuracy table must ascend and have 2 to 1000 entries")
        if not all(0 <= share <= 1 for row in (*self.acc, (self.clean,)) for share in row):
            raise ModelError("an accuracy is a share, 0 to 1")


@dataclass(frozen=True, slots=True)
class WordTable:
    """What the channel-adaptive module goes by: P(word right) of its first n symbols at instantaneous SNR g.

    snr_db: dB, ascending [G]; right: 0..1, [S][G], n = 1 .. S.
    """

    snr_db: tuple[float, ...]
    right: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        check_types(self, ModelError)
        if not self.right or any(len(row) != len(self.snr_db) for row in self.right):
            raise ModelError(f"each row of the table of words needs {len(self.snr_db)} entries, one per SNR")
        if sorted(self.snr_db) != list(self.snr_db) or not 2 <= len(self.snr_db) <= 1000:
            raise ModelError("the SNR grid of the table of words must ascend and have 2 to 1000 entries")
        if not all(0 <= share <= 1 for row in self.right for share in row):
            raise ModelError("what a table of words holds are probabilities, 0 to 1")


def _within(what: str, **ranges: tuple[int, int, int]) -> None:
    """name=(value, least, most)."""
    for name, (value, least, most) in ranges.items():
        if not least <= value <= most:
            raise ModelError(f"{what}: {name} is {value}, not {least} to {most}")
