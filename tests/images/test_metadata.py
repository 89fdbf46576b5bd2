"""Whatever is wrong with a picture's metadata, the picture is taken, and turned as far as they say so."""

import contextlib
import io
import os
import random
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from common.errors import DataError
from common.images.photo import decode_image
from tests.images.makers import KINDS, chunk, encoded, exif, picture_of, png, quarters, riff, segment, short, with_exif

MAKE, X_RESOLUTION, ORIENTATION, EXIF_IFD = 0x010F, 0x011A, 0x0112, 0x8769
TURNED = [np.asarray(turn) for turn in (
    quarters(), quarters()[:, ::-1], quarters()[::-1, ::-1], quarters()[::-1], quarters().transpose(1, 0, 2),
    np.rot90(quarters(), -1), np.rot90(quarters(), 2).transpose(1, 0, 2), np.rot90(quarters()),
)]  # fmt: skip
"""By EXIF orientation 1 to 8."""


def near(image: np.ndarray, wanted: np.ndarray) -> bool:
    return image.shape == wanted.shape and float(np.abs(image.astype(int) - wanted).mean()) < 12


def sound(order: str = "<", turn: int = 6) -> bytes:
    """A directory as cameras write it: maker, orientation, a resolution, a pointer to more, a thumbnail behind it."""
    tail = b"Maker\0" + struct.pack(f"{order}II", 72, 1) + encoded(quarters()[:8, :8])
    at = 8 + 2 + 4 * 12 + 4
    entries = [
        (MAKE, 2, 6, struct.pack(f"{order}I", at)), (ORIENTATION, 3, 1, short(turn, order)),
        (X_RESOLUTION, 5, 1, struct.pack(f"{order}I", at + 6)), (EXIF_IFD, 4, 1, struct.pack(f"{order}I", 8)),
    ]  # fmt: skip
    return exif(entries, order, tail)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_orientation_is_applied(kind: str, order: str) -> None:
    for turn in range(1, 9):
        raw = with_exif(picture_of(kind), kind, sound(order, turn))
        assert near(decode_image(raw), TURNED[turn - 1]), turn
        with Image.open(io.BytesIO(raw)) as image:
            assert np.array_equal(decode_image(raw), np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


ODD = {
    "maker is a rational": [(MAKE, 5, 1, short(8)), (ORIENTATION, 3, 1, short(6))],
    "resolution is -1/0": [(X_RESOLUTION, 10, 1, short(38)), (ORIENTATION, 3, 1, short(6))],
    "values beyond the end": [(MAKE, 2, 2**32 - 1, b"\xff" * 4), (ORIENTATION, 3, 1, short(6))],
    "types that there are not": [(MAKE, 999, 7, b"\xff" * 4), (ORIENTATION, 3, 1, short(6))],
    "a directory that points to itself": [(EXIF_IFD, 4, 1, short(8)), (ORIENTATION, 3, 1, short(6))],
    "the tag of orientation as long": [(ORIENTATION, 4, 1, struct.pack("<I", 6))],
    "the tag of orientation as byte": [(ORIENTATION, 1, 1, b"\6\0\0\0")],
}
UNTURNED = {
    "orientation 0": [(ORIENTATION, 3, 1, short(0))],
    "orientation 9": [(ORIENTATION, 3, 1, short(9))],
    "orientation as text": [(ORIENTATION, 2, 2, b"6\0\0\0")],
    "orientation as a list": [(ORIENTATION, 3, 4000, short(6))],
    "nothing": [],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", [*ODD, *UNTURNED])
def test_odd_exif_costs_no_picture(what: str, kind: str) -> None:
    raw = exif(ODD.get(what, UNTURNED.get(what, [])), tail=struct.pack("<ii", -1, 0), following=8)
    assert near(decode_image(with_exif(picture_of(kind), kind, raw)), TURNED[5 if what in ODD else 0])


def fuzz_exif(seed: int, count: int) -> None:
    rng = random.Random(seed)
    pictures = {kind: picture_of(kind) for kind in KINDS}
    for _ in range(count):
        raw, untouched = bytearray(sound(rng.choice("<>"), 6)), True
        for _ in range(rng.randint(1, 6)):
            at = rng.choice([rng.randrange(len(raw)), rng.randrange(34, min(90, len(raw)))])
            raw[at] = rng.choice([0, 0xFF, 0x7F, raw[at] ^ (1 << rng.randrange(8))])
            untouched &= at >= 34  # header, number of entries, maker and orientation come before
        if rng.random() < 0.2:
            del raw[max(40, rng.randrange(len(raw))) :]
        kind = rng.choice(KINDS)
        image = decode_image(with_exif(pictures[kind], kind, bytes(raw)))
        assert near(image, TURNED[5]) if untouched else any(near(image, turned) for turned in TURNED)


def test_mutated_exif_never_costs_a_picture_or_more_than_its_turn() -> None:
    fuzz_exif(seed=0, count=250)


@pytest.mark.full
def test_mutated_exif_at_length() -> None:
    for seed in range(1, 20):
        fuzz_exif(seed, 1000)


def test_orientation_in_xmp_counts_where_exif_says_nothing() -> None:
    xmp = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="6"/>'
    jpeg, blank = picture_of("JPEG"), picture_of("PNG")
    assert near(decode_image(jpeg[:2] + segment(0xE1, xmp) + jpeg[2:]), TURNED[5])
    assert near(decode_image(with_exif(jpeg[:2] + segment(0xE1, xmp) + jpeg[2:], "JPEG", sound(turn=3))), TURNED[2])
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<tiff:Orientation>6</tiff:Orientation>")
    assert near(decode_image(blank[:33] + text + blank[33:]), TURNED[5])
    first = jpeg[:2] + segment(0xE1, xmp) + with_exif(jpeg, "JPEG", sound(turn=3))[2:]
    assert near(decode_image(first), TURNED[2])
    assert near(decode_image(blank[:33] + text + with_exif(blank, "PNG", sound(turn=3))[33:]), TURNED[2])


def test_other_metadata_may_be_anything() -> None:
    """Profiles, text, multi-picture and resolution segments: garbled, cut short, with wrong checksums."""
    rng = random.Random(1)
    jpeg, flat, webp = picture_of("JPEG"), picture_of("PNG"), picture_of("WebP")
    segments = [(0xE0, b"JFXX\0"), (0xE0, b"JFIF"), (0xE2, b"ICC_PROFILE\0\1"), (0xE2, b"MPF\0II*\0"), (0xE2, b"MPF\0"),
                (0xED, b"Photoshop 3.0\x008BIM"), (0xEE, b"Adobe"), (0xFE, b"")]  # fmt: skip
    for marker, start in segments:
        for size in (0, 1, 5, 40):
            odd = jpeg[:2] + segment(marker, start + rng.randbytes(size)) + jpeg[2:]
            assert near(decode_image(odd), TURNED[0]), (marker, start, size)
    for name in (b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"gAMA", b"cHRM", b"pHYs", b"acTL", b"fcTL", b"eXIf", b"sRGB"):
        wrong = bytearray(chunk(name, rng.randbytes(rng.randrange(40))))
        wrong[-1] ^= 0xFF
        assert np.array_equal(decode_image(flat[:33] + bytes(wrong) + flat[33:]), TURNED[0]), name
    size = struct.pack("<I", 31)[:3] + struct.pack("<I", 15)[:3]
    metadata = (b"EXIF", b"x"), (b"XMP ", b"\xff")
    odd = riff((b"VP8X", b"\x2c\0\0\0" + size), (b"ICCP", b"no"), (b"VP8L", webp[20:]), *metadata)
    assert np.array_equal(decode_image(odd), TURNED[0])


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt"])
def test_what_is_packed_into_metadata_is_not_unpacked(name: bytes) -> None:
    bomb = zlib.compress(bytes(10_000_000))
    keyword = {b"iCCP": b"p\0\0", b"zTXt": b"p\0\0", b"iTXt": b"p\0\1\0\0\0"}[name]
    flat, started = picture_of("PNG"), time.process_time()
    for _ in range(5):
        assert np.array_equal(decode_image(flat[:33] + 40 * chunk(name, keyword + bomb) + flat[33:]), TURNED[0])
    assert time.process_time() - started < 0.5  # unpacked, this is 2 GB and over a second


def eps(command: str) -> bytes:
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n({command})\nshowpage\n%%EOF\n".encode()


def test_no_other_format_is_opened_whatever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPS would start Ghostscript."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\necho ran >>{tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    others = {"eps": eps("x")}
    for kind in ("GIF", "TIFF", "PPM", "ICO", "TGA", "PCX", "SGI", "JPEG2000", "DDS", "AVIF"):
        out = io.BytesIO()
        Image.fromarray(quarters()).save(out, kind)
        others[kind] = out.getvalue()
    for kind, raw in others.items():
        for suffix in ("png", "jpg", "webp", "bmp"):
            path = tmp_path / f"{kind}.{suffix}"
            path.write_bytes(raw)
            with pytest.raises(DataError, match=r"cannot read .*: it is no JPEG, PNG, BMP or WebP file"):
                decode_image(path)
    assert not (tmp_path / "ran").exists()


def sized(kind: str, width: int, height: int) -> bytes:
    """Nothing but a header that claims this size."""
    if kind == "PNG":
        return png((width, height, 8, 2))
    if kind == "BMP":
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
        return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header
    if kind == "WebP":
        return riff((b"VP8X", b"\2\0\0\0" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]))
    if kind == "VP8L":
        return riff((b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14) + bytes(20)))
    if kind == "VP8":
        return riff((b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(20)))
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    return b"\xff\xd8" + frame + segment(0xDA, b"\1\1\0\0\x3f\0") + bytes(20) + b"\xff\xd9"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WebP", "VP8L", "VP8"])
def test_a_picture_of_too_many_pixels_is_refused_on_its_header(kind: str) -> None:
    with pytest.raises(DataError, match="it has more than 25 million pixels; make it smaller"):
        decode_image(sized(kind, 13_300, 13_300))
    with pytest.raises(DataError) as caught:  # small enough, but nothing follows
        decode_image(sized(kind, 30, 20))
    assert "pixels" not in str(caught.value)


