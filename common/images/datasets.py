"""Labelled images by name: digits, a local folder, a Hugging Face Hub id. One reader for transmitter and training.

Knows nothing about models, views or training.

    open_split   what there is of a split: labels and encoded pictures, none of them decoded; says what it took for what
    load_images  the same decoded and fitted in one block of memory; load_splits: several
    load_for     the same with labels as indices into a pair's own classes
"""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataError, by_pip
from common.files import user_path
from common.flags import was_said
from common.images.folders import SPLIT_WORDS, SPLITS, Place, class_folders, places_in
from common.images.hub import open_hub
from common.images.imageset import ImageSet
from common.images.names import UNKNOWN, Labels, differ_in_form, in_one_order, match
from common.images.photo import decode_image, fit_image, shown
from common.images.split import Arrays, Files, Rows, Shelf, Split, match_notes
from common.images.tables import Table, open_parquet
from common.images.wordnet import wordnet_ids
from common.pair.manifest import SHIPPED, Manifest
from common.pair.shapes import Preprocess

HELD_OUT = 0.1
"""Fraction of train that becomes the validation split where a data set brings none."""
SHUFFLE_KEY = 0x5EED
TOLD = 10
"""So many of the pictures that cannot be used are named; the others are counted."""


class NoSplit(DataError):
    """A data set without the split that was asked for."""


BUILT_IN = "sklearn/digits"
"""The set that comes with scikit-learn, by a name that no folder has."""


