"""What somebody else wrote: JSON, TOML and safetensors, bounded; whatever is wrong with it ends in one line.

Knows nothing about teachers or stores.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from common.errors import SemlinkError
from common.typed import parse

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
        found = parse(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__} where an object belongs")
    return found


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
