"""Fit the recipe for people's own pictures to their number and size: a look at the data -> a recipe, and what it is.

Knows nothing about networks, formats of files or time. Every rule is a line below; `LOG.md` has where they come from.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.images.datasets import open_split
from common.images.photo import decode_image
from common.images.split import Split
from common.pair.shapes import Preprocess
from training.recipes.recipe import Recipe, load_recipe
from training.recipes.specs import Schedule

LOOKED_AT, LOOKED_AT_FOR_COLOUR = 100, 2000
"""Pictures that are looked at, spread over the split, and how many where none of the first has colour."""
GREY, COLOURED, SPECK = 2.0, 16.0, 0.001
"""Steps of 255 between the channels, on average over a picture: what JPEG leaves of a grey one stored in colour. More
than COLOURED in SPECK of its pixels is colour, however grey the rest: a lamp, a mark."""
SMALLEST, LARGEST = 8, 64
"""Sides that a transmitter is fed; the stem's stride brings them to at most 32, where ResNet-20 takes 41 MMAC."""
AS_FED = Preprocess(LARGEST, LARGEST, 3, (0.0,) * 3, (1.0,) * 3)
"""The largest that is made of a picture: what a speck is at the size that is decoded for it, it is to a network."""
INNER = 32
MOST = 400
"""Passes, however few the images are."""
REFERENCE = 1200
"""Images for which `passes` counts; other numbers take passes in inverse proportion to the root."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a data set found: name, images to train on, classes, median of the shorter sides in pixels, 1 or 3
    channels (1: every picture that was looked at is grey)."""

    name: str
    images: int
    classes: int
    side: int
    channels: int


def recipe_for(dataset: str, name: str | None) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe of that name or file; without one, that of the digits, or `pictures` fitted to the data; and what to
    tell. Raises ConfigError, DataError."""
    if name or dataset == "digits":
        return load_recipe(name or "digits"), ()
    seen = look(dataset)
    recipe = replace(fitted(load_recipe("pictures"), seen), name=seen.name)
    return recipe, told(recipe, seen)


def look(dataset: str) -> Seen:
    """Count the images to train on, and read the size of some of them, spread over the split."""
    split = open_split(dataset, "train")
    sizes, colour = [], False
    for image in _decoded(split, LOOKED_AT):
        sizes.append(min(image.shape[:2]))
        colour = colour or _has_colour(image)
    if not colour and len(split) > LOOKED_AT:
        colour = any(map(_has_colour, _decoded(split, LOOKED_AT_FOR_COLOUR, AS_FED)))
    name, side = split.name.rpartition("/")[2] or "pictures", int(np.median(sizes or [INNER]))
    return Seen(name, len(split), len(split.classes), side, 3 if colour else 1)


def _decoded(split: Split, count: int, fit: Preprocess | None = None) -> Iterator[NDArray[np.uint8]]:
    """So many pictures, uint8 [H, W, C], spread over the split, as they lie there. fit: as of `decode_image`."""
    some = split.take(np.unique(np.linspace(0, len(split) - 1, count).astype(np.int64)))
    for _, picture in split.shelf.read(np.sort(some.rows)):
        with suppress(DataError):  # told where all of them are decoded
            yield picture if isinstance(picture, np.ndarray) else decode_image(picture, fit=fit)


def _has_colour(image: NDArray[np.uint8]) -> bool:
    """image: uint8 [H, W, C]."""
    channels = np.moveaxis(image, -1, 0)
    between = reduce(np.maximum, channels) - reduce(np.minimum, channels)
    return float(between.mean()) > GREY or float((between > COLOURED).mean()) > SPECK


def fitted(base: Recipe, seen: Seen) -> Recipe:
    """`base` with everything that depends on the number and size of the images."""
    side = min(max(seen.side, SMALLEST), LARGEST)
    teacher_side = min(max(side, 16), INNER)
    return replace(
        base,
        image=replace(base.image, height=side, width=side, channels=seen.channels),
        encoder=replace(base.encoder, stem_stride=math.ceil(side / INNER)),
        view=replace(base.view, shift=max(1, side // 8), cutout=side // 4),
        views=20 if seen.images <= 5000 else 10,
        encoding="int8" if seen.classes <= 200 else "top10",
        teacher=replace(base.teacher, size=teacher_side, config={**base.teacher.config, "widths": [64, 128, 256]},
                        schedule=_fitted(base.teacher.schedule, seen.images, passes=40, lr=4e-3)),
        schedule=_fitted(base.schedule, seen.images, passes=120, lr=4e-3),
    )  # fmt: skip


def told(recipe: Recipe, seen: Seen) -> tuple[str, ...]:
    """What was found and chosen, for people."""
    what = f"{seen.images} {'grey ' if seen.channels == 1 else ''}pictures to train on, {seen.classes} classes"
    return (
        f"recipe: fitted to {what}, {seen.side} pixels on their shorter side",
        f"recipe: images of {recipe.image.height} x {recipe.image.width}, stem stride {recipe.encoder.stem_stride}, "
        f"batches of {recipe.schedule.batch}",
    )


def stages(recipe: Recipe) -> str:
    """Passes of each stage, for people."""
    passes = [f"student {recipe.schedule.epochs}"]
    if recipe.loss.hard < 1:
        passes.insert(0, f"teacher {recipe.teacher.schedule.epochs} (if it is made here)")
    return f"passes over the images: {', '.join(passes)}; {recipe.views} views"


def _fitted(schedule: Schedule, images: int, passes: int, lr: float) -> Schedule:
    """passes: for REFERENCE images; lr: at a batch of 64, as its root for others."""
    epochs = round(min(max(passes * math.sqrt(REFERENCE / images), passes / 8), 5 * passes, MOST))
    batch = min(max(2 ** round(math.log2(max(images / 16, 1))), 16), 256)
    steps = epochs * max(images // batch, 1)
    ema = min(max(1 - 50 / steps, 0.9), 0.998)
    return replace(schedule, epochs=max(epochs, 1), batch=batch, lr=lr * math.sqrt(batch / 64), ema=round(ema, 4))
