"""Augmented views that any process can make again bit for bit: integers only, a function of (seed, view, sample).

Knows nothing about teachers, stores or networks.

The parameters of sample i in view v are the four raw 64-bit words of `numpy.random.Philox(key=[seed, v])` at counter
i: numpy guarantees that raw stream for ever, and a block depends on nothing but its key and counter, so neither batch,
order nor process matters. Pixels stay uint8 and every operation is integer arithmetic, so neither does the machine.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from training.recipes.specs import ViewSpec

AT_ONCE = 1024
"""Images whose view is in memory at a time where it is only looked at."""
VERSION = 1
"""Changes whenever the same parameters would give other pixels; a store made with another version is refused."""


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
    digest = hashlib.sha256()
    for low in range(0, len(images), AT_ONCE):
        part = images[low : low + AT_ONCE]
        seen = augment(part, words(spec, view, start + low, start + low + len(part)), spec)
        digest.update(seen.tobytes())
    return digest.hexdigest()


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
