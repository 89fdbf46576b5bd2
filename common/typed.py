"""What somebody else wrote -> dataclasses, by their annotations: no other types, no key twice, nothing without end.

Knows nothing about what the values mean: their ranges are checked by the dataclasses themselves.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from common.errors import ConfigError, SemlinkError
from common.text import safe

T = TypeVar("T")
LARGEST = 2**63
LONGEST_TEXT = 20_000
"""Characters of one string."""
MOST_ITEMS = 100_000
"""Of one list or table."""
_AS_THEY_ARE = frozenset((int, float, str, bool, NoneType))


def parse(raw: bytes) -> Any:
    """JSON in UTF-8. ValueError, in a few words, where it is not, nests too deep, says a key twice or NaN."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def decode(kind: type[T], value: Any, name: str = "") -> T:
    """`value`, as JSON or TOML has it, as a dataclass, int, float, bool, str, Literal, tuple[X, ...], Mapping[str, X],
    dict or X | None.

    Whole numbers are taken for a float, and nothing else for another type; every number is finite and fits 64 bits,
    every text can be written as UTF-8. ValueError names the key that is unknown, missing or of another type. name: of
    `value`.
    """
    made: T = _decode(kind, value, name)
    return made


def check_types(made: Any, error: type[SemlinkError] = ConfigError) -> None:
    """For `__post_init__` of a dataclass: bring each field into the type of its annotation, as `decode` takes them.

    Numbers of numpy are as good as Python's, and a list as a tuple. Raises `error`, which names class and field.
    """
    for name, kind in _hints(made.__class__).items():
        try:
            object.__setattr__(made, name, _decode(kind, _plain(getattr(made, name)), name))
        except ValueError as problem:
            raise error(f"{type(made).__name__}: {problem}") from None


def _plain(value: Any) -> Any:
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _decode(kind: Any, value: Any, name: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return value if isinstance(value, kind) else _object(kind, value, name)  # type: ignore[arg-type]
    if NoneType in inner:
        return None if value is None else _decode(inner[0], value, name)
    if origin is tuple:
        _expect(isinstance(value, list | tuple) and len(value) <= MOST_ITEMS, value, name, "list of bounded length")
        if _are_numbers(inner[0], value):
            return tuple(value)
        return tuple(_decode(inner[0], one, f"{name}[{k}]") for k, one in enumerate(value))
    if origin is Mapping:
        _expect(isinstance(value, dict) and len(value) <= MOST_ITEMS, value, name, "table of bounded length")
        places = {_decode(str, key, name): f"{name}.{safe(key, 40)}" for key in value}
        return {key: _decode(inner[1], value[key], place) for key, place in places.items()}
    return _scalar({Literal: str}.get(origin, origin or kind), value, name)


def _are_numbers(kind: Any, values: Sequence[Any]) -> bool:
    """Whether all are sound, seen at once; which one is not, and why, is found by a look at each."""
    if not values or kind not in (int, float) or not {*map(type, values)} <= {int, kind}:
        return False
    return min(values) > -LARGEST and max(values) < LARGEST and all(map(math.isfinite, values))


def _scalar(kind: type, value: Any, name: str) -> Any:
    good = type(value) is kind
    if kind in (int, float):
        good = good or (kind is float and type(value) is int)
        good = good and abs(value) < LARGEST and math.isfinite(value)
    elif kind is str:
        good = good and len(value) <= LONGEST_TEXT and _is_text(value)
    _expect(good, value, name, kind.__name__)
    return value


def _object(kind: Any, value: Any, name: str) -> Any:
    _expect(isinstance(value, dict), value, name, "table")
    dot, hints, known = f"{name}." if name else "", _hints(kind), {one.name: one for one in fields(kind)}
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"unknown key '{dot}{safe(unknown[0], 40)}'; known: {', '.join(sorted(known))}")
    needed = {key for key, one in known.items() if one.default is MISSING and one.default_factory is MISSING}
    if lacking := sorted(needed - set(value)):
        raise ValueError(f"{name or 'it'} lacks {', '.join(lacking)}")
    return kind(**{key: _decode(hints[key], one, f"{dot}{key}") for key, one in value.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _expect(good: bool, value: Any, name: str, what: str) -> None:
    if not good:
        size = f"a {type(value).__name__} of {len(value)}" if isinstance(value, list | dict) else ""
        huge = type(value) is int and abs(value) >= LARGEST  # which may have more digits than Python writes
        raise ValueError(f"{name} = {size or ('a huge number' if huge else safe(repr(value), 40))} is no {what}")


def _is_text(text: str) -> bool:
    """False for halves of surrogate pairs, which no UTF-8 holds."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key '{safe(twice, 40)}' stands there twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
