"""Data sets as the commands of training read them: the option --skip-bad, and what was found told on standard error.

Knows nothing about what is trained.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
import numpy as np

from common.console import tell
from common.errors import DataError
from common.images.datasets import held_out, load_for, load_images, load_splits, open_split
from common.images.imageset import ImageSet
from common.pair.manifest import Manifest
from common.pair.shapes import Preprocess
from training.recipes.of_pair import share_of
from training.recipes.recipe import Recipe

MANY = 5000
"""Pictures that take seconds to read."""
DARK = 24
"""No picture of 12 bits in 16 has a pixel as bright as that, of 255: 15, and what making it smaller adds at edges."""
F = TypeVar("F", bound=Callable[..., Any])


def skip_bad_option(command: F) -> F:
    """Add --skip-bad to a click command that reads a data set."""
    text = "Leave out images that cannot be read or have no label, and say how many, instead of refusing the data set."
    return click.option("--skip-bad", is_flag=True, help=text)(command)


def tell_notes(notes: Iterable[str]) -> None:
    """What was left out of a data set or taken for something, a line each, no line twice."""
    for note in dict.fromkeys(notes):
        tell(f"note: {note}")


def load_told(manifest: Manifest, spec: str, split: str, skip_bad: bool = False) -> ImageSet:
    """As `load_for`, and its notes are told. DataError where the pair may have seen what is held out."""
    images = load_for(manifest, spec, split, skip_bad=skip_bad)
    tell_notes(images.notes)
    if images.held_out:
        _refuse_seen(manifest, spec, split, images.name)
    return images


def _refuse_seen(manifest: Manifest, spec: str, split: str, name: str) -> None:
    """Whether what is left to train on is what the pair was trained on: with one picture more or less, others are held
    out. If not: DataError where the data are called as the pair's are, else a note, for they may be others."""
    made_of, who = manifest.provenance.get("data"), f"pair {manifest.name}"
    if made_of is None:
        tell_notes([f"{who} does not say of which pictures it was made: it may have seen some of these"])
        return
    if (count := len(open_split(spec, "train"))) > MANY:
        tell(f"looking whether {who} was trained on the {count} other pictures of {spec}")
    rest = load_images(spec, "train", manifest.preprocess, skip_bad=True, fraction=share_of(manifest))
    if fingerprint(rest) == made_of:
        return
    other = f"the train split of '{spec}' is not the one that {who} was trained on"
    if name != manifest.dataset:
        tell_notes([f"{other}: if it is that with changes, the pair may have seen some of these pictures"])
        return
    raise DataError(
        f"{other}, and there is no {split} split, so the pair may have seen what is held out of it: put pictures that "
        "it has not seen into test/CLASS/, or train it again"
    )


def measured_split(dataset: str, split: str | None) -> str:
    """The split that is measured: as asked; else test, or validation where there is none, which is told."""
    used = split or held_out(dataset)
    if split is None and used != "test":
        tell_notes([f"{dataset} has no test split: measured on {used}, on which a pair and its rivals are chosen"])
    return used


def fingerprint(images: ImageSet) -> str:
    """SHA-256 of a data set's pixels, labels and class names."""
    digest = hashlib.sha256(np.ascontiguousarray(images.images).data)
    digest.update(images.labels.astype("<i8").tobytes())
    digest.update(json.dumps([list(images.images.shape), images.classes]).encode())
    return digest.hexdigest()


def load_data(recipe: Recipe, dataset: str, skip_bad: bool = False) -> tuple[ImageSet, ImageSet, Preprocess]:
    """Train and validation images at the recipe's size, and the preprocessing that train asks for. DataError where
    there is nothing to learn from.

    skip_bad: leave out pictures that cannot be read, and say so, instead of refusing the data set.
    """
    image = recipe.image
    blank = Preprocess(image.height, image.width, image.channels, (0.0,) * image.channels, (1.0,) * image.channels)
    splits = ("train", "validation")
    train, validation = load_splits(dataset, splits, blank, skip_bad=skip_bad, fraction=recipe.fraction)
    tell_notes((*train.notes, *validation.notes))
    if len(train) < 2 * len(train.classes):
        raise DataError(f"'{dataset}' has {len(train)} images to train on; {2 * len(train.classes)} are the least")
    if all(np.array_equal(one, train.images[0]) for one in train.images):
        raise DataError(f"the {len(train)} images of '{dataset}' to train on are all alike: give others")
    if (most := int(train.images.max())) < DARK:
        dark = (
            f"the images of '{dataset}' to train on reach {most} of 255: where they are files of 16 bits that hold 12"
        )
        tell_notes([f"{dark} or fewer, only the upper byte is read; multiply all of them alike, or write 8 bits"])
    measured, spread = train.mean_std()
    mean, std = (tuple(round(value, 4) for value in one) for one in (measured, [max(one, 0.01) for one in spread]))
    return train, validation, Preprocess(image.height, image.width, image.channels, mean, std)
