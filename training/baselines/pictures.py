"""Pictures in as few bytes as JPEG and WebP allow, when both ends have agreed on all that does not change.

Knows nothing about channels or classes. Pillow makes a file; what is the same for every picture of a size and quality
is not sent, and put back before Pillow reads it:

    JPEG    markers, quantisation and Huffman tables (those of ITU-T T.81, annex K), and the zero that is stuffed behind
            each 0xFF: the entropy-coded data alone is sent. Chroma at half size
    WebP    container, start code and size of lossy VP8 (RFC 6386, 9.1); 3 bytes of the frame tag are sent, since they
            say where the coefficients begin

What is sent is the rung of the quality ladder, 4 bits, and the data, padded with zeros to a fixed number of bytes; each
picture takes the best quality that fits. One that no quality fits is sent as zeros.
"""

import io
from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RUNG_BITS = 4
QUALITIES = (1, 2, 3, 5, 7, 10, 14, 18, 23, 30, 38, 47, 57, 68, 80, 92)
"""Of the ladder, best last."""
END = b"\xff\xd9"
TAIL = b"\0" * 16
"""More than a decoder of VP8 reads ahead."""


class Format(ABC):
    """One way to write pictures of one shape (H, W, C)."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)

    @abstractmethod
    def data(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """uint8 [H, W, C] -> what has to be sent of it."""

    @abstractmethod
    def file(self, data: bytes, quality: int) -> bytes:
        """What was sent, and any bytes behind it -> a file that Pillow reads."""

    def pack(self, images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """uint8 [B, H, W, C] -> bits, uint8 [B, 4 + 8 size]; rung 0 and zeros where no quality fits."""
        packed = np.zeros((len(images), size + 1), np.uint8)
        for row, image in zip(packed, images, strict=True):
            rungs = bisect(QUALITIES, size, key=lambda quality: len(self.data(image, quality)))
            if rungs:
                row[0] = rungs - 1
                data = self.data(image, QUALITIES[rungs - 1])
                row[1 : 1 + len(data)] = np.frombuffer(data, np.uint8)
        return np.unpackbits(packed, axis=1)[:, 8 - RUNG_BITS :]

    def unpack(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bits as they came, uint8 [B, 4 + 8 size] -> pictures, uint8 [B, H, W, C]; grey where there is none."""
        filled = np.pad(bits, ((0, 0), (8 - RUNG_BITS, 0)))
        return np.stack([self._picture(row[0], row[1:].tobytes()) for row in np.packbits(filled, axis=1)])

    def _picture(self, rung: int, data: bytes) -> NDArray[np.uint8]:
        mode = "L" if self.shape[2] == 1 else "RGB"
        try:
            with Image.open(io.BytesIO(self.file(data, QUALITIES[rung]))) as read:
                pixels = np.asarray(read.convert(mode)).reshape(self.shape)
        except (OSError, SyntaxError, ValueError):  # what Pillow says of files that it cannot read
            return np.full(self.shape, 128, np.uint8)
        return pixels

    def _saved(self, image: NDArray[np.uint8], **options: object) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, **options)  # type: ignore[arg-type]
        return buffer.getvalue()


class Jpeg(Format):
    """Baseline JPEG with the standard's own Huffman tables."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape)
        self._heads: dict[int, bytes] = {}

    def data(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """See `Format`."""
        head, scan = self._split(image, quality)
        self._heads.setdefault(quality, head)
        return scan.replace(b"\xff\x00", b"\xff")

    def file(self, data: bytes, quality: int) -> bytes:
        """See `Format`."""
        if quality not in self._heads:
            self._heads[quality] = self._split(np.zeros(self.shape, np.uint8), quality)[0]
        return self._heads[quality] + data.replace(b"\xff", b"\xff\x00") + END

    def _split(self, image: NDArray[np.uint8], quality: int) -> tuple[bytes, bytes]:
        """All up to the entropy-coded data, and that."""
        whole = self._saved(image, format="JPEG", quality=quality, subsampling=2, optimize=False)
        start = whole.index(b"\xff\xda")
        start += 2 + int.from_bytes(whole[start + 2 : start + 4], "big")
        return whole[:start], whole[start : -len(END)]


class Webp(Format):
    """Lossy WebP: of its frame the tag and the partitions."""

    def data(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """See `Format`."""
        whole = self._saved(image, format="WEBP", quality=quality, method=6)
        length = int.from_bytes(whole[16:20], "little")
        frame = whole[20 : 20 + length]
        return (frame[:3] + frame[10:]).rstrip(b"\0")

    def file(self, data: bytes, quality: int) -> bytes:
        """See `Format`."""
        height, width, _ = self.shape
        frame = data[:3] + b"\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + data[3:]
        first = min(int.from_bytes(data[:3], "little") >> 5, height * width * 3)  # bytes of the first partition
        frame = frame.ljust(10 + first, b"\0") + TAIL  # zeros at the end of either were not sent
        frame += b"\0" * (len(frame) % 2)
        chunk = b"VP8 " + len(frame).to_bytes(4, "little") + frame
        return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
