"""Pictures, metadata and tables made to order, sound and otherwise."""

import io
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

KINDS = ("JPEG", "PNG", "WebP")
Entry = tuple[int, int, int, bytes]
"""Tag, type, count and the four bytes of the value or its offset."""


def quarters() -> NDArray[np.uint8]:
    """uint8 [16, 32, 3], another colour in each quarter, so that every orientation differs."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16], pixels[:8, 16:], pixels[8:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return pixels


def encoded(pixels: NDArray[np.uint8], kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def flat(value: int, size: tuple[int, int] = (12, 10), kind: str = "PNG") -> bytes:
    return encoded(np.full((size[1], size[0], 3), value, np.uint8), kind)


def short(value: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", value, 0)


def exif(entries: Sequence[Entry], order: str = "<", tail: bytes = b"", following: int = 0) -> bytes:
    """A TIFF header, one directory of `entries`, and `tail` behind it."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(f"{order}H", len(entries)) + body + struct.pack(f"{order}I", following) + tail


def chunk(name: bytes, data: bytes) -> bytes:
    """One of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(header: tuple[int, int, int, int], *chunks: bytes, rows: bytes = b"") -> bytes:
    """header: width, height, bits, colour type; rows: with their filter bytes."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + ihdr + b"".join(chunks) + end


def segment(marker: int, body: bytes) -> bytes:
    """One of a JPEG."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP."""
    packed = [name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks]
    body = b"WEBP" + b"".join(packed)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_exif(picture: bytes, kind: str, raw: bytes) -> bytes:
    """The same picture with these bytes as its EXIF, put there by hand: a library would mend them."""
    if kind == "JPEG":
        return picture[:2] + segment(0xE1, b"Exif\0\0" + raw) + picture[2:]
    if kind == "PNG":
        return picture[:33] + chunk(b"eXIf", raw) + picture[33:]
    size = struct.pack("<I", 31)[:3] + struct.pack("<I", 15)[:3]
    return riff((b"VP8X", b"\x08\0\0\0" + size), (b"VP8L", picture[20:]), (b"EXIF", raw))


def picture_of(kind: str) -> bytes:
    """`quarters` in that format."""
    options: dict[str, dict[str, Any]] = {"WebP": {"lossless": True}, "JPEG": {"quality": 95}}
    return encoded(quarters(), kind, **options.get(kind, {}))


def write_table(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None, **options: Any) -> Path:
    """A Parquet file; features: what `datasets` would write about the columns."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, **options)
    return path


def cells(values: Sequence[int]) -> list[dict[str, Any]]:
    """Flat pictures as `datasets` holds them."""
    return [{"bytes": flat(value), "path": None} for value in values]


def class_label(names: Sequence[str]) -> dict[str, Any]:
    return {"img": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}


def class_tree(top: Path, files: dict[str, int]) -> Path:
    """Flat pictures by path, `train/cat/a.png` say."""
    for name, value in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(flat(value))
    return top