def open_split(spec: str, split: str) -> Split:
    """One split of a data set, nothing decoded.

    spec: `digits`, or `sklearn/digits`, which no folder here can be; or a folder that holds `SPLIT-*.parquet` or
    `SPLIT.parquet` (see `tables`) or files `SPLIT/CLASS/*.jpg`, or in which one folder does; or a Hub id such as
    `uoft-cs/cifar10`. split: train, validation or test; other words for them (`val`, `dev` ...) are understood, and
    where there is no validation split, a fixed tenth of train is held out.
    Classes are those of all splits together, so that they mean the same in each.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}': one of {', '.join(SPLITS)}")
    folder = user_path(spec)
    if spec in ("digits", BUILT_IN):
        if spec == BUILT_IN or not (folder.is_dir() and _may_be_data(folder)):
            return _digits(split)
        two = f"'{spec}' is a set that comes with scikit-learn, and a folder here: say ./{spec} for the folder"
        if was_said(spec, "dataset", "source", "own"):
            raise ConfigError(f"{two}, {BUILT_IN} for the set")
        return replace(_digits(split), notes=(f"{two}; the set is taken",))
    if spec and folder.is_dir():
        found, notes = places_in(folder)
        places = {name: (place.word, partial(_part, place)) for name, place in found.items()}
        made = _assembled(spec, folder.resolve().name, split, places, notes)
        ids, said = wordnet_ids(next(iter(found.values())).root, made.classes)
        return replace(made, ids=ids, notes=(*made.notes, *said))
    if os.path.isfile(folder):
        raise ConfigError(f"data set {shown(folder)} is a file: give the folder that it lies in, with its splits")
    if spec.count("/") == 1 and not spec.startswith((".", "/", "~")):
        tables = {name: (word, partial(_rows, [table])) for name, (word, table) in open_hub(spec, SPLIT_WORDS).items()}
        return _assembled(spec, spec, split, tables)
    raise ConfigError(f"unknown data set '{spec}': 'digits', a folder (it does not exist here) or a Hub id OWNER/NAME")


def exactly(spec: str) -> str:
    """A data set as another process is to be told of it: a default that became a word there has two meanings."""
    return BUILT_IN if spec == "digits" else spec


def _may_be_data(folder: Path) -> bool:
    try:
        return bool(places_in(folder)[0])
    except DataError:  # of what looks like data
        return True


def held_out(spec: str) -> str:
    """The name of the split that is shown and measured where none is asked for: test, or validation without one."""
    try:
        if spec not in ("digits", BUILT_IN):
            open_split(spec, "test")
    except NoSplit:
        return "validation"
    return "test"


def open_table(path: Path) -> Split:
    """The pictures of one Parquet file, with labels where it has some."""
    part = _rows([open_parquet(path)])
    classes = in_one_order(part.labels)
    return Split(shown(path), classes, part.among(classes), part.shelf, part.all(), tuple(part.notes))


def load_images(
    spec: str, split: str, fit: Preprocess | None = None, *, skip_bad: bool = False, fraction: float = 1.0
) -> ImageSet:
    """One split of a data set, as `open_split` finds it, decoded.

    fit: resize each image to this; without it, images of unequal size are refused. skip_bad: leave out what cannot be
    read or has no label, and say so in `notes`; otherwise DataError names it. DataError also where a class has no
    picture to train on. fraction: as of `load_splits`.
    """
    return load_splits(spec, (split,), fit, skip_bad=skip_bad, fraction=fraction)[0]


def load_splits(
    spec: str, splits: Sequence[str], fit: Preprocess | None, *, skip_bad: bool = False, fraction: float = 1.0
) -> list[ImageSet]:
    """The same for several splits: what cannot be read in any of them is named at once.

    fraction: only so much of train, 0 to 1, a fixed choice.
    """
    parts: list[tuple[Split, ImageSet]] = []
    bad: list[str] = []
    for split in splits:
        found = open_split(spec, split)
        if (found.labels == UNKNOWN).all():
            said = "".join(f"; {note}" for note in found.notes)
            raise DataError(f"none of the {len(found)} images of '{found.name}' in its {split} split has a label{said}")
        if split == "train":
            _refuse_classes(found, found.empty, found.notes)
            if fraction < 1:
                found = _share(found, fraction)
        images, left_out = _decoded(found, fit)
        parts.append((found, images))
        bad += left_out
    if bad and not skip_bad:
        raise DataError(f"cannot read {_listed(bad, spec)}; mend or remove them, or leave them out by skip_bad=True")
    for split, (found, images) in zip(splits, parts, strict=True):
        if not len(images):
            raise DataError(f"'{found.name}' holds no images in its {split} split that can be read")
        if split == "train":
            lost = set(found.labels.tolist()) - set(images.labels.tolist()) - {UNKNOWN}
            _refuse_classes(found, [found.classes[k] for k in lost], images.notes)
    return [images for _, images in parts]


def load_for(manifest: Manifest, spec: str, split: str, *, skip_bad: bool = False, fraction: float = 1.0) -> ImageSet:
    """The same as a pair sees it: images as its encoder takes them, labels as indices into the pair's own classes.

    fraction: as of `load_splits`. DataError where the data set has images of a class that the pair does not know.
    """
    found = load_images(spec, split, manifest.preprocess, skip_bad=skip_bad, fraction=fraction)
    matched = match(found.classes, manifest.labels)
    labels = found.labels_among(manifest.labels)
    if None in labels:
        used = set(found.labels.tolist())
        strange = [one for k, one in enumerate(found.classes) if k in used and matched.places[k] is None]
        raise DataError(
            f"'{spec}' has classes that pair {manifest.name} does not know: {', '.join(strange[:5])}; "
            f"it knows {', '.join(manifest.labels[:20])}"
        )
    notes = (*found.notes, *match_notes(found.name, found.classes, matched, len(found), len(found)))
    ids = dict(zip(matched.places, found.ids, strict=True)) if found.ids else {}
    known = (
        tuple(ids[place] for place in range(len(manifest.labels))) if set(range(len(manifest.labels))) <= {*ids} else ()
    )
    own = np.array(labels, np.int64)
    return ImageSet(found.name, found.images, own, manifest.labels, notes, known, found.held_out)


def permutation(count: int) -> NDArray[np.int64]:
    """A fixed shuffle of 0..count-1: stable argsort of raw Philox words, the same in every version of numpy."""
    return np.argsort(np.random.Philox(key=SHUFFLE_KEY).random_raw(count), kind="stable")


def _digits(split: str) -> Split:
    """1,797 handwritten digits of 8 x 8 pixels, 0..16 scaled to 0..255 as (255 v + 8) // 16.

    `permutation` orders them; the first 360 are test, the next 300 validation, the other 1,137 train. Those of test
    travel with the pair that was trained on them.
    """
    if split == "test":
        with np.load(SHIPPED / "digits" / "test.npz") as file:
            scaled, labels = file["images"], file["labels"].astype(np.int64)
    else:
        rows = _digit_rows()
        order = permutation(len(rows))
        part = order[360:660] if split == "validation" else order[660:]
        scaled, labels = ((rows[part, :-1].reshape(-1, 8, 8, 1) * 255 + 8) // 16).astype(np.uint8), rows[part, -1]
    return Split("digits", tuple(map(str, range(10))), labels, Arrays(scaled), np.arange(len(labels)))


def _digit_rows() -> NDArray[np.int64]:
    """64 pixels and the label of each digit: int64 [1797, 65].

    Read from the file in scikit-learn's folder, as `sklearn.datasets.load_digits` does: to import that takes two
    seconds of a processor, half of what `sctx` needs to start.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"all digits but those of test come with scikit-learn: install it by {by_pip('train')}")
    file = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        raise ConfigError(f"the digits come with scikit-learn, and this one has no {file}: install another version")
    return np.loadtxt(file, delimiter=",", dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Part:
    """A split as it lies there: labels by the names of each of its files or folders."""

    labels: Sequence[Labels]
    shelf: Shelf
    notes: Sequence[str] = ()

    def among(self, classes: tuple[str, ...]) -> NDArray[np.int64]:
        return np.concatenate([one.among(classes) for one in self.labels])

    def all(self) -> NDArray[np.int64]:
        return np.arange(sum(len(one.index) for one in self.labels))


def _part(place: Place, names_only: bool) -> _Part:
    if place.folder is None:
        return _rows([open_parquet(path) for path in place.tables], names_only)
    files, labels, notes = class_folders(place.folder)
    return _Part([labels], Files(files), notes)


def _rows(tables: Sequence[Table], names_only: bool = False) -> _Part:
    """Column and labels of every file are looked at before any picture is read."""
    for table in tables:
        table.picture_column()
    labels = [table.labels(names_only) for table in tables]
    notes = [note for table in tables for note in table.label_note()]
    return _Part(labels, Rows(tables, np.cumsum([len(one.index) for one in labels])), notes[:1])


def _assembled(
    spec: str, name: str, split: str, found: Mapping[str, tuple[str, Callable[[bool], _Part]]], said: Sequence[str] = ()
) -> Split:
    """One split of all; without a validation split, `permutation` of train gives its last tenth, and train the rest."""
    source = "train" if split == "validation" and split not in found else split
    if source not in found:
        raise NoSplit(f"'{spec}' has no {source} split: expected {source}-*.parquet or {source}/CLASS/*.jpg"
                        f"{''.join(f'; {note}' for note in said)}")  # fmt: skip
    parts = {one: read(one != source) for one, (_, read) in found.items()}
    classes = in_one_order([one for part in parts.values() for one in part.labels])
    part, notes, word = parts[source], [*said, *parts[source].notes], found[source][0]
    whole = Split(name, classes, part.among(classes), part.shelf, part.all())
    if not len(whole):
        raise DataError(f"'{spec}' holds no images in its {source} split{''.join(f'; {note}' for note in notes)}")
    alike = "differ only in capital letters or spaces"
    notes += [f"classes '{one}' and '{other}' {alike}" for one, other in differ_in_form(classes)]
    if source != split:
        notes.append(f"there is no {split} split: a fixed tenth of {word} is held out for it")
    elif split == "validation" or not word.startswith(split):
        notes.append(f"{word} is taken as the {split} split")
    used = set(whole.labels.tolist())
    empty = tuple(one for k, one in enumerate(classes) if k not in used)
    if split != "test" and "validation" not in parts:
        train, held, back = _hold_out(whole.labels)
        if split == "validation" and not len(held):
            raise DataError(f"'{spec}' has too few pictures to hold some of them out: add some, or a validation split")
        if split == "validation" and back:
            some = ", ".join(classes[label] for label in back[:TOLD])
            notes.append(f"none is held out of {len(back)} classes that have too few pictures ({some})")
        whole = whole.take(train if split == "train" else held)
    return replace(whole, notes=tuple(notes), empty=empty, held_out=source != split)


def _hold_out(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """What is to train on and what is held out, and the classes that would have had nothing to train on: of each the
    first picture is given back."""
    order = permutation(len(labels))
    cut = len(labels) - max(1, int(HELD_OUT * len(labels)))
    train, held = order[:cut], order[cut:]
    classes, first = np.unique(labels[held], return_index=True)
    lost = ~np.isin(classes, labels[train]) & (classes != UNKNOWN)
    back = first[lost]
    return np.concatenate((train, held[back])), np.delete(held, back), classes[lost].tolist()


def _share(train: Split, fraction: float) -> Split:
    """A fixed share of train. DataError where it has no picture of a class."""
    some = train.take(permutation(len(train))[: int(fraction * len(train))])
    if lost := sorted(set(train.labels.tolist()) - set(some.labels.tolist()) - {UNKNOWN}):
        names = ", ".join(train.classes[label] for label in lost[:5])
        raise DataError(
            f"a share of {fraction:g} of '{train.name}' has no picture to train on of {len(lost)} of its classes "
            f"({names}): take more of it"
        )
    return some


def _decoded(split: Split, fit: Preprocess | None) -> tuple[ImageSet, list[str]]:
    """Every picture decoded into its place of one block, beside which there is one picture at a time.

    What could not be, and why, comes with it: it is left out of the images.
    """
    images = np.empty((0, 1, 1, 1), np.uint8)
    good = np.zeros(len(split), bool)
    bad = [f"{split.shelf.where(row)} (without a label)" for row in split.rows[split.labels == UNKNOWN].tolist()]
    place = np.zeros(int(split.rows.max(initial=0)) + 1, np.int64)
    place[split.rows] = np.arange(len(split))
    for row, picture in split.shelf.read(np.sort(split.rows[split.labels != UNKNOWN])):
        try:
            image = picture if isinstance(picture, np.ndarray) else decode_image(picture, fit=fit)
        except DataError as error:
            bad.append(f"{split.shelf.where(row)} ({getattr(error, 'why', error)})")
            continue
        image = fit_image(image, fit) if fit else image
        if not len(images):
            images = np.empty((len(split), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise DataError(f"the images of '{split.name}' differ in size, and no size was given to fit them to")
        images[place[row]], good[place[row]] = image, True
    notes = (*split.notes, f"left out {_listed(bad, split.name)}") if bad else split.notes
    kept = np.flatnonzero(good)
    for to, source in enumerate(kept.tolist() if bad else ()):  # in place: a copy would take as much memory again
        images[to] = images[source]
    labels = split.labels[kept]
    return ImageSet(split.name, images[: len(kept)], labels, split.classes, notes, split.ids, split.held_out), bad


def _listed(bad: Sequence[str], name: str) -> str:
    more = f" and {len(bad) - TOLD} more" if len(bad) > TOLD else ""
    return f"{len(bad)} of the images of '{name}': {', '.join(bad[:TOLD])}{more}"


def _refuse_classes(found: Split, empty: Sequence[str], notes: Sequence[str]) -> None:
    """empty: classes of it without a picture to train on."""
    said = "".join(f"; {note}" for note in notes)
    if empty:
        raise DataError(
            f"'{found.name}' has no picture to train on of {len(empty)} of its classes ({', '.join(empty[:5])}): "
            f"add some, or take the classes away{said}"
        )
    if len(found.classes) == 1:
        raise DataError(f"'{found.name}' has one class only, {found.classes[0]}; nothing to tell apart{said}")
