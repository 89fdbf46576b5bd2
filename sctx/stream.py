"""A byte stream -> the pictures in it, one after the other. Knows nothing about what is in a picture.

A JPEG starts with FF D8 and ends with the FF D9 that follows its scan data, whatever lies in its segments; a PNG ends
with its IEND chunk, and a WebP says how long it is. Further pictures that a photograph says it has behind it are no
photographs. Each byte is looked at once, no more than one picture is kept.
"""

import re
from collections.abc import Callable, Iterator

from common.errors import DataError
from common.images.containers import PNG_SIGNATURE, further_pictures, jpeg_end
from common.images.photo import MAX_BYTES

CHUNK_BYTES = 1 << 16
START = re.compile(rb"\xff\xd8\xff(?!\xd8)|" + re.escape(PNG_SIGNATURE) + rb"|RIFF[\0-\xff]{4}WEBP")
SIGNATURE_BYTES = 12
LEAST = {0xFF: 100, 0x89: 60, 0x52: 20}
"""Bytes of the smallest JPEG, PNG and WebP, by their first byte: what is shorter is none."""
FRAMING = bytes([0, *b"\t\n\r", *range(0x20, 0x7F), 0xFF])
"""What may lie between two pictures: the text of a multipart stream, and padding."""
ANY = -1
"""Length of a further picture of a photograph whose list of them was right before."""


class Pictures:
    """Iterates over the pictures of a stream. `read(n)` gives at most n bytes, none at the end.

    lost: places so far where something lay that is neither a picture nor the framing of a stream of pictures.
    passed_over: bytes between pictures. A picture that is cut short comes out as it is: a decoder will say so.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.lost = self.passed_over = 0
        self._read, self._buffer = read, bytearray()
        self._at, self._scanning, self._strange = 0, False, False
        self._taken = 0
        self._further: dict[int, int] = {}

    def __iter__(self) -> Iterator[bytes]:
        inside = found = False
        while chunk := self._read(CHUNK_BYTES):
            self._buffer += chunk
            while inside or self._find():
                inside = True
                if (end := self._end()) is None:
                    break
                inside = False
                if end < LEAST[self._buffer[0]] or self._has_no_scan(end):
                    self._pass_over(max(end, 2))
                    continue
                self._strange, found = False, True
                if self._further.get(self._taken) in (end, ANY):  # a depth map, say, of the photograph before it
                    self._further = dict.fromkeys(self._further, ANY)  # the list was right: so are its other places
                    self._pass_over(end, known=True)
                else:
                    yield self._take(end)
            if len(self._buffer) > MAX_BYTES:
                self._pass_over(len(self._buffer))
                inside = False
            if not found and self.passed_over > MAX_BYTES:
                raise DataError(f"--source -: no picture within {MAX_BYTES >> 20} MiB; give JPEG, PNG or WebP pictures")
        if inside:
            yield self._take(len(self._buffer))
        self._pass_over(len(self._buffer))

    def _find(self) -> bool:
        """Bring the start of the next picture to the front; what may be half of one stays."""
        start = START.search(self._buffer)
        self._pass_over(start.start() if start else max(0, len(self._buffer) - SIGNATURE_BYTES + 1))
        self._at, self._scanning = 0, False
        return start is not None

    def _end(self) -> int | None:
        """Where the picture at the front ends (exclusive); None while it is not all there."""
        buffer, first = self._buffer, self._buffer[0]
        if first == 0xFF:
            end, self._at, self._scanning = jpeg_end(buffer, self._at or 2, self._scanning)
            return end
        if first == 0x52:
            return self._whole(8 + int.from_bytes(buffer[4:8], "little"))
        self._at = self._at or 8
        while self._at + 8 <= len(buffer):
            size, last = int.from_bytes(buffer[self._at : self._at + 4], "big"), buffer[self._at + 4 : self._at + 8]
            if size > MAX_BYTES:
                return 0  # no length of a chunk
            if last == b"IEND":
                return self._whole(self._at + 12 + size)
            self._at += 12 + size
        return None

    def _whole(self, end: int) -> int | None:
        return 0 if end > MAX_BYTES else end if end <= len(self._buffer) else None

    def _has_no_scan(self, end: int) -> bool:
        """A JPEG that broke off before its first one."""
        return self._buffer[0] == 0xFF and self._buffer.find(b"\xff\xda", 0, end) < 0

    def _take(self, end: int) -> bytes:
        picture = bytes(self._buffer[:end])
        further = further_pictures(picture) if picture.startswith(b"\xff\xd8") else {}
        self._further = {self._taken + at: size for at, size in further.items()}
        self._taken += end
        del self._buffer[:end]
        return picture

    def _pass_over(self, count: int, known: bool = False) -> None:
        self.passed_over += count
        self._taken += count
        if not known and not self._strange and self._buffer[:count].translate(None, FRAMING):
            self._strange = True
            self.lost += 1
        del self._buffer[:count]
