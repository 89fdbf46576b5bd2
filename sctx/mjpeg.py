"""A byte stream -> the JPEG pictures in it, one after the other. Knows nothing about what is in a picture.

A picture starts with FF D8 and ends with the FF D9 that follows its scan data; a thumbnail inside a segment has such
markers of its own, so segments are skipped by their length (ITU-T T.81, annex B).
"""

from collections.abc import Callable, Iterator

from common.errors import DataError

MAX_PICTURE_BYTES = 64 << 20
CHUNK_BYTES = 1 << 16
START, END, SCAN = 0xD8, 0xD9, 0xDA
BARE = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})
"""What follows FF without a segment: a stuffed zero, TEM, restart markers."""


def pictures(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """`read(n)` gives at most n bytes, none at the end. What lies between two pictures is passed over."""
    buffer = b""
    while chunk := read(CHUNK_BYTES):
        buffer += chunk
        while (start := buffer.find(b"\xff\xd8\xff")) >= 0:
            end = picture_end(buffer, start)
            if end is None:
                break
            yield buffer[start:end]
            buffer = buffer[end:]
        if len(buffer) > MAX_PICTURE_BYTES:
            raise DataError("--source -: no whole JPEG within 64 MiB; the stream must be JPEG pictures")


def picture_end(buffer: bytes, start: int) -> int | None:
    """Where the picture that starts at `start` ends (exclusive); None while it is not all there."""
    at, scanning = start + 2, False
    while True:
        at = buffer.find(b"\xff", at) if scanning else at
        if at < 0 or at + 1 >= len(buffer):
            return None
        marker = buffer[at + 1]
        if buffer[at] != 0xFF or marker == START:
            return at  # damaged: the decoder will say so
        if marker == END:
            return at + 2
        if marker == 0xFF:
            at += 1  # a fill byte
        elif marker in BARE:
            at += 2
        elif at + 4 > len(buffer):
            return None
        else:
            scanning = marker == SCAN
            at += 2 + int.from_bytes(buffer[at + 2 : at + 4], "big")
