"""What a picture file is made of: JPEG, PNG, WebP or BMP; its pixels without metadata, and which way up it is.

Knows nothing about how pixels are coded. Only the orientation is read out of metadata; EXIF, XMP, ICC profiles, text
and thumbnails are cut away before a decoder sees them: whatever is wrong with them is nobody's concern, and nothing of
them is unpacked.

    JPEG   segments FF xx, length (ITU-T T.81, annex B); EXIF and XMP in APP1; further pictures behind it: MPF in APP2
           (CIPA DC-007), as phones write them
    PNG    chunks length, name, data, CRC (W3C PNG, clause 5); EXIF in eXIf, XMP in iTXt
    WebP   RIFF chunks name, length, data (RFC 9649, section 2); EXIF, "XMP "
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from common.errors import DataError

Kind = Literal["JPEG", "PNG", "WebP", "BMP"]
Order = Literal["little", "big"]
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
START, END, SCAN = 0xD8, 0xD9, 0xDA
BARE = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})
"""What follows FF without a segment: a stuffed zero, TEM, restart markers."""
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
"""Where scan data end."""
MAX_SCANS = 64
"""A progressive JPEG has about 10; each costs the time of the whole picture, however few bytes it has."""
MAX_FURTHER = 64
PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
WEBP_METADATA = 0x20 | 0x08 | 0x04
"""Flags of VP8X: ICC profile, EXIF, XMP."""
ORIENTATION, MP_ENTRIES = 0x0112, 0xB002
INTEGERS = {1: 1, 3: 2, 4: 4}
"""Bytes of the TIFF types BYTE, SHORT and LONG."""
BOXES = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mfra", b"mdat", b"meta", b"free", b"skip", b"wide", b"uuid",
                   b"udta", b"sidx", b"mpvd", b"sefd"})  # fmt: skip
"""What lies in an ISO base media file, at its top."""
XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])[\"'<]")


def kind_of(raw: bytes) -> Kind | None:
    """By its first bytes, whatever a file is named; None for all that is not read here."""
    if raw.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if raw.startswith(PNG_SIGNATURE):
        return "PNG"
    if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP":
        return "WebP"
    return "BMP" if raw.startswith(b"BM") else None


def without_metadata(raw: bytes, kind: Kind) -> tuple[bytes, int]:
    """The same pixels in a file of their own, and the orientation, 1 (upright) to 8 as EXIF numbers them."""
    if kind == "BMP":
        return raw, 1
    kept, said = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp}[kind](raw)
    return kept, said.turn()


def canvas(raw: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP, whose decoder takes memory for them as soon as it is made. None: not there."""
    for name, body, _ in _riff(raw):
        if name == b"VP8X":
            return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        if name == b"VP8 ":
            return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
        if name == b"VP8L":
            bits = int.from_bytes(body[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def exif_orientation(raw: bytes) -> int | None:
    """Out of the first directory of a TIFF header and nothing else of it; None where it is not said."""
    for tag, kind, count, value, _ in _entries(raw.removeprefix(b"Exif\0\0")):
        if tag == ORIENTATION:
            return value if count == 1 and kind in INTEGERS and 1 <= value <= 8 else 1
    return None


def further_pictures(jpeg: bytes) -> dict[int, int]:
    """Where other pictures of the same photograph lie behind it, in bytes from its start, and how long they are.

    That is what the file says; a program that took them away may have left it there.
    """
    second = (start + 4 for marker, start, _ in _segments(jpeg) if marker == 0xE2)
    at = next((4 + start for start in second if jpeg.startswith(b"MPF\0", start)), len(jpeg))
    entry = next((one for one in _entries(jpeg[at : at + (1 << 16)]) if one[0] == MP_ENTRIES), None)
    if entry is None:
        return {}
    _, _, size, offset, order = entry
    found: dict[int, int] = {}
    for start in range(at + offset, min(at + offset + min(size, 16 * MAX_FURTHER), len(jpeg)) - 15, 16):
        length, place = (int.from_bytes(jpeg[k : k + 4], order) for k in (start + 4, start + 8))
        found |= {at + place: length} if place else {}
    return found


def says_video(jpeg: bytes) -> bool:
    """Whether it has a short video behind it, as phones write motion photos (XMP GCamera:MicroVideo, MotionPhoto)."""
    bodies = (jpeg[start + 4 : end] for marker, start, end in _segments(jpeg) if marker == 0xE1)
    return any(b"MotionPhoto" in body or b"MicroVideo" in body for body in bodies if b"adobe.com/xap" in body[:32])


def boxes_end(raw: bytes | bytearray, at: int) -> tuple[int | None, int]:
    """From the box at `at` of an ISO base media file (HEIC, AVIF, MP4; ISO/IEC 14496-12, clause 4.2) to the end of the
    boxes: the end (exclusive), or None while it is not known; and where to go on then."""
    while at + 16 <= len(raw):
        size, name = int.from_bytes(raw[at : at + 4], "big"), bytes(raw[at + 4 : at + 8])
        if name not in BOXES or (name == b"ftyp" and at):  # which begins another file
            return at, at
        size = int.from_bytes(raw[at + 8 : at + 16], "big") if size == 1 else size
        if size < 8:
            return at + 8, at  # damaged, or to the end of the file, which a stream of files does not show
        at += size
    return None, at


def _entries(raw: bytes) -> Iterator[tuple[int, int, int, int, Order]]:
    """Tag, type, count, value (or where it is) and byte order, of the first directory of a TIFF header."""
    order: Order = "little" if raw.startswith(b"II*\0") else "big"
    if order == "big" and not raw.startswith(b"MM\0*"):
        return

    def number(at: int, size: int) -> int:
        return int.from_bytes(raw[at : at + size], order)

    first = number(4, 4) + 2
    for at in range(first, min(first + 12 * number(first - 2, 2), len(raw) - 11), 12):
        kind = number(at + 2, 2)
        yield number(at, 2), kind, number(at + 4, 4), number(at + 8, INTEGERS.get(kind, 4)), order


def xmp_orientation(raw: bytes) -> int | None:
    """As some programs write it beside EXIF or in its place."""
    found = XMP_ORIENTATION.search(raw)
    return int(found[1]) if found else None


@dataclass(slots=True)
class Said:
    """Orientations in the order in which they stand in the file."""

    exif: list[int | None] = field(default_factory=list)
    xmp: list[int | None] = field(default_factory=list)

    def turn(self) -> int:
        """That of EXIF, wherever XMP stands: a program that turned one and forgot the other left XMP behind."""
        return next((one for one in (*self.exif, *self.xmp) if one is not None), 1)


def _jpeg(raw: bytes) -> tuple[bytes, Said]:
    """Tables, frame and scans; of the application segments only those that say which colours these are."""
    kept, said, at = [raw[:2]], Said(), 2
    for marker, start, at in _segments(raw):
        body = raw[start + 4 : at]
        if marker == 0xE1:
            if body.startswith(b"Exif\0"):
                said.exif.append(exif_orientation(body))
            else:
                said.xmp.append(xmp_orientation(body))
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or _says_colours(marker, body):
            kept.append(raw[start:at])
    end = jpeg_end(raw, at)[0]
    if raw.count(b"\xff\xda", at, end or len(raw)) > MAX_SCANS:
        raise DataError(f"it has more than {MAX_SCANS} scans")
    return b"".join([*kept, raw[at:end]]), said


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment before the first scan. What lies inside one is not looked at: a thumbnail
    has scans of its own."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1  # a fill byte
            continue
        if marker in (SCAN, END) or marker in BARE or size < 2:
            return
        yield marker, at, at + 2 + size
        at += 2 + size


def _says_colours(marker: int, body: bytes) -> bool:
    """JFIF and Adobe segments, by which decoders tell YCbCr, RGB and CMYK apart."""
    return (marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14) or (
        marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12
    )


def jpeg_end(raw: bytes | bytearray, at: int, scanning: bool = False) -> tuple[int | None, int, bool]:
    """From the marker at `at` (`scanning`: from the scan data there) to the end of the picture.

    The end (exclusive; where it is damaged, before the segment that leads to where no marker is), or None while it is
    not all there; and where to go on then.
    """
    last = at
    while True:
        if scanning:
            found = MARKER.search(raw, at)
            if found is None:
                return None, max(at, len(raw) - 1), True
            at = last = found.start()
            scanning = False
        if at + 2 > len(raw):
            return None, last, False
        marker = raw[at + 1]
        if raw[at] != 0xFF or marker == START:
            return last, last, False
        if marker == END:
            return at + 2, at, False
        if marker == 0xFF or marker in BARE:
            at = last = at + (1 if marker == 0xFF else 2)
        elif at + 4 > len(raw):
            return None, at, False
        else:
            size = int.from_bytes(raw[at + 2 : at + 4], "big")
            if size < 2:
                return at, at, False
            last, at, scanning = at, at + 2 + size, marker == SCAN


def _png(raw: bytes) -> tuple[bytes, Said]:
    """The first picture of it: an animation's other frames are left out as well."""
    kept, said, at = [raw[:8]], Said(), 8
    while at + 8 <= len(raw):
        name, end = raw[at + 4 : at + 8], at + 12 + int.from_bytes(raw[at : at + 4], "big")
        if name in PNG_KEPT:
            kept.append(raw[at:end])
        elif name == b"eXIf":
            said.exif.append(exif_orientation(raw[at + 8 : end - 4]))
        elif name == b"iTXt" and raw.startswith(b"XML:com.adobe.xmp\0\0", at + 8):
            said.xmp.append(xmp_orientation(raw[at + 8 : end - 4]))
        at = end
        if name == b"IEND":
            break
    return b"".join([*kept, PNG_END]) if at <= len(raw) else b"".join(kept), said


def _webp(raw: bytes) -> tuple[bytes, Said]:
    kept, said = [b"WEBP"], Said()
    for name, body, size in _riff(raw):
        if name == b"EXIF":
            said.exif.append(exif_orientation(body))
        elif name == b"XMP ":
            said.xmp.append(xmp_orientation(body))
        elif name in WEBP_KEPT:
            if len(body) < size:
                raise DataError("it is cut short")
            plain = bytes([body[0] & ~WEBP_METADATA]) + body[1:] if name == b"VP8X" and body else body
            kept.append(name + len(plain).to_bytes(4, "little") + plain + bytes(len(plain) % 2))
    whole = b"".join(kept)
    return b"RIFF" + len(whole).to_bytes(4, "little") + whole, said


def _riff(raw: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Chunks of a WebP: name, data, as much of them as there is, and how long they should be."""
    at = 12
    while at + 8 <= len(raw):
        size = int.from_bytes(raw[at + 4 : at + 8], "little")
        yield raw[at : at + 4], raw[at + 8 : at + 8 + size], size
        at += 8 + size + size % 2
