"""JSON from somebody else -> dataclasses, by their annotations: no other types, no key twice, nothing without end.

Knows nothing about what the values mean: their ranges are checked by the dataclasses themselves.
"""

import json
import math
import types
from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
LARGEST_INT = 2**53
LONGEST_TEXT = 20_000
"""Characters of one string."""
MOST_ITEMS = 100_000
"""Of one list or object."""


def parse(raw: bytes) -> Any:
    """JSON in UTF-8. ValueError, in a few words, where it is not, nests too deep, says a key twice or NaN."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def decode(kind: type[T], value: object, where: str = "") -> T:
    """`value`, as JSON has it, as `kind`: int, float, bool, str, tuple[X, ...], Mapping[str, X], X | None, a dataclass.

    An int is a float, but nothing else is taken for another. ValueError names the place and what is wrong there.
    """
    made: T = _decode(kind, value, where)
    return made


def _decode(kind: Any, value: object, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, value, where)
    if get_origin(kind) in (types.UnionType,):
        inner = next(one for one in get_args(kind) if one is not types.NoneType)
        return None if value is None else _decode(inner, value, where)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        items = _expect(isinstance(value, list), value, where, "a list", value)
        _bounded(items, where)
        return tuple(_decode(inner, one, f"{where}[{place}]") for place, one in enumerate(items))
    if get_origin(kind) is Mapping:
        items = _expect(isinstance(value, dict), value, where, "an object", value)
        _bounded(items, where)
        inner = get_args(kind)[1]
        return {_decode(str, key, where): _decode(inner, one, f"{where}.{key[:40]}") for key, one in items.items()}
    return _scalar(kind, value, where)


def _scalar(kind: type, value: object, where: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        _expect(number and isinstance(value, int) and abs(value) <= LARGEST_INT, value, where, "a whole number")
    elif kind is float:
        fits = isinstance(value, float) and math.isfinite(value)
        fits = fits or (number and isinstance(value, int) and abs(value) <= LARGEST_INT)
        return float(_expect(fits, value, where, "a number", value))
    elif kind is bool:
        _expect(isinstance(value, bool), value, where, "true or false")
    else:
        good = isinstance(value, str) and len(value) <= LONGEST_TEXT and _is_text(value)
        _expect(good, value, where, f"a text of at most {LONGEST_TEXT} characters")
    return value


def _object(kind: type, value: object, where: str) -> Any:
    items = _expect(isinstance(value, dict), value, where, "an object", value)
    hints, known = _hints(kind), {one.name: one for one in fields(kind)}
    if unknown := [key for key in items if key not in known]:
        raise ValueError(f"{where or 'it'} has an unknown field {_short(unknown[0])}")
    wanted = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
    if missing := [name for name in wanted if name not in items]:
        raise ValueError(f"{where or 'it'} has no field '{missing[0]}'")
    return kind(**{key: _decode(hints[key], one, f"{where}.{key}".lstrip(".")) for key, one in items.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _expect(good: bool, value: object, where: str, what: str, answer: Any = None) -> Any:
    if not good:
        raise ValueError(f"{where} is {_short(value)}, not {what}")
    return answer


def _bounded(items: Any, where: str) -> None:
    if len(items) > MOST_ITEMS:
        raise ValueError(f"{where} has {len(items)} entries, and {MOST_ITEMS} are the most")


def _is_text(text: str) -> bool:
    """False for halves of surrogate pairs, which no UTF-8 holds."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _short(value: object) -> str:
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INT:
        return "a huge number"
    return repr(value)[:40]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {_short(twice)} stands there twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
