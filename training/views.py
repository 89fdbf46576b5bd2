"""Augmented views that any process can make again bit for bit: integers only, a function of (seed, view, sample).

Knows nothing about teachers, stores or networks.

The parameters of sample i in view v are the four raw 64-bit words of `numpy.random.Philox(key=[seed, v])` at counter
i: numpy guarantees that raw stream for ever, and a block depends on nothing but its key and counter, so neither batch,
order nor process matters. Pixels stay uint8 and every operation is integer arithmetic, so neither does the machine.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError

VERSION = 1
"""Changes whenever the same parameters would give other pixels; a store made with another version is refused."""


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


def words(spec: ViewSpec, view: int, start: int, stop: int) -> NDArray[np.uint64]:
    """Raw parameters of samples start..stop-1 in one view: uint64 [stop - start, 4]."""
    raw = np.random.Philox(key=[spec.seed, view], counter=[start, 0, 0, 0]).random_raw(4 * (stop - start))
    return raw.reshape(-1, 4)


def augment(images: NDArray[np.uint8], parameters: NDArray[np.uint64], spec: ViewSpec) -> NDArray[np.uint8]:
    """images: uint8 [B, H, W, C]; parameters: uint64 [B, 4] from `words` -> the view, uint8 [B, H, W, C]."""
    halves = (
        np.ascontiguousarray(parameters).astype("<u8").view("<u4").astype(np.uint64)
    )  # eight 32-bit words per sample
    rows, columns = _source(images.shape, halves, spec)
    margin = spec.shift + (spec.shear + 1) // 2
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    if spec.reflect:
        padded = np.pad(images, around, mode="reflect")
    else:
        padded = np.pad(images, around, constant_values=spec.fill)
    view = padded[np.arange(len(images))[:, None, None], rows[:, :, None] + margin, columns + margin]
    if spec.gain:
        factor = (256 - spec.gain + _below(halves[:, 3], 2 * spec.gain + 1)).astype(np.int32)
        view = np.minimum((view.astype(np.int32) * factor[:, None, None, None]) >> 8, 255).astype(np.uint8)
    if spec.cutout:
        view[_square(images.shape, halves, spec.cutout)] = spec.fill
    return view


def fingerprint(images: NDArray[np.uint8], spec: ViewSpec, view: int, start: int) -> str:
    """SHA-256 of a view of consecutive samples from `start` on: proof that training sees what the teacher saw."""
    pixels = augment(images, words(spec, view, start, start + len(images)), spec)
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _below(word: NDArray[np.uint64], bound: int) -> NDArray[np.int64]:
    """32-bit words -> integers 0..bound-1, (w * bound) >> 32 (Lemire 2019, without the rejection: bias below 2^-24)."""
    return ((word * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)


def _source(
    shape: tuple[int, ...], halves: NDArray[np.uint64], spec: ViewSpec
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which pixel of the image each pixel of the view comes from: rows [B, H], columns [B, H, W]."""
    _, height, width, _ = shape
    down = _below(halves[:, 0], 2 * spec.shift + 1) - spec.shift
    right = _below(halves[:, 1], 2 * spec.shift + 1) - spec.shift
    flip = (halves[:, 2] >> np.uint64(31)).astype(bool) & spec.flip
    slope = _below(halves[:, 4], 2 * spec.shear + 1) - spec.shear
    y, x = np.arange(height), np.arange(width)
    rows = y[None] + down[:, None]
    lean = ((2 * y - height + 1)[None] * slope[:, None] + (height - 1)) // max(2 * (height - 1), 1)
    across = np.where(flip[:, None], width - 1 - x[None], x[None])
    return rows, across[:, None, :] + right[:, None, None] + lean[:, :, None]


def _square(shape: tuple[int, ...], halves: NDArray[np.uint64], side: int) -> NDArray[np.bool_]:
    _, height, width, _ = shape
    top = _below(halves[:, 5], height)[:, None] - side // 2
    left = _below(halves[:, 6], width)[:, None] - side // 2
    y, x = np.arange(height)[None], np.arange(width)[None]
    inside_y = (y >= top) & (y < top + side)
    inside_x = (x >= left) & (x < left + side)
    return inside_y[:, :, None] & inside_x[:, None, :]
