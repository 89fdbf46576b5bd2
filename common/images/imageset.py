"""Labelled images in one block of memory. Knows nothing about where they come from or what they are for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.images.names import match


@dataclass(frozen=True, slots=True)
class ImageSet:
    """images: uint8 [N, H, W, C], C 1 or 3; labels: int64 [N], indices into classes; notes: lines for people.

    ids: the WordNet id of each class, or none at all; held_out: as of `Split`.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    held_out: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "ImageSet":
        """The samples at `index`, in that order."""
        return replace(self, images=self.images[index], labels=self.labels[index], notes=())

    def some(self, most: int | None) -> "ImageSet":
        """At most so many, None for all, as `chosen` has them."""
        return self.take(self.chosen(most))

    def chosen(self, most: int | None) -> NDArray[np.int64]:
        """Indices of at most so many, None for all: the first; where they lie class by class, as the files of folders
        do, as many spread evenly over all of them."""
        if most is None or most >= len(self):
            return np.arange(len(self))
        shares = np.bincount(self.labels) / len(self)
        by_chance = len(self) * (1.0 - float(shares @ shares))  # changes from one image to the next in a mixed set
        lie_by_class = 2 * np.count_nonzero(np.diff(self.labels)) <= by_chance
        return np.arange(most) * len(self) // most if lie_by_class else np.arange(most)

    @property
    def asked(self) -> tuple[str, ...]:
        """What a teacher is asked for: each class by all that is known to name it, "crane, n03126707"."""
        return tuple(map(", ".join, zip(self.classes, self.ids, strict=True))) if self.ids else self.classes

    def labels_among(self, names: Sequence[str]) -> list[int | None]:
        """Each image's label as an index into `names`, by the name of its class; None where they do not have it.

        Classes that have no names, only numbers in order, are taken as they are.
        """
        places = match(self.classes, names).places
        return [places[label] for label in self.labels.tolist()]

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of pixel / 255, by channel. Counted in integers, in parts: no second copy of the images is made."""
        channels = self.images.shape[-1]
        counts = np.zeros((channels, 256), np.int64)
        for part in np.array_split(self.images, 1 + self.images.size // (1 << 22)):
            for channel in range(channels):
                counts[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
        values = np.arange(256) / 255
        mean = counts @ values / counts.sum(1)
        square = (counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1)
        return tuple(mean.tolist()), tuple(np.sqrt(square).tolist())
