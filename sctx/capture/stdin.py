"""A byte stream -> the pictures in it, one after the other. Knows nothing about what is in a picture.

A JPEG starts with FF D8 and ends with the FF D9 that follows its scan data, whatever lies in its segments; a PNG ends
with its IEND chunk, and a WebP says how long it is. What a phone put behind a photograph belongs to it: further
pictures, the video of a motion photo, Samsung's notes. A HEIC or a video is passed over whole, with the JPEGs in it.
Each byte is looked at once, no more than one picture is kept.
"""

import re
from collections.abc import Callable, Iterator

from common.errors import DataError
from common.images.containers import PNG_END, PNG_SIGNATURE, boxes_end, further_pictures, jpeg_end, says_video
from common.images.photo import MAX_BYTES

CHUNK_BYTES = 1 << 16
START = re.compile(rb"\xff\xd8\xff(?!\xd8)|" + re.escape(PNG_SIGNATURE) + rb"|RIFF[\0-\xff]{4}WEBP|\0[\0-\xff]{3}ftyp")
NOTES = re.compile(rb"\0\0[\0-\xff]{2}[\x04-\x40]\0\0\0[A-Z][A-Za-z_]{3}", re.DOTALL)
"""How Samsung's phones begin what they append to a photograph; it ends with SEFT."""
SIGNATURE_BYTES = 12
OTHER = 0x00
"""First byte of what is passed over whole."""
LEAST = {0xFF: 100, 0x89: 60, 0x52: 20, OTHER: 0}
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
        self._behind = self._video = False
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
                if self._buffer[0] == OTHER:
                    self._pass_over(end, known=self._is_own())
                    continue
                if end < LEAST[self._buffer[0]] or self._has_no_scan(end):
                    self._pass_over(max(end, 2))
                    continue
                self._strange, found = False, True
                if self._further.get(self._taken) in (end, ANY):  # a depth map, say, of the photograph before it
                    self._further = dict.fromkeys(self._further, ANY)  # the list was right: so are its other places
                    self._pass_over(end, known=True)
                    self._behind = True
                else:
                    yield self._take(end)
            if len(self._buffer) > MAX_BYTES:
                self._pass_over(len(self._buffer))
                inside = False
            if not found and self.passed_over > MAX_BYTES:
                raise DataError(f"source -: no picture within {MAX_BYTES >> 20} MiB; give JPEG, PNG or WebP pictures")
        if inside and self._buffer[0] != OTHER:
            yield self._take(len(self._buffer))
        self._pass_over(len(self._buffer), known=inside and self._is_own())

    def _find(self) -> bool:
        """Bring the start of the next picture to the front; what may be half of one stays."""
        if self._behind:
            if len(self._buffer) < SIGNATURE_BYTES:
                return False
            self._behind = NOTES.match(self._buffer) is not None
            if self._behind:
                self._at, self._scanning = 0, False
                return True
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
        if first == OTHER and self._behind:
            found = buffer.find(b"SEFT", self._at)
            self._at = max(0, len(buffer) - 3)
            return None if found < 0 else found + 4
        if first == OTHER:
            end, self._at = boxes_end(buffer, self._at)
            return end
        if first == 0x52:
            return self._whole(8 + int.from_bytes(buffer[4:8], "little"))
        self._at = self._at or 8
        while self._at + 8 <= len(buffer):
            size, last = int.from_bytes(buffer[self._at : self._at + 4], "big"), buffer[self._at + 4 : self._at + 8]
            if size > MAX_BYTES or not last.isalpha() or (last == b"IHDR") != (self._at == 8):
                return 0  # no chunk: what was before it is cut short
            if last == b"IEND":
                if self._whole(self._at + len(PNG_END)) is None:
                    return None
                return self._at + max(k for k in range(13) if buffer.startswith(PNG_END[:k], self._at))
            self._at += 12 + size
        return None

    def _is_own(self) -> bool:
        """Whether what is passed over at the front belongs to the photograph before it."""
        own = self._behind or (self._video and not self._strange)
        self._behind = self._video = False
        return own

    def _whole(self, end: int) -> int | None:
        return 0 if end > MAX_BYTES else end if end <= len(self._buffer) else None

    def _has_no_scan(self, end: int) -> bool:
        """A JPEG that broke off before its first one."""
        return self._buffer[0] == 0xFF and self._buffer.find(b"\xff\xda", 0, end) < 0

    def _take(self, end: int) -> bytes:
        picture = bytes(self._buffer[:end])
        self._behind = picture.startswith(b"\xff\xd8")
        self._video = self._behind and says_video(picture)
        further = further_pictures(picture) if self._behind else {}
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