@pytest.mark.full
def test_a_picture_of_just_so_many_pixels_is_read() -> None:
    rows = (b"\0" + bytes(625)) * 5000
    assert decode_image(png((5000, 5000, 1, 0), rows=rows)).shape == (5000, 5000, 3)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_of_an_animation_the_first_picture_is_read(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.fromarray(quarters()), Image.new("RGB", (32, 16), (9, 9, 9))]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(decode_image(out.getvalue()), TURNED[0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WebP"])
def test_a_picture_that_is_cut_short_is_refused(kind: str) -> None:
    raw = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), kind)
    for keep in (*(int(share * len(raw)) for share in (0.05, 0.3, 0.6, 0.9)), len(raw) - 21):
        with pytest.raises(DataError, match="cannot read image"):
            decode_image(raw[:keep])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WebP"])
def test_a_picture_that_lacks_its_last_bytes_is_refused_or_whole(kind: str) -> None:
    for size in ((31, 17), (32, 16), (5, 5)):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        raw = encoded(pixels, kind, **({"lossless": True} if kind == "WebP" else {}))
        whole = decode_image(raw)
        for lacking in range(1, 20):
            with contextlib.suppress(DataError):
                assert np.array_equal(decode_image(raw[:-lacking]), whole), lacking


def test_a_picture_of_very_many_scans_is_refused() -> None:
    out = io.BytesIO()
    Image.fromarray(quarters()).save(out, "JPEG", progressive=True)
    raw = out.getvalue()
    at, end = raw.rindex(b"\xff\xda"), len(raw) - 2
    assert near(decode_image(raw[:end] + raw[at:end] * 20 + raw[end:]), TURNED[0])
    with pytest.raises(DataError, match="it has more than 64 scans"):
        decode_image(raw[:end] + raw[at:end] * 1000 + raw[end:])
    assert near(decode_image(raw + b"\xff\xda" * 1000), TURNED[0])  # behind its end: none of its own


