"""Tensors and a document that says what they are, in one file: safetensors, the document in its header. numpy only.

Knows nothing about what is in either.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.errors import ModelError
from common.text import safe
from common.typed import parse

LARGEST = 64 << 20
"""Bytes of a file that are read at all."""
_DOCUMENT = "semlink"
_LENGTH = 8

Tensors = Mapping[str, NDArray[Any]]


def pack(document: Mapping[str, Any], tensors: Tensors) -> bytes:
    """The bytes of such a file. document: JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    raw: bytes = save({name: np.ascontiguousarray(one) for name, one in tensors.items()}, {_DOCUMENT: text})
    return raw


def unpack(raw: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `pack` packed, whoever wrote it. ModelError, in a few words, where it is no such file."""
    try:
        tensors = load(raw)
        header = parse(raw[_LENGTH : _LENGTH + int.from_bytes(raw[:_LENGTH], "little")])
        document = parse(header["__metadata__"][_DOCUMENT].encode())
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = safe(" ".join(str(error).split()), 120) or type(error).__name__
        raise ModelError(f"it is no file of tensors with a document ({why})") from None
    if not isinstance(document, dict):
        raise ModelError("its document is no table")
    return document, tensors


def read_file(path: Path) -> bytes:
    """A regular file of bounded size. ModelError for anything else; a pipe is not waited for."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    if not raw or len(raw) > LARGEST:
        raise ModelError(f"{path} holds {'nothing' if not raw else f'more than {LARGEST >> 20} MiB'}")
    return raw


def expect(tensors: Tensors, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """ModelError where a tensor is missing, has another shape or type than float32, or holds what is no number."""
    if odd := sorted(set(tensors) ^ set(shapes)):
        raise ModelError(f"{'lacks the' if odd[0] in shapes else 'has a strange'} tensor '{safe(odd[0], 40)}'")
    for name, shape in shapes.items():
        one = tensors[name]
        if one.dtype != np.float32 or one.shape != shape:
            raise ModelError(f"its tensor '{name}' is {one.dtype} {list(one.shape)}, not float32 {list(shape)}")
        if not np.isfinite(one).all():
            raise ModelError(f"its tensor '{name}' holds what is no number")
