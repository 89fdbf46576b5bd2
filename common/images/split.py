"""A split before its pictures are decoded: where each lies, its label, in which order. Knows nothing about formats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.images.names import Match, match
from common.images.photo import shown
from common.images.tables import Table

Picture = Path | bytes | NDArray[np.uint8]
"""A photograph still encoded (file or bytes), or uint8 [H, W, C]."""


class Shelf(Protocol):
    """Where the pictures of a split lie, by number."""

    def read(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Picture]]:
        """Number and picture of each of `rows`, int64 [N], which ascend."""

    def where(self, row: int) -> str:
        """What to call one of them."""


@dataclass(frozen=True, slots=True)
class Split:
    """A split before its pictures are decoded. rows: int64 [N], which of the shelf and in which order.

    labels: int64 [N], indices into classes, UNKNOWN where there is none; notes: lines for people; empty: classes of
    which there is no picture, also in what it was taken from; ids: the WordNet id of each class, or none at all;
    held_out: whether it is a part of train, for want of such a split.
    """

    name: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    shelf: Shelf
    rows: NDArray[np.int64]
    notes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    held_out: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.int64]) -> "Split":
        """The pictures at `index`, in that order."""
        return replace(self, labels=self.labels[index], rows=self.rows[index])

    def pictures(self) -> Iterator[tuple[str, Picture]]:
        """Every picture and what to call it, in order; one at a time where the order is that of the shelf."""
        if np.all(np.diff(self.rows) > 0):
            yield from ((self.shelf.where(row), picture) for row, picture in self.shelf.read(self.rows))
        else:
            found = dict(self.shelf.read(np.sort(self.rows)))
            yield from ((self.shelf.where(row), found[row]) for row in self.rows.tolist())

    def labels_among(self, names: Sequence[str]) -> tuple[list[int | None], tuple[str, ...]]:
        """Each label as an index into `names`, None where it is none of them; and a note where that wants one."""
        found = match(self.classes, names)
        places = (*found.places, None)
        labels = [places[label] for label in self.labels.tolist()]
        return labels, match_notes(self.name, self.classes, found, len(self), len(self) - labels.count(None))


@dataclass(frozen=True, slots=True)
class Arrays:
    """Images that were never files."""

    images: NDArray[np.uint8]

    def read(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Picture]]:
        return ((row, self.images[row]) for row in rows.tolist())

    def where(self, row: int) -> str:
        return f"image {row}"


@dataclass(frozen=True, slots=True)
class Files:
    """Pictures in files of their own."""

    paths: Sequence[Path]

    def read(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Picture]]:
        return ((row, self.paths[row]) for row in rows.tolist())

    def where(self, row: int) -> str:
        return shown(self.paths[row])


@dataclass(frozen=True, slots=True)
class Rows:
    """Pictures in the rows of tables, one after the other. ends: the number after the last row of each."""

    tables: Sequence[Table]
    ends: NDArray[np.int64]

    def read(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Picture]]:
        start = 0
        for table, end in zip(self.tables, self.ends.tolist(), strict=True):
            own = rows[(rows >= start) & (rows < end)] - start
            if len(own):
                yield from ((start + row, picture) for row, picture in table.pictures(own))
            start = end

    def where(self, row: int) -> str:
        k = int(np.searchsorted(self.ends, row, side="right"))
        return f"{self.tables[k].where} row {row - (int(self.ends[k - 1]) if k else 0)}"


def match_notes(name: str, classes: Sequence[str], found: Match, count: int, labelled: int) -> tuple[str, ...]:
    """What people should hear of a match with the classes of a pair, `labelled` of `count` pictures being matched."""
    if found.by_position:
        return (f"the classes of '{name}' are numbers without names: taken by their position",)
    strange = [one for one, place in zip(classes, found.places, strict=True) if place is None]
    if labelled < count and strange:
        unlabelled = f"{count - labelled} of the {count} images of '{name}' count as unlabelled"
        return (f"{unlabelled}: the model has no class {', '.join(strange[:3])}",)
    return ()