def fuzz_pictures(seed: int, count: int) -> None:
    """Mutated anywhere, cut, spliced: a picture of a sane size, or DataError in one line."""
    rng = random.Random(seed)
    sources = [with_exif(picture_of(kind), kind, sound()) for kind in KINDS]
    sources += [encoded(quarters(), "BMP"), encoded(quarters(), "JPEG", progressive=True)]
    for _ in range(count):
        raw = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 8)):
            raw[rng.randrange(len(raw))] = rng.choice([0, 0xFF, rng.randrange(256)])
        if rng.random() < 0.3:
            other, at = rng.choice(sources), rng.randrange(len(raw))
            raw[at:] = other[rng.randrange(len(other)) :] if rng.random() < 0.5 else b""
        try:
            image, said = decode_image(bytes(raw)), ""
        except DataError as error:
            image, said = np.zeros((1, 1, 3), np.uint8), str(error)
        assert (image.dtype, image.ndim, image.shape[2], "\n" in said) == (np.uint8, 3, 3, False)


def test_mutated_pictures_are_pictures_or_one_line() -> None:
    fuzz_pictures(seed=0, count=400)


@pytest.mark.full
def test_mutated_pictures_at_length() -> None:
    for seed in range(1, 15):
        fuzz_pictures(seed, 1500)
