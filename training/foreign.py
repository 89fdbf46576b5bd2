"""What somebody else wrote: JSON, TOML and safetensors, bounded; whatever is wrong with it ends in one line.

Knows nothing about teachers or stores.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from common.errors import SemlinkError
from common.text import safe

T = TypeVar("T")

JSON_BYTES = 64 << 20
"""Largest JSON file that is read: the manifest of a store of 100,000 shards."""
POINTER = b"version https://git-lfs"


@contextmanager
def one_line(what: str, error: type[SemlinkError], remedy: str) -> Iterator[None]:
    """Whatever is raised over a foreign file becomes `error`: what, why, remedy. An `error` passes as it is."""
    try:
        yield
    except error:
        raise
    except Exception as cause:  # safetensors', transformers', tokenizers' and Pillow's own, torch's RuntimeError
        reason = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise error(f"{what} ({type(cause).__name__}: {reason}); {remedy}") from cause


def read_json(path: Path, error: type[SemlinkError], remedy: str) -> dict[str, Any]:
    """A JSON object; `error` where the file cannot be read, is a Git-LFS pointer, too large, cut, or something else."""
    refuse_pointer(path, error, remedy)
    if path.stat().st_size > JSON_BYTES:
        raise error(f"{path} has {path.stat().st_size:,} bytes, too many for what it should be; {remedy}")
    with one_line(f"{path} is damaged", error, remedy):
        found = json.loads(path.read_bytes(), parse_constant=_no_number)
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} where an object belongs")
    return found


def built(kind: type[T], values: Any, name: str) -> T:
    """A dataclass from plain values. ValueError or TypeError names the key that is unknown, missing or of another type.

    Integers are no floats and truth is no number; every number is finite and fits 64 bits. Ranges are the class's own.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{name} = {safe(values, 40)} is a {type(values).__name__}, not a table")
    dot = f"{name}." if name else ""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"unknown key '{dot}{safe(unknown[0], 40)}'; known: {', '.join(sorted(known))}")
    needed = {key for key, one in known.items() if one.default is MISSING and one.default_factory is MISSING}
    if lacking := sorted(needed - set(values)):
        raise ValueError(f"{name or 'it'} lacks {', '.join(lacking)}")
    hints = _hints(kind)
    return kind(**{key: _fitting(hints[key], value, f"{dot}{key}") for key, value in values.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fitting(kind: Any, value: Any, name: str) -> Any:
    """`value` where it is of the annotated type, lists as tuples and tables as dataclasses."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return value if isinstance(value, kind) else built(kind, value, name)  # type: ignore[arg-type]
    if NoneType in inner:
        return None if value is None else _fitting(inner[0], value, name)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_fitting(inner[0], one, f"{name}[{k}]") for k, one in enumerate(value))
    wanted = {Literal: str, dict: dict, tuple: list}.get(origin, kind)
    number = wanted in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and number and math.isfinite(value) and abs(value) < 2**63:
        return value
    if wanted is not float and type(value) is wanted and not (number and abs(value) >= 2**63):
        return value
    raise TypeError(f"{name} = {safe(repr(value), 40)} is no {wanted.__name__}")


def refuse_pointer(path: Path, error: type[SemlinkError], remedy: str) -> None:
    """`error` where there is no file to be read, or it only stands for one that `git clone` did not fetch."""
    if path.exists() and not path.is_file():
        raise error(f"{path} is no ordinary file; {remedy}")
    try:
        with path.open("rb") as file:
            begins = file.read(len(POINTER))
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror}; {remedy}") from cause
    if begins == POINTER:
        raise error(f"{path} is a Git-LFS pointer, not the file itself: run `git lfs pull` where it was cloned")


def tensor_headers(path: Path, error: type[SemlinkError], remedy: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names, types as the format writes them (F32, I8 ...) and shapes of a safetensors file; no tensor is read."""
    from safetensors import safe_open

    refuse_pointer(path, error, remedy)
    with one_line(f"{path} is damaged", error, remedy), safe_open(path, "np") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
