"""Which column of a teacher's answer is which class of the data: by name; by position only where somebody says so.

Knows nothing about networks, files or pixels.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import ConfigError, ModelError
from common.text import safe

SHOWN = 5
"""Names that a message lists before it says how many more there are."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The data's classes among a teacher's: class k is column order[k] of its answer."""

    order: tuple[int, ...]
    how: str
    """What a store remembers: by name, by position."""
    told: str = ""
    """What is worth a line; empty where names and order are the data's own."""


def names_of(id2label: Mapping[Any, Any], label2id: Mapping[Any, Any], who: str) -> tuple[str, ...]:
    """A configuration's class names in the order of its columns; ModelError where they leave room for a guess.

    Where it has none (LABEL_0, LABEL_1 ...) and `label2id` names each column once, these are they.
    """
    numbers = sorted(id2label)
    if numbers != list(range(len(numbers))):
        raise ModelError(f"{who}: id2label must number its classes 0 to {len(numbers) - 1}, not {shown(numbers)}")
    names = tuple(id2label[number] for number in numbers)
    if wrong := [k for k, name in enumerate(names) if not isinstance(name, str | int) or name == ""]:
        raise ModelError(f"{who}: id2label gives class {wrong[0]} no name; mend config.json")
    written = tuple(str(name) for name in names)
    numbered = {str(name): _column(number) for name, number in label2id.items()}
    if _nameless(written) and not _nameless(numbered):
        named = {column: name for name, column in numbered.items()}
        once = len(named) == len(numbered) and {*named} == {*range(len(written))}
        return tuple(named[k] for k in range(len(written))) if once else written
    own = [(name, column) for name, column in numbered.items() if name in written]  # others are left from a base model
    if len(numbered) != len(written) and {*numbered.values()} == {*range(len(numbered))}:
        own = []  # all are: it numbers a head of another size
    if astray := [name for name, column in own if column not in range(len(written)) or written[column] != name]:
        raise ModelError(f"{who}: id2label and label2id do not agree about '{safe(astray[0], 60)}'; mend config.json")
    return written


def _column(number: Any) -> int:
    """As it is written in a file, -1 for what is no number."""
    try:
        return int(number)
    except (TypeError, ValueError, OverflowError):
        return -1


def _nameless(names: Iterable[str]) -> bool:
    """LABEL_0, LABEL_1 ..., which are no names."""
    return all(re.fullmatch(r"LABEL_[0-9]+", name) for name in names)


def match(teacher: Sequence[str], classes: Sequence[str], who: str, by_position: bool = False) -> Columns:
    """The columns of the data's classes. ConfigError names what one side has and the other lacks, or what is doubtful.

    A name may differ in case, `_`, `-` and spaces, and be one of several with commas ("tench, Tinca tinca"). A WordNet
    id among the data's names decides where the teacher knows it ("crane, n03126707"). A teacher that knows more classes
    is asked about the data's alone. LABEL_0, LABEL_1 ... are no names: there is only position.
    """
    same = tuple(range(len(classes)))
    nameless = tuple(teacher) == tuple(f"LABEL_{k}" for k in range(len(teacher)))
    numbers = [int(name) for name in classes if re.fullmatch("[0-9]+", name, re.ASCII)]
    if tuple(teacher) == tuple(classes):
        return Columns(same, "by name")
    if by_position or nameless:
        if len(teacher) != len(classes):
            raise ConfigError(
                f"{who} knows {len(teacher)} classes and the data set {len(classes)}, so they cannot be taken by "
                "position; take one trained on these classes, or make one with `python -m training.teacher`"
            )
        if not by_position and len(numbers) == len(classes) and numbers != sorted(numbers):
            raise ConfigError(
                f"{who} has no names for its classes, and those of the data are numbers sorted as text "
                f"({shown(classes)}), so which is which would be a guess: give its id2label their names, or say "
                "--by-position if its columns are in this order"
            )
        why = "as asked" if by_position else "it has no names for them"
        told = ", ".join(f"{one} is {other}" for one, other in zip(teacher[:3], classes[:3], strict=True))
        return Columns(same, "by position", f"{who}: classes by position ({why}): its {told} ...")
    order = _order(teacher, classes, who)
    if order == same and len(teacher) == len(classes):
        return Columns(order, "by name", f"{who}: classes by name, written otherwise: {teacher[0]} is {classes[0]} ...")
    if len(teacher) > len(classes):
        told = f"{who}: {len(classes)} of its {len(teacher)} classes are the data's, by name; the others are left out"
    else:
        told = f"{who}: its classes are the data's in another order, put in order by name"
    return Columns(order, "by name", told)


def shown(names: Sequence[object]) -> str:
    """Some of the names, for a message: at most SHOWN."""
    some = [safe(name, 60) for name in names[:SHOWN]]
    return ", ".join(some) + (f" ... ({len(names)} in all)" if len(names) > SHOWN else "")


def _order(teacher: Sequence[str], classes: Sequence[str], who: str) -> tuple[int, ...]:
    advice = "; rename them, take another teacher, or say --by-position if they are the same classes in the same order"
    keys = [_exact, _wordnet, _plain, _each]
    tables = [_table(teacher, key) for key in keys]
    found = [next((hit for hit in (_hits(t, key(one)) for t, key in zip(tables, keys, strict=True)) if hit), set())
             for one in classes]  # fmt: skip
    if lacking := [one for one, hits in zip(classes, found, strict=True) if not hits]:
        ids = " (WordNet ids: it has words)" if all(map(_wordnet, lacking)) else ""
        raise ConfigError(f"{who} does not know these classes of the data: {shown(lacking)}{ids}; "
                          f"it knows {shown(teacher)}{advice}")  # fmt: skip
    for one, hits in zip(classes, found, strict=True):
        if len(hits) > 1:
            raise ConfigError(f"{who} has several classes that may be '{one}': {shown(sorted(hits))}{advice}")
    order = tuple(next(iter(hits)) for hits in found)
    for k, column in enumerate(order):
        if order.index(column) != k:
            raise ConfigError(f"'{classes[order.index(column)]}' and '{classes[k]}' of the data are both "
                              f"'{teacher[column]}' of {who}{advice}")  # fmt: skip
    return order


def _table(teacher: Sequence[str], key: Any) -> dict[str, set[int]]:
    table: dict[str, set[int]] = {}
    for column, name in enumerate(teacher):
        for one in key(name):
            table.setdefault(one, set()).add(column)
    return table


def _hits(table: Mapping[str, set[int]], names: Sequence[str]) -> set[int]:
    return set().union(*(table.get(name, set()) for name in names))


def _exact(name: str) -> list[str]:
    return [name]


def _wordnet(name: str) -> list[str]:
    """The WordNet ids among several names with commas between them."""
    return [part for part in map(str.strip, name.split(",")) if re.fullmatch(r"n\d{8}", part, re.ASCII)]


def _plain(name: str) -> list[str]:
    """Without case, and with one space for any run of `_`, `-` and spaces."""
    return [re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()]


def _each(name: str) -> list[str]:
    """Each of several names with commas between them."""
    return [plain for part in name.split(",") for plain in _plain(part) if plain]
