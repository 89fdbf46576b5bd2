"""Where images come from: a data set, a folder, a file, or a stream on standard input. Knows nothing about models.

dataset:NAME[:SPLIT]   a data set by name, Hub id or folder, with labels; SPLIT is train, validation or test (default)
DIR                    photographs in a folder, sorted; labels where they lie in folders named like the classes
FILE.parquet           the images (and labels) of a parquet file
FILE.jpg, FILE.png     one photograph
-                      JPEG pictures one after the other on standard input, such as motion JPEG from a camera (live)
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataError
from common.images.datasets import IMAGE_COLUMNS, load_images
from common.images.photo import SUFFIXES, decode_image
from common.manifest import Manifest, user_path
from sctx.mjpeg import pictures

logger = logging.getLogger(__name__)
Picture = Path | bytes | NDArray[np.uint8]
"""A photograph still encoded (file or bytes), or uint8 [H, W, C]."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One image: its number, uint8 [H, W, C], its true class (None: unknown), and when it was taken (monotonic ns).

    file: where it was read from; None where it is no file of its own.
    """

    index: int
    image: NDArray[np.uint8]
    label: int | None
    captured_ns: int
    file: str | None = None


class Source:
    """Images in order. `size`: how many (None: not known). `live`: an image not sent at once is worth little.

    unreadable: pictures that were left out so far. One bad picture among others is no reason to stop.
    """

    def __init__(self, spec: str, manifest: Manifest, read: Callable[[int], bytes] | None = None) -> None:
        """read: where `-` reads from (default: standard input)."""
        self.spec, self.live, self.unreadable = spec, spec == "-", 0
        self._read = read or (lambda count: os.read(0, count))  # not sys.stdin, whose lock a reader thread would hold
        self._items = [] if self.live else _open(spec, manifest)
        if not self.live and not self._items:
            raise DataError(f"--source {spec}: no image found there")
        self.size = None if self.live else len(self._items)

    def captures(self, count: int | None = None) -> Iterator[Capture]:
        """`count` captures (default: each image once), going round again where the source is smaller."""
        if self.live:
            yield from islice(self._live_captures(), count)
            return
        for index in range(len(self._items) if count is None else count):
            item, label = self._items[index % len(self._items)]
            image = item if isinstance(item, np.ndarray) else self._decoded(item)
            if image is not None:
                file = str(item) if isinstance(item, Path) else None
                yield Capture(index, image, label, time.monotonic_ns(), file)

    def _decoded(self, picture: Path | bytes) -> NDArray[np.uint8] | None:
        """None where it cannot be read, which is told; DataError where it is the only one."""
        try:
            return decode_image(picture)
        except DataError as error:
            if self.size == 1:
                raise
            self.unreadable += 1
            logger.warning("picture_unreadable", extra={"why": str(error)})
            return None

    def _live_captures(self) -> Iterator[Capture]:
        index = 0
        for picture in pictures(self._read):
            image = self._decoded(picture)
            if image is not None:
                yield Capture(index, image, None, time.monotonic_ns())
                index += 1
        if not index:  # what should have fed us said so where nobody looks, or nowhere
            raise DataError("--source -: standard input ended without a readable JPEG picture")


def _open(spec: str, manifest: Manifest) -> list[tuple[Picture, int | None]]:
    if spec.startswith("dataset:"):
        name, _, split = spec.removeprefix("dataset:").rpartition(":")
        name, split = (name, split) if name else (split, "test")
        found = load_images(name, split, manifest.preprocess)
        return list(zip(found.images, found.labels_among(manifest.labels), strict=True))
    path = user_path(spec)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        return [(file, _label(file.parent.name, manifest)) for file in files]
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return [(path, None)]
    if path.is_file() and path.suffix == ".parquet":
        return _open_parquet(path, manifest)
    raise ConfigError(f"--source {spec}: not found; give dataset:NAME:SPLIT, a folder, a picture, a .parquet file or -")


def _label(name: str, manifest: Manifest) -> int | None:
    return manifest.labels.index(name) if name in manifest.labels else None


def _open_parquet(path: Path, manifest: Manifest) -> list[tuple[Picture, int | None]]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"--source {path}: not a readable parquet file: {' '.join(str(error).split())[:120]}") from None
    column = next((name for name in IMAGE_COLUMNS if name in table.column_names), None)
    if column is None:
        raise DataError(f"--source {path}: no column `img` or `image`; it has {', '.join(table.column_names)}")
    cells = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in table[column].to_pylist()]
    labels = table["label"].to_pylist() if "label" in table.column_names else [None] * len(cells)
    items: list[tuple[Picture, int | None]] = []
    for row, (cell, label) in enumerate(zip(cells, labels, strict=True)):
        if not isinstance(cell, bytes):
            raise DataError(f"--source {path}: row {row} of `{column}` holds no encoded picture")
        items.append((cell, _label(label, manifest) if isinstance(label, str) else label))
    return items
