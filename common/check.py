"""Values that a caller gives -> the same, or ConfigError in words of the Python API. Knows nothing of what they mean.

Functions check one value; `setting` makes a field of a settings class, which says what it takes, in which range, what
it is for and which flag sets it. The class checks its fields by it (`check_settings`), its documentation is written of
it (`described`), and so are the options of a command line (`common/flags.py`): they cannot disagree.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from inspect import signature
from numbers import Integral, Real
from pathlib import Path
from textwrap import fill
from typing import Any, NoReturn, Protocol, TypeVar

from common.errors import ConfigError
from common.text import safe

T = TypeVar("T")
_FIELD = "setting"


def whole(name: str, value: object, low: int, high: int) -> int:
    """An integer, of Python or numpy, from `low` to `high`; no boolean, no float, no text."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        _refuse(name, value, f"an integer from {low} to {high}")
    if not low <= (number := int(value)) <= high:
        _refuse(name, value, f"from {low} to {high}")
    return number


def real(name: str, value: object, low: float, high: float = math.inf, above: bool = False) -> float:
    """A number from `low` to `high` (above: more than `low`); no boolean, no text, not NaN."""
    wanted = f"above {low:g}" if above else f"{low:g} or more"
    wanted = wanted if high == math.inf else f"{wanted} and at most {high:g}"
    if isinstance(value, bool) or not isinstance(value, Real):
        _refuse(name, value, f"a number {wanted}")
    number = float(value)
    if not low <= number <= high or (above and number == low):  # what is not a number is in no range
        _refuse(name, value, wanted)
    return number


def takes(name: str, function: object, *arguments: str) -> None:
    """Something to call with so many arguments, in words for people; what has no signature is believed."""
    if not callable(function):
        _refuse(name, function, "something to call")
    try:
        signature(function, follow_wrapped=False).bind(*arguments)
    except TypeError:
        raise ConfigError(f"{name} is {safe(repr(function))} and must take {', '.join(arguments)}") from None
    except ValueError:  # of C, say
        return


def switch(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        _refuse(name, value, "True or False")
    return value


def text(name: str, value: object) -> str:
    """Text."""
    if not isinstance(value, str):
        _refuse(name, value, "text")
    return value


def folder(name: str, value: object) -> Path:
    """A folder, which need not be there."""
    if not isinstance(value, str | Path):
        _refuse(name, value, "a folder")
    return Path(value)


def made_by(name: str, value: T | None, kind: type[T]) -> T:
    """An object of a class; None: one as the class makes it without arguments."""
    value = kind() if value is None else value
    if not isinstance(value, kind):
        _refuse(name, value, f"made by {kind.__module__.partition('.')[0]}.{kind.__name__}")
    return value


def _refuse(name: str, value: object, wanted: str) -> NoReturn:
    raise ConfigError(f"{name} is {safe(repr(value))} and must be {wanted}")


class Takes(Protocol):
    """What a setting takes: `read` gives the value in its own type, or raises ConfigError with the name before it."""

    def read(self, name: str, value: object) -> Any: ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def read(self, name: str, value: object) -> int:
        return whole(name, value, self.low, self.high)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`; above: `low` itself is none of them."""

    low: float
    high: float = math.inf
    above: bool = False

    def read(self, name: str, value: object) -> float:
        return real(name, value, self.low, self.high, self.above)

    def __str__(self) -> str:
        least = f"above {self.low:g}" if self.above else f"{self.low:g}"
        return f"{least} to {self.high:g}" if self.high < math.inf else f"{least}{'' if self.above else ' or more'}"


@dataclass(frozen=True, slots=True)
class Switch:
    """True or False."""

    def read(self, name: str, value: object) -> bool:
        return switch(name, value)

    def __str__(self) -> str:
        return "True or False"


@dataclass(frozen=True, slots=True)
class Text:
    """Any text; what it means is found out where it is used."""

    def read(self, name: str, value: object) -> str:
        return text(name, value)

    def __str__(self) -> str:
        return "text"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, name: str, value: object) -> str:
        word = text(name, value)
        if word not in self.words:
            _refuse(name, value, f"one of {self}")
        return word

    def __str__(self) -> str:
        return ", ".join(self.words)


@dataclass(frozen=True, slots=True)
class Folder:
    """The path of a folder."""

    def read(self, name: str, value: object) -> Path:
        return folder(name, value)

    def __str__(self) -> str:
        return "a folder"


@dataclass(frozen=True, slots=True)
class Setting:
    """What there is to know of a setting.

    flag: the one that sets it on a command line, "" where none does by itself. unset: what None stands for, in words;
    "" where None is no value of it. metavar: how its value is called in the help text, "" for the name of its type.
    """

    takes: Takes
    text: str
    flag: str
    unset: str = ""
    metavar: str = ""


def setting(default: Any, takes: Takes, text: str, flag: str = "", unset: str = "", metavar: str = "") -> Any:
    """A field of a settings class, which is a frozen dataclass; see `Setting`."""
    return declared(default, Setting(takes, text, flag, unset, metavar))


def declared(default: Any, about: Setting) -> Any:
    """A field of a settings class of which there is more to say than a Setting holds."""
    return field(default=default, metadata={_FIELD: about})


def settings_of(kind: type) -> Iterator[tuple[str, Any, Setting]]:
    """Name, default and description of each field of a settings class."""
    for one in fields(kind):
        yield one.name, one.default, one.metadata[_FIELD]


def check_settings(given: Any) -> None:
    """Bring each field into the type that it has; ConfigError names the first that cannot. For `__post_init__`."""
    for name, _, about in settings_of(type(given)):
        value = getattr(given, name)
        if not (about.unset and value is None):
            object.__setattr__(given, name, about.takes.read(name, value))


def described(kind: type[T]) -> type[T]:
    """Write the fields of a settings class into its docstring: name, meaning, range and default."""
    rows = []
    for name, default, about in settings_of(kind):
        value = about.unset if default is None else str(default)
        row = f"{name:<18}{about.text}  [{about.takes}; default: {value}]"
        rows.append(fill(row, 110, initial_indent=" " * 4, subsequent_indent=" " * 22))
    kind.__doc__ = f"{kind.__doc__ or ''}\n\n" + "\n".join(rows) + "\n"
    return kind
