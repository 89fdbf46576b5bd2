"""Class names: checked, put into one order, matched with those of a pair. Names before numbers, everywhere.

Knows nothing about files or pictures.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError

MAX_NAME = 200
MAX_CLASSES = 65_536
UNKNOWN = -1

Order = Literal["given", "sorted", "numbers"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Classes of a part of a data set. index: int64 [N], into `names`; UNKNOWN where a picture has no label.

    order: whether the names came in an order (`given`), are to be sorted, or are `numbers` without names: those that
    occur, "1", "2", "7" say.
    """

    where: str
    names: tuple[str, ...]
    index: NDArray[np.int64]
    order: Order

    def among(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """The same as indices into `classes`, which must hold every name."""
        places = {name: place for place, name in enumerate(classes)}
        table = np.array([*(places[name] for name in self.names), UNKNOWN], np.int64)
        return table[self.index]


def class_name(text: str, where: str) -> str:
    """A name, composed, as file systems differ in that. DataError where it cannot be one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the class name {text!a} is not UTF-8; rename it") from None
    if len(text) > MAX_NAME or not text.isprintable():
        raise DataError(f"{where}: {text[:40]!a} is no class name: at most {MAX_NAME} printable characters")
    return composed(text)


def composed(text: str) -> str:
    """In the one of Unicode's forms in which names are compared."""
    return unicodedata.normalize("NFC", text)


def class_names(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Names of classes in the order that they came in; DataError where two are equal."""
    checked = tuple(class_name(name, where) for name in names)
    if len(set(checked)) < len(checked):
        twice = next(name for name in checked if checked.count(name) > 1)
        raise DataError(f"{where}: two classes are named '{twice}'; rename one")
    return checked


def in_one_order(parts: Sequence[Labels]) -> tuple[str, ...]:
    """The classes of several parts together: a given order, then all other names sorted; numbers by their size."""
    numbers = [one for one in parts if one.order == "numbers"]
    others = [one for one in parts if one.order != "numbers" and one.names]
    given = dict.fromkeys(name for one in others if one.order == "given" for name in one.names)
    rest = sorted({name for one in others for name in one.names} - set(given))
    named = (*given, *rest)
    if not others:
        return tuple(sorted({name for one in numbers for name in one.names}, key=int))
    for one in numbers:
        if strange := [name for name in one.names if name not in named]:
            raise DataError(
                f"{one.where} has numbers as labels ({strange[0]}), {others[0].where} has names ({named[0]}): "
                "they cannot be matched; write the names into both"
            )
    return named


def differ_in_form(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that are the same but for small and capital letters and spaces, single letters left out."""
    seen: dict[str, str] = {}
    found = []
    for name in names:
        first = seen.setdefault(" ".join(name.casefold().split()), name)
        if first != name and len(name) > 1:
            found.append((first, name))
    return found


@dataclass(frozen=True, slots=True)
class Match:
    """Where each class is among other names (None: it is not), and whether by position, for want of names."""

    places: tuple[int | None, ...]
    by_position: bool


def match(classes: Sequence[str], names: Sequence[str]) -> Match:
    """By name; numbers from 0 on, where no name is one of them and they all fit in, by position.

    Numbers without a 0 may count from 1: there is no guess.
    """
    places_of = {composed(name): place for place, name in enumerate(names)}
    places = tuple(places_of.get(one) for one in classes)
    numbers = [int(one) for one in classes if re.fullmatch(r"0|[1-9]\d{0,8}", one, re.ASCII)]
    counted = len(numbers) == len(classes) and 0 in numbers and max(numbers) < len(names)
    if counted and set(places) == {None}:
        return Match(tuple(numbers), True)
    return Match(places, False)
