"""Labelled images by name: digits, a local folder, a Hugging Face Hub id. One reader for transmitter and training.

Knows nothing about models, views or training.
"""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataError
from common.images.photo import SUFFIXES, decode_image, fit_image, one_line
from common.manifest import Manifest, Preprocess, user_path

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.1
"""Fraction of train that becomes the validation split where a data set brings none."""
SHUFFLE_KEY = 0x5EED
IMAGE_COLUMNS = ("img", "image")


@dataclass(frozen=True, slots=True)
class ImageSet:
    """images: uint8 [N, H, W, C], C 1 or 3; labels: int64 [N], indices into classes."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "ImageSet":
        """The samples at `index`, in that order."""
        return ImageSet(self.name, self.images[index], self.labels[index], self.classes)

    def labels_among(self, names: Sequence[str]) -> list[int | None]:
        """Each image's label as an index into `names`, by the name of its class; None where they do not have it.

        Classes that have no names, only numbers in order, are taken as they are.
        """
        numbers = tuple(map(str, range(len(self.classes))))
        if self.classes == numbers and len(numbers) <= len(names):
            return list(self.labels.tolist())
        places = [names.index(one) if one in names else None for one in self.classes]
        return [places[label] for label in self.labels.tolist()]


def load_images(spec: str, split: str, fit: Preprocess | None = None) -> ImageSet:
    """One split of a data set.

    spec: `digits`; or a folder that holds `SPLIT-*.parquet` (columns `img` or `image`, and `label`) or files
    `SPLIT/CLASS/*.jpg`; or a Hub id such as `uoft-cs/cifar10`. split: train, validation or test; where there is no
    validation split, a fixed tenth of train is held out. fit: resize each image to this; without it, images of unequal
    size are refused.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}': one of {', '.join(SPLITS)}")
    if spec == "digits":
        return _digits(split, fit)
    folder = user_path(spec)
    if folder.is_dir():
        return _from_folder(spec, split, fit)
    if spec.count("/") == 1 and not spec.startswith((".", "/", "~")):
        return _from_hub(spec, split, fit)
    raise ConfigError(f"unknown data set '{spec}': 'digits', a folder (it does not exist here) or a Hub id OWNER/NAME")


def load_for(manifest: Manifest, spec: str, split: str) -> ImageSet:
    """The same as a pair sees it: images as its encoder takes them, labels as indices into the pair's own classes.

    DataError where the data set has images of a class that the pair does not know.
    """
    found = load_images(spec, split, manifest.preprocess)
    labels = found.labels_among(manifest.labels)
    if None in labels:
        strange = [one for one in found.classes if one not in manifest.labels]
        raise DataError(
            f"'{spec}' has classes that pair {manifest.name} does not know: {', '.join(strange[:5])}; "
            f"it knows {', '.join(manifest.labels[:20])}"
        )
    return ImageSet(found.name, found.images, np.array(labels, np.int64), manifest.labels)


def permutation(count: int) -> NDArray[np.int64]:
    """A fixed shuffle of 0..count-1: stable argsort of raw Philox words, the same in every version of numpy."""
    return np.argsort(np.random.Philox(key=SHUFFLE_KEY).random_raw(count), kind="stable")


def _digits(split: str, fit: Preprocess | None) -> ImageSet:
    """1,797 handwritten digits of 8 x 8 pixels, 0..16 scaled to 0..255 as (255 v + 8) // 16.

    `permutation` orders them; the first 360 are test, the next 300 validation, the other 1,137 train.
    """
    rows = _digit_rows()
    order = permutation(len(rows))
    part = {"test": order[:360], "validation": order[360:660], "train": order[660:]}[split]
    scaled = (rows[part, :-1].reshape(-1, 8, 8, 1) * 255 + 8) // 16
    return _stack("digits", scaled.astype(np.uint8), rows[part, -1], tuple(map(str, range(10))), fit)


