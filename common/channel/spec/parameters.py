"""What a parameter is: each stands once, as a field of a specification, with all that is to be said about it.

Knows no parameter by name, and nothing about how flags are parsed. From these fields come the checks of a
specification, the flags of `channel-emu`, what the control port and schedules take, and the table of the document.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from common.errors import ConfigError
from common.text import safe

T = TypeVar("T", float, int, str)
_ABOUT = "parameter"
_ALSO: dict[type, type] = {float: Real, int: Integral, str: str}
"""What is as good as a type: numbers of numpy."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    name       field of the specification, and the name that requests to the control port use
    default    of the field; its type is that of the parameter: float, int or str
    flag       as it is typed, with dashes in front; a schedule names it without them
    metavar    what the help shows for its value
    text       what it is, one sentence for the help and the document
    low, high  range of a number, both included; unit: of the range, as a message says it
    beyond     the one value outside its range that it may have
    typed      default of the flag, where `read` makes the field of what is typed
    read       what is typed -> the field. Raises ConfigError, which names the flag
    live       may change while the channel runs
    file       a value that ends so is the name of a file; "": every value; None: none is
    """

    name: str
    default: float | int | str
    flag: str
    metavar: str
    text: str
    low: float | None
    high: float | None
    unit: str
    beyond: float | None
    typed: float | int | str
    read: Callable[[Any], float | int | str] | None
    live: bool
    file: str | None

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
        if self.low is None or self.high is None:
            return ""
        return f"{_number(self.low)} to {_number(self.high)} {self.unit}".rstrip()

    def check(self, value: Any) -> None:
        """Raise ConfigError where a value is of another type, or a number outside its range."""
        if type(value) is not self.kind and not _is_as_good(value, self.kind):
            raise self._wrong_type(value)
        if self.low is None or self.high is None:
            return
        if not self.low <= value <= self.high and value != self.beyond:  # not a number is in no range
            raise ConfigError(f"{self.name} {_number(value)} is outside {self.range}")

    def from_typed(self, value: Any) -> float | int | str:
        """What the flag or a schedule says -> the field."""
        made: float | int | str = self.read(value) if self.read else value
        return made

    def from_outside(self, value: Any) -> float | int | str:
        """A value of any type, by the name of the field -> in its own type. Raises ConfigError for a wrong type."""
        if self.kind is str:
            if type(value) is str:
                return value
        elif type(value) in (int, float) and (self.kind is float or value == value // 1):  # NaN is no whole number
            made: float | int | str = self.kind(value)
            return made
        raise self._wrong_type(value)

    def names_file(self, value: str) -> bool:
        """Whether a value is the name of a file."""
        return self.file is not None and bool(value) and value.endswith(self.file)

    def _wrong_type(self, value: Any) -> ConfigError:
        wanted = "whole number" if self.kind is int else self.kind.__name__
        return ConfigError(f"{self.name} {brief(value)} is not a {wanted}")


def parameter(
    default: T,
    flag: str,
    metavar: str,
    text: str,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    *,
    beyond: float | None = None,
    read: Callable[[T], T] | None = None,
    live: bool = True,
    file: str | None = None,
) -> T:
    """A field of a specification, as in Parameter. `default` is that of the flag; the field has `read(default)`."""
    of_field = read(default) if read else default
    about = Parameter("", of_field, flag, metavar, text, low, high, unit, beyond, default, read, live, file)
    made: T = field(default=of_field, metadata={_ABOUT: about})
    return made


def table(spec: type) -> dict[str, Parameter]:
    """Name -> parameter, of a class of specifications, in their order."""
    return {one.name: replace(one.metadata[_ABOUT], name=one.name) for one in fields(spec)}


def check_each(spec: object, parameters: Iterable[Parameter]) -> None:
    """Raise ConfigError where a value of a specification is of another type, or a number outside its range."""
    for one in parameters:
        one.check(getattr(spec, one.name))


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


def _is_as_good(value: Any, kind: type) -> bool:
    return isinstance(value, _ALSO[kind]) and not isinstance(value, bool)


def brief(value: Any) -> str:
    """What was sent, short: it may be anything, nested as deep as a message can be."""
    return safe(repr(value), 60) if isinstance(value, str | bytes | int | float) else type(value).__name__


def _number(value: float) -> str:
    """As people write it: 2^32 and not 4.29497e+09."""
    if isinstance(value, int) and abs(value) > 1_000_000:
        power = (abs(value) + 1).bit_length() - 1
        for less in (0, 1):
            if value == 2**power - less:
                return f"2^{power}-1" if less else f"2^{power}"
        return str(value)
    return f"{value:g}"
