"""What lies in a folder: pictures, classes, splits; and what was left out of it, counted by kind.

Knows nothing about what is in a file. Hidden files and folders, and those that an operating system or a program leaves
behind, are neither pictures nor classes and are not counted.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from common.errors import DataError
from common.images.names import Labels, class_name
from common.images.photo import FORMATS, SUFFIXES, shown
from common.text import safe

SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""How people name the splits; the words are those of the `datasets` library."""
WORDS = tuple(word for words in SPLIT_WORDS.values() for word in words)
DEBRIS = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
TABLE = ".parquet"
MANY = 1000
"""So much of what lies beside the splits is looked at, of each folder."""


@dataclass(slots=True)
class Found:
    """Pictures below a folder in the order of their paths, and how many other files there are by suffix."""

    pictures: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    folders: set[tuple[int, int]] = field(default_factory=set)
    """Device and inode of each folder that was read."""

    def note(self, where: str) -> list[str]:
        """One line on what was left out; none where nothing was."""
        if not self.left_out:
            return []
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.left_out.most_common(8))
        files = "1 file" if self.left_out.total() == 1 else f"{self.left_out.total()} files"
        return [f"{where}: {files} left out ({kinds}); {FORMATS} files are read"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a split lies: Parquet files, or a folder of class folders; both in `root`. word: as it is named there.

    told: a line on which files it is, where they do not count themselves.
    """

    word: str
    tables: tuple[Path, ...]
    root: Path
    folder: Path | None = None
    told: tuple[str, ...] = ()


def is_debris(name: str) -> bool:
    """Hidden, or left behind by a system."""
    return name.startswith(".") or name.lower() in DEBRIS


@contextmanager
def _allowed(folder: Path) -> Iterator[None]:
    """What the system does not let us see becomes DataError in one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read folder {shown(Path(error.filename or folder))}: {error.strerror}") from None


def inside(folder: Path, begins: tuple[str, ...] = ("",)) -> list[Path]:
    """What lies in a folder, sorted, without debris; begins: of which a name has one in front, in small letters.
    DataError where it may not be read."""
    with _allowed(folder):
        return sorted(
            path for path in folder.iterdir() if path.name.lower().startswith(begins) and not is_debris(path.name)
        )


def look(folder: Path) -> Found:
    """Every picture below a folder, each folder once, and links followed, but not to what the folder lies in. DataError
    where one may not be read."""
    found, waiting = Found(), [folder]
    with _allowed(folder):
        above = {_identity(one) for one in folder.resolve().parents}
        while waiting:
            here = waiting.pop()
            identity = _identity(here)
            if identity in above:
                found.left_out["links to a folder above"] += 1
                continue
            if identity in found.folders:  # a link to where we came from, or to a folder read before
                continue
            found.folders.add(identity)
            for path in inside(here):
                if path.is_dir():
                    waiting.append(path)
                elif path.suffix.lower() in SUFFIXES and path.is_file():
                    found.pictures.append(path)
                else:
                    found.left_out[_kind(path)] += 1
    found.pictures.sort()
    return found


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def places_in(folder: Path) -> tuple[dict[str, Place], list[str]]:
    """The splits in a folder, or in the one folder of it that has some, as a copy of a Hub data set has them in `data`;
    where there are none, class folders are a train split; and a line on what was taken for it."""
    if found := splits_of(folder):
        beside = _beside(folder, found)
        _refuse_class(next(iter(found.values())).folder, found, beside)
        return found, [*_told(found), *_left_out(folder, beside)]
    below = {path: found for path in inside(folder) if path.is_dir() and (found := splits_of(path))}
    if len(below) == 1:
        ((path, found),) = below.items()
        beside = [one for one in inside(folder) if one != path]
        _refuse_class(path, found, beside)
        notes = [*_told(found), *_left_out(folder, beside), *_left_out(path, _beside(path, found))]
        return found, [f"the splits are those in {shown(path)}", *notes]
    if below:
        return {}, [f"{_some(map(shown, below))} have some: give one of them"]
    bare = [path for path in inside(folder) if path.is_dir()]
    if not (without := [shown(path) for path in bare if not _picture_in(path)]) and len(bare) < 2:
        return {}, []
    if without:
        some = len(bare) > len(without)  # else nothing here looks like a class
        return {}, [f"class folders need no split, but {_some(without)} hold no pictures"] if some else []
    said = (
        f"{shown(folder)} has no splits: each of its folders is taken as a class ({_some(path.name for path in bare)})"
    )
    return {"train": Place(f"{folder.name}/", (), folder, folder)}, [said]


def _refuse_class(path: Path | None, found: Mapping[str, Place], beside: Sequence[Path]) -> None:
    """DataError where the folder that is the only split, or has it, may be a class: it holds pictures of its own, and
    so do folders beside it. Class folders in it prove nothing: a class may have folders, too."""
    if path is None or len(found) > 1 or not (own := _picture_in(path)):
        return
    if classes := [one for one in beside if _looks_like_class(one)]:
        raise DataError(
            f"{shown(path)} may be where the {next(iter(found))} split is, or a class, as {_names(classes)} beside it: "
            f"rename it, or put elsewhere what is of no class: {safe(own)} in it, or what lies beside it"
        )


def _looks_like_class(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.R_OK | os.X_OK) and bool(_picture_in(path))


def _told(found: Mapping[str, Place]) -> list[str]:
    return [line for place in found.values() for line in place.told]


def _beside(folder: Path, found: Mapping[str, Place]) -> list[Path]:
    """What lies in a folder beside the splits that were found in it."""
    taken = {folder / place.word.rstrip("/") for place in found.values()}
    return [one for one in inside(folder) if one not in taken.union(*(place.tables for place in found.values()))]


def _left_out(folder: Path, beside: Sequence[Path]) -> list[str]:
    """A line on pictures and tables among what lies beside the splits; none where there are none."""
    some = list[str]()
    for path in beside:
        if path.is_dir():
            count, looked_at = _count(path)
            if count:
                some.append(f"{safe(path.name)} ({count}{' or more' if looked_at == MANY else ''} files)")
        elif path.suffix.lower() in {*SUFFIXES, TABLE}:
            some.append(safe(path.name))
    return [f"{shown(folder)}: what lies beside its splits is left out: {_some(some, 8)}"] if some else []


def _count(folder: Path) -> tuple[int, int]:
    """Pictures and tables among the first MANY of what lies below a folder that may be read, and how many these are."""
    names = [entry.name for entry in islice(_below(folder), MANY)]
    return sum(Path(name).suffix.lower() in {*SUFFIXES, TABLE} and not is_debris(name) for name in names), len(names)


def _below(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """All that lies below a folder, as it comes; nothing of what may not be read, and of links and debris."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False) and not is_debris(entry.name):
                    waiting.append(entry.path)


def _picture_in(folder: Path) -> str:
    """The name of a picture directly in a folder, and not further down; "" where there is none."""
    with _allowed(folder), os.scandir(folder) as entries:
        named = (one for one in entries if Path(one.name).suffix.lower() in SUFFIXES and not is_debris(one.name))
        return next((one.name for one in named if one.is_file()), "")


def splits_of(folder: Path) -> dict[str, Place]:
    """The splits in a folder: `train/`, `train-*.parquet` or `train.parquet`, and what else people call them.

    DataError where one of them is there twice, or a part of it is missing.
    """
    places: dict[str, list[Place]] = {split: [] for split in SPLITS}
    entries = inside(folder, WORDS)
    for split, word in ((split, word) for split, words in SPLIT_WORDS.items() for word in words):
        named = re.compile(rf"{word}([-_.].*)?{TABLE}", re.IGNORECASE)
        if tables := tuple(path for path in entries if named.fullmatch(path.name) and path.is_file()):
            if len(tables) > 1 and (whole := [path for path in tables if path.stem.lower() == word]):
                pair = _names([*whole, next(path for path in tables if path not in whole)])
                raise DataError(f"{shown(folder)}: {pair} would both be its {split} split: rename one of them")
            name = tables[0].name if len(tables) == 1 else f"{word}*{TABLE}"
            places[split].append(Place(name, tables, folder, told=_together(tables, split)))
        for path in entries:
            if path.name.lower() == word and path.is_dir():
                held = tuple(one for one in inside(path) if one.suffix.lower() == TABLE and one.is_file())
                if held and (classes := [one for one in inside(path) if one.is_dir() and _count(one)[0]]):
                    raise DataError(
                        f"{shown(path)} holds Parquet files ({_names(held)}) and class folders ({_names(classes)}): "
                        "keep one kind of them"
                    )
                told = _together(held, split)
                places[split].append(Place(f"{path.name}/", held, folder, None if held else path, told))
    for split, found in places.items():
        if len(found) > 1:
            words = " and ".join(shown(Path(one.word)) for one in found)
            raise DataError(f"{shown(folder)} has two {split} splits, {words}: remove one of them or merge them")
    return {split: found[0] for split, found in places.items() if found}


def _together(tables: Sequence[Path], split: str) -> tuple[str, ...]:
    """DataError unless files that count themselves, `train-00000-of-00002.parquet`, are all there, and once; a line on
    several that do not."""
    counted = defaultdict[tuple[str, int], list[int]](list)
    for path in tables:
        if said := re.match(r"(.*?)(\d+)-of-(\d+)(?!\d)", path.name):
            counted[said[1], int(said[3])].append(int(said[2]))
    for (name, count), parts in counted.items():
        where = f"{shown(tables[0].parent / name)}*{TABLE}"
        if sorted(parts) != list(range(count)):
            have = _some(map(str, sorted(parts)), 8)
            raise DataError(
                f"{where}: of {count} parts there are {have}: each must be there once; fetch what is missing, or rename"
                " what is meant to be less"
            )
        if sum(one == name for one, _ in counted) > 1:
            raise DataError(f"{where} is there in two numbers of parts: remove the one that is old")
    if len(tables) < 2 or sum(map(len, counted.values())) == len(tables):
        return ()
    return (f"{len(tables)} files are taken together as the {split} split: {_names(tables)}",)


def class_folders(folder: Path) -> tuple[list[Path], Labels, list[str]]:
    """Pictures in the class folders of a split, their labels, and notes on what was left out and what looks odd."""
    where, files, index, names = shown(folder), list[Path](), list[int](), list[str]()
    told, left_out, owner = list[str](), Counter[str](), dict[tuple[int, int], str]()
    for path in inside(folder):
        if not path.is_dir():
            left_out["pictures without a class folder" if path.suffix.lower() in SUFFIXES else _kind(path)] += 1
            continue
        name = class_name(path.name, where)
        if name not in names:  # else the same in another form of Unicode
            names.append(name)
        found = look(path)
        if other := next((owner[one] for one in found.folders if owner.get(one, name) != name), None):
            raise DataError(f"{where}: classes '{safe(other)}' and '{safe(name)}' hold the same folder, by a link")
        owner |= dict.fromkeys(found.folders, name)
        left_out += found.left_out
        files += found.pictures
        index += [names.index(name)] * len(found.pictures)
        told += _nested(path, found.pictures)
    told += Found(left_out=left_out).note(where)
    return files, Labels(where, tuple(names), np.array(index, np.int64), "sorted"), told


def _nested(folder: Path, pictures: Sequence[Path]) -> list[str]:
    """A line where the folders of a class look as if they were the classes."""
    below = sorted({path.relative_to(folder).parts[0] for path in pictures if path.parent != folder})
    if not below or len(below) < 2 or any(path.parent == folder for path in pictures):
        return []
    return [f"{shown(folder)}: what lies in {_some(map(_shown_name, below))} below it counts as one class"]


def _shown_name(name: str) -> str:
    return shown(Path(name))


def _some(words: Iterable[str], count: int = 3) -> str:
    words = list(words)
    return ", ".join(words[:count]) + (f" and {len(words) - count} more" if len(words) > count else "")


def _names(paths: Iterable[Path]) -> str:
    return _some(safe(path.name) for path in paths)


def _kind(path: Path) -> str:
    if not path.exists():
        return "broken links"
    if not path.is_file():
        return "that are no files"
    return shown(Path(path.suffix.lower())) if path.suffix else "of no suffix"
