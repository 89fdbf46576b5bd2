"""Files that somebody else made: JSON and safetensors, bounded; whatever is wrong with one ends in one line.

Knows nothing about teachers or stores.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from common.errors import SemlinkError

JSON_BYTES = 64 << 20
"""Largest JSON file that is read: the manifest of a store of 100,000 shards."""
POINTER = b"version https://git-lfs"


@contextmanager
def one_line(what: str, error: type[SemlinkError], remedy: str) -> Iterator[None]:
    """Whatever a library raises over a foreign file becomes `error`: what, why, remedy. Ours pass."""
    try:
        yield
    except SemlinkError:
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


def refuse_pointer(path: Path, error: type[SemlinkError], remedy: str) -> None:
    """`error` where the file cannot be read or only stands for one that `git clone` did not fetch."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(POINTER))
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror}; {remedy}") from cause
    if begins == POINTER:
        raise error(f"{path} is a Git-LFS pointer, not the file itself: run `git lfs pull` where it was cloned")


def tensor_shapes(path: Path, error: type[SemlinkError], remedy: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file, from its header; no tensor is read."""
    from safetensors import safe_open

    refuse_pointer(path, error, remedy)
    with one_line(f"{path} is damaged", error, remedy), safe_open(path, "np") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (not a dict)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
