"""What a parameter is: each stands once, as a field of a specification, with all that is to be said about it.

Knows no parameter by name, and nothing about how flags are parsed. From these fields come the checks of a
specification, the flags of `channel-emu`, what the control port and schedules take, and the table of the document.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from common.check import Setting, Takes, Text, declared, settings_of
from common.errors import ConfigError
from common.text import safe

T = TypeVar("T", float, int, str)
_AS_GOOD: dict[type, Any] = {float: Real, int: Integral}
"""What is a number of a kind: those of numpy as well."""
LEAST = 1e-300
"""Other than 0: a number that is divided by it, or by it times another, is not without end."""


@dataclass(frozen=True, slots=True)
class Within:
    """A number of `kind`, of Python or numpy, from `low` to `high`, both included, or the one value `beyond` them.

    Between 0 and LEAST there is none. unit: of the range, as a message says it.
    """

    kind: type[float] | type[int]
    low: float
    high: float
    unit: str = ""
    beyond: float | None = None

    def read(self, name: str, value: Any) -> float | int:
        """The value in its own type. Raises ConfigError where it is of another type, or outside the range."""
        if isinstance(value, bool) or not isinstance(value, _AS_GOOD[self.kind]):
            raise _wrong_type(name, value, self.kind)
        if not self.low <= value <= self.high and value != self.beyond:  # not a number is in no range
            raise ConfigError(f"{name} {_number(value)} is outside {self}")
        if 0.0 < abs(value) < LEAST:
            raise ConfigError(f"{name} {_number(value)} is too near 0 to compute with: give 0, or at least {LEAST:g}")
        return self.kind(value)

    def __str__(self) -> str:
        return f"{_number(self.low)} to {_number(self.high)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Parameter(Setting):
    """A setting of a channel, and what else there is to say.

    name       field of the specification, and the name that requests to the control port use
    default    of the field; its type is that of the parameter: float, int or str
    typed      default of the flag, where `made` makes the field of what is typed. A schedule names the flag without
               its dashes
    made       what is typed -> the field. Raises ConfigError, which names the flag
    live       may change while the channel runs
    file       a value that ends so is the name of a file; "": every value; None: none is
    """

    name: str = ""
    default: float | int | str = 0.0
    typed: float | int | str = 0.0
    made: Callable[[Any], float | int | str] | None = None
    live: bool = True
    file: str | None = None

    @property
    def kind(self) -> type:
        """The type of its values."""
        return type(self.default)

    @property
    def variable(self) -> str:
        """The flag as a name in Python."""
        return self.flag[2:].replace("-", "_")

    @property
    def range(self) -> str:
        """Its range in words; empty where it has none."""
        return "" if self.kind is str else str(self.takes)

    def check(self, value: Any) -> None:
        """Raise ConfigError where a value is of another type, or a number outside its range."""
        self.takes.read(self.name, value)

    def from_typed(self, value: Any) -> float | int | str:
        """What the flag or a schedule says -> the field; in the name of a file `~` is put in full."""
        if self.kind is str and self.names_file(value):
            return os.path.expanduser(str(value))
        field: float | int | str = self.made(value) if self.made else value
        return field

    def from_outside(self, value: Any) -> float | int | str:
        """A value of any type, by the name of the field -> in its own type. Raises ConfigError for a wrong type."""
        if self.kind is str:
            if type(value) is str:
                return value
        elif type(value) in (int, float) and (self.kind is float or value == value // 1):  # NaN is no whole number
            try:
                field: float | int | str = self.kind(value)
            except OverflowError:
                self.check(value)  # which it is far outside of
                raise
            return field
        raise _wrong_type(self.name, value, self.kind)

    def names_file(self, value: str) -> bool:
        """Whether a value is the name of a file."""
        return self.file is not None and bool(value) and value.endswith(self.file)


def parameter(
    default: T,
    flag: str,
    metavar: str,
    text: str,
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "",
    *,
    beyond: float | None = None,
    made: Callable[[T], T] | None = None,
    live: bool = True,
    file: str | None = None,
) -> T:
    """A field of a specification, as in Within and Parameter. `default` is that of the flag."""
    of_field = made(default) if made else default
    number = Within(int if type(default) is int else float, low, high, unit, beyond)
    takes: Takes = Text() if isinstance(default, str) else number
    about = Parameter(takes, text, flag, "", metavar, "", of_field, default, made, live, file)
    field: T = declared(of_field, about)
    return field


def table(spec: type) -> dict[str, Parameter]:
    """Name -> parameter, of a class of specifications, in their order."""
    return {name: replace(about, name=name) for name, _, about in settings_of(spec) if isinstance(about, Parameter)}


def from_flags(given: Mapping[str, Any], parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Values of flags, by `variable` -> fields of a specification; flags that are missing or None are left out."""
    return {
        one.name: one.from_typed(value) for one in parameters if (value := given.get(one.variable)) is not None
    }  # fmt: skip


@contextmanager
def as_typed(parameters: Iterable[Parameter]) -> Iterator[None]:
    """A ConfigError that begins with the name of a parameter begins with its flag instead."""
    try:
        yield
    except ConfigError as error:
        name, space, rest = str(error).partition(" ")
        typed = next((one.flag for one in parameters if one.name == name), name)
        raise ConfigError(f"{typed}{space}{rest}") from None


def brief(value: Any) -> str:
    """What was sent, short: it may be anything, nested as deep as a message can be."""
    return safe(repr(value), 60) if isinstance(value, str | bytes | int | float) else type(value).__name__


def _number(value: float) -> str:
    """As people write it: 2^32 and not 4.29497e+09."""
    if not isinstance(value, int) or abs(value) <= 1_000_000:
        return f"{value:g}"
    if (power := value.bit_length()) > 128:  # of which Python itself does not write every one
        return "a huge number"
    return {2**power - 1: f"2^{power}-1", 2 ** (power - 1): f"2^{power - 1}"}.get(value, str(value))


def _wrong_type(name: str, value: Any, kind: type) -> ConfigError:
    return ConfigError(f"{name} {brief(value)} is not a {'whole number' if kind is int else kind.__name__}")
