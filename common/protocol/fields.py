"""Checks for one header field each: type and range, nothing else. Knows nothing about messages.

A check takes the unpacked value, returns it in the type that the message holds, and raises `ProtocolError` otherwise.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from common.errors import ProtocolError

Check = Callable[[Any], Any]
Quick = Callable[[tuple[Any, ...]], tuple[Any, ...] | None]


def _refuse(expected: str, value: Any) -> ProtocolError:
    return ProtocolError("bad_field", f"expected {expected}, got {repr(value)[:40]}")


def unsigned(bits: int) -> Check:
    """Integer 0 .. 2**bits - 1 (a bool is not an integer here)."""
    top = 1 << bits

    def check(value: Any) -> int:
        if type(value) is not int or not 0 <= value < top:
            raise _refuse(f"u{bits}", value)
        return value

    return check


u8, u16, u32, u64 = unsigned(8), unsigned(16), unsigned(32), unsigned(64)


def octets(length: int) -> Check:
    """Exactly `length` bytes."""

    def check(value: Any) -> bytes:
        if type(value) is not bytes or len(value) != length:
            raise _refuse(f"{length} bytes", value)
        return value

    return check


def text(limit: int) -> Check:
    """A string of at most `limit` bytes of UTF-8, so that the bound of the header holds in every alphabet."""

    def check(value: Any) -> Any:
        try:
            fits = type(value) is str and len(value.encode()) <= limit
        except UnicodeEncodeError:  # half of a surrogate pair
            fits = False
        if not fits:
            raise _refuse(f"text of at most {limit} bytes", value)
        return value

    return check


def number(low: float, high: float, known: bool = True) -> Check:
    """A finite float in [low, high]; known False: or nil, which means "not known"."""

    def check(value: Any) -> Any:
        if type(value) is float and low <= value <= high:  # NaN is in no range
            return value
        if value is None and not known:
            return value
        raise _refuse(f"float in [{low:g}, {high:g}]", value)

    return check


def sequence(inner: Check, limit: int) -> Check:
    """An array of at most `limit` values that `inner` takes."""

    def check(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple or len(value) > limit:
            raise _refuse(f"array of at most {limit}", value)
        return tuple(inner(item) for item in value)

    return check


def one_of(values: type[IntEnum]) -> Check:
    """A member of an IntEnum, by its number."""
    members = {int(member): member for member in values}

    def check(value: Any) -> Any:
        if type(value) is values:
            return value
        member = members.get(u8(value))
        if member is None:
            raise _refuse(values.__name__, value)
        return member

    return check


class Header:
    """The fields of one kind of header, in their order."""

    def __init__(self, checks: Sequence[Check], quick: Quick = lambda fields: None) -> None:
        """quick: all fields -> the same as a message holds them, or None where `checks` have to be asked."""
        self.checks, self.quick = tuple(checks), quick
        self._count = len(checks)

    def read(self, fields: tuple[Any, ...]) -> Sequence[Any]:
        """The fields in the types that a message holds. Later versions may add fields, which are not looked at."""
        if len(fields) != self._count:
            if len(fields) < self._count:
                raise ProtocolError("arity", f"{len(fields)} fields, at least {self._count} expected")
            fields = fields[: self._count]
        # One by one they say which is wrong, and why.
        return self.quick(fields) or [check(value) for check, value in zip(self.checks, fields, strict=True)]
