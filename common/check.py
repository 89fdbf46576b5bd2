"""Values that a caller gives -> the same, or ConfigError in words of the Python API. Knows nothing of what they mean.

The command line checks its flags by itself and speaks of flags; here parameters are named.
"""

import math
from numbers import Integral, Real
from typing import Any, NoReturn

from common.errors import ConfigError
from common.text import safe


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


def _refuse(name: str, value: object, wanted: str) -> NoReturn:
    raise ConfigError(f"{name} is {safe(repr(value))} and must be {wanted}")


def numbers(option: str, text: str, kind: type) -> list[Any]:
    """The values of an option, with commas between them. Raises ConfigError."""
    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{option} '{text}': give numbers with commas between them") from None