def _digit_rows() -> NDArray[np.int64]:
    """64 pixels and the label of each digit: int64 [1797, 65].

    Read from the file in scikit-learn's folder, as `sklearn.datasets.load_digits` does: to import that takes two
    seconds of a processor, half of what `sctx` needs to start.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise ConfigError("the digits come with scikit-learn: install semlink[train]")
    file = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        raise ConfigError(f"the digits come with scikit-learn, and this one has no {file}: install another version")
    return np.loadtxt(file, delimiter=",", dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Listing:
    """A split before its images are decoded: files or encoded bytes."""

    name: str
    sources: list[Any]
    labels: list[int]
    classes: tuple[str, ...]

    def decode(self, index: Iterable[int], fit: Preprocess | None) -> ImageSet:
        picked = list(index)
        images = (decode_image(self.sources[k]) for k in picked)
        return _stack(self.name, images, [self.labels[k] for k in picked], self.classes, fit)


def _own_split(
    spec: str, split: str, available: Sequence[str], read: Callable[[str], _Listing], fit: Preprocess | None
) -> ImageSet:
    """`read(split)`; without a validation split, `permutation` of train gives its last tenth, and train the rest."""
    source = "train" if split == "validation" and split not in available else split
    if source not in available:
        raise DataError(f"'{spec}' has no {source} split: expected {source}-*.parquet or {source}/CLASS/*.jpg")
    whole = read(source)
    count = len(whole.sources)
    if split == "test" or "validation" in available:
        return whole.decode(range(count), fit)
    order = permutation(count)
    cut = count - max(1, int(HELD_OUT * count))
    return whole.decode(order[:cut] if split == "train" else order[cut:], fit)


def _from_folder(spec: str, split: str, fit: Preprocess | None) -> ImageSet:
    folder = user_path(spec)
    own = folder.resolve().name
    tables = {name: sorted(folder.glob(f"{name}-*.parquet")) for name in SPLITS}
    available = [name for name in SPLITS if tables[name] or (folder / name).is_dir()]
    splits = [folder / name for name in available if not tables[name]]
    # Of all splits together: a class that one of them lacks must not renumber the others.
    found = {path.name for split in splits for path in split.iterdir() if path.is_dir()}
    classes = sorted(name for name in found if not name.startswith("."))

    def read(name: str) -> _Listing:
        if tables[name]:
            return _rows(own, _open("parquet", name, {name: [str(path) for path in tables[name]]}))
        return _class_folders(own, folder / name, classes)

    return _own_split(spec, split, available, read, fit)


def _from_hub(spec: str, split: str, fit: Preprocess | None) -> ImageSet:
    try:
        from datasets import get_dataset_split_names
        from huggingface_hub import HfApi, constants

        if not constants.HF_HUB_OFFLINE:  # then the cache is enough; else ask once, without half a minute of retries
            HfApi().dataset_info(spec, timeout=5)
        available = get_dataset_split_names(spec)
    except ImportError as error:
        raise ConfigError("data sets from the Hub need the `datasets` library: install semlink[train]") from error
    except Exception as error:  # the library raises its own, httpx's and fsspec's errors
        raise ConfigError(
            f"cannot reach data set '{spec}' on the Hub ({one_line(error)}); without a network, give a local folder"
        ) from error
    return _own_split(spec, split, available, lambda name: _rows(spec, _open(spec, name)), fit)


def _open(path: str, split: str, data_files: dict[str, list[str]] | None = None) -> Any:
    """The rows of one split as Arrow tables, images still encoded; nothing is written to a cache."""
    try:
        from datasets import Image, load_dataset
    except ImportError as error:
        raise ConfigError("parquet data sets need the `datasets` library: install semlink[train]") from error
    try:
        rows = load_dataset(path, data_files=data_files, split=split, streaming=True)
        rows = rows if rows.features is not None else rows._resolve_features()
        column = next((name for name in IMAGE_COLUMNS if name in rows.features), "")
        return rows.cast_column(column, Image(decode=False)) if column else rows
    except Exception as error:  # datasets, pyarrow and fsspec each raise their own
        raise DataError(f"cannot read the {split} split of '{path}': {one_line(error)}") from error


def _rows(name: str, rows: Any) -> _Listing:
    columns = list(rows.features)
    column = next((one for one in IMAGE_COLUMNS if one in columns), None)
    if column is None or "label" not in columns:
        raise DataError(f"'{name}' needs a column `img` or `image` and a column `label`; it has {', '.join(columns)}")
    sources: list[Any] = []
    labels: list[int] = []
    try:
        for table in rows.select_columns([column, "label"]).with_format("arrow").iter(batch_size=2048):
            labels.extend(-1 if label is None else label for label in table["label"].to_pylist())
            sources.extend((row or {}).get("bytes") or b"" for row in table[column].to_pylist())
    except Exception as error:  # pyarrow's own errors for a damaged file
        raise DataError(f"cannot read the rows of '{name}': {one_line(error)}") from error
    classes = getattr(rows.features["label"], "names", None) or [str(k) for k in range(max(labels, default=-1) + 1)]
    return _Listing(name, sources, labels, tuple(classes))


def _class_folders(name: str, folder: Path, classes: Sequence[str]) -> _Listing:
    files = [(path, k) for k, one in enumerate(classes) for path in sorted((folder / one).rglob("*"))]
    files = [(path, k) for path, k in files if path.suffix.lower() in SUFFIXES and path.is_file()]
    return _Listing(name, [path for path, _ in files], [k for _, k in files], tuple(classes))


def _stack(
    name: str, images: Iterable[NDArray[np.uint8]], labels: Any, classes: tuple[str, ...], fit: Preprocess | None
) -> ImageSet:
    listed = [fit_image(image, fit) if fit else image for image in images]
    if not listed:
        raise DataError(f"'{name}' holds no images")
    if len({image.shape for image in listed}) > 1:
        raise DataError(f"the images of '{name}' differ in size, and no size was given to fit them to")
    numbers = np.asarray(labels, np.int64)
    if numbers.min() < 0 or numbers.max() >= len(classes):
        raise DataError(f"'{name}' holds images without a label, or labels outside 0 to {len(classes) - 1}")
    return ImageSet(name, np.stack(listed), numbers, classes)
