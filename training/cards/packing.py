"""Decisions of every image <-> text that JSON holds: smallest form, zlib, base64, and the SHA-256 of what is packed.

Knows nothing about what was decided.
"""

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMS = {"bits": "?", "u1": "<u1", "u2": "<u2", "f8": "<f8"}
"""bits: true or false, eight to a byte; u1, u2: classes; f8: probabilities. Numbers are little endian."""
MOST = 1 << 24
"""Values of one card at most."""
LINE = 100


@dataclass(frozen=True, slots=True)
class Packed:
    """An array as text. sha256: of form, shape and values, however they were compressed; data: base64, in lines."""

    form: str
    shape: tuple[int, ...]
    sha256: str
    data: tuple[str, ...]


def pack(values: NDArray[Any]) -> Packed:
    """values: bool, int (0..65535) or float in any shape; floats that are all 0 or 1 are packed as bits."""
    form = _form(values)
    raw = _raw(values, form)
    text = base64.b64encode(zlib.compress(raw, 9)).decode()
    lines = tuple(text[start : start + LINE] for start in range(0, len(text), LINE))
    return Packed(form, values.shape, _digest(form, values.shape, raw), lines)


def unpack(packed: Packed) -> NDArray[Any]:
    """What was packed: bool, int64 or float64. ValueError where text, form, shape and hash do not belong together."""
    if packed.form not in FORMS or not packed.shape or min(packed.shape) < 1 or prod(packed.shape) > MOST:
        raise ValueError(f"no values of form {packed.form[:20]!r} and shape {packed.shape} are packed")
    count, kind = prod(packed.shape), np.dtype(FORMS[packed.form])
    size = -(-count // 8) if packed.form == "bits" else count * kind.itemsize
    try:
        undo = zlib.decompressobj()
        raw = undo.decompress(base64.b64decode("".join(packed.data), validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the packed values cannot be read: {error}") from None
    if len(raw) != size or not undo.eof:
        raise ValueError(f"the packed values are not those of shape {packed.shape}")
    if _digest(packed.form, packed.shape, raw) != packed.sha256:
        raise ValueError("the packed values have another SHA-256 than the card says")
    if packed.form == "bits":
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=count).astype(bool).reshape(packed.shape)
    wide = np.float64 if packed.form == "f8" else np.int64
    return np.frombuffer(raw, kind).astype(wide).reshape(packed.shape)


def _form(values: NDArray[Any]) -> str:
    if values.dtype == bool or (values.dtype.kind == "f" and np.isin(values, (0.0, 1.0)).all()):
        return "bits"
    if values.dtype.kind == "f":
        return "f8"
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError(f"{values.dtype} values cannot be packed: booleans, floats or classes 0..65535")
    return "u1" if values.max() <= 0xFF else "u2"


def _raw(values: NDArray[Any], form: str) -> bytes:
    return np.packbits(values.astype(bool)).tobytes() if form == "bits" else values.astype(FORMS[form]).tobytes()


def _digest(form: str, shape: tuple[int, ...], raw: bytes) -> str:
    return hashlib.sha256(f"{form} {'x'.join(map(str, shape))} ".encode() + raw).hexdigest()
