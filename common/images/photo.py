"""One photograph: decoded, turned upright, made to fit a model. Knows nothing about data sets, models or training.

JPEG, PNG, BMP and WebP are read, whatever a file is named, up to MAX_BYTES and MAX_PIXELS; of several frames the first.

A JPEG that is much larger than the model takes is decoded at 1/2, 1/4 or 1/8 of its size, if one says to what it will
be fitted: in less time and memory (`deploy/EDGE.md`). Transmitter, training and evaluation do.
"""

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.images.containers import Kind, canvas, kind_of, without_metadata
from common.pair.shapes import Preprocess
from common.text import safe

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp")
FORMATS = "JPEG, PNG, BMP or WebP"
MAX_PIXELS = 25_000_000
MAX_BYTES = 64 << 20
FIRST_ON_ITS_SIDE = 5
"""Of the orientations of EXIF."""
SPARE = 6
"""So many times as wide and as high as it will be a JPEG is at least decoded: what `fit_image` makes of it is then what
it makes of the whole, but for a step of 255. With 3 it is blurred a little, which costs a pair that was trained on
sharp pictures half a point (`training/LOG.md`)."""


class Unreadable(DataError):
    """A picture that cannot be read. where: its name; why: in a few words."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"cannot read {where}: {why}")
        self.where, self.why = where, why


def decode_image(source: bytes | Path, name: str = "", fit: Preprocess | None = None) -> NDArray[np.uint8]:
    """An encoded photograph (bytes or path; any mode: palette, grey, CMYK, with alpha) -> uint8 [H, W, 3], read-only.

    The camera's orientation is applied, all other metadata are left alone; transparent pixels are laid over black.
    name: what to call it in an error (default: its path). fit: what `fit_image` is going to make of it; a JPEG comes in
    that eighth, quarter or half of its size that is at least SPARE times as wide and as high. Raises Unreadable.
    """
    where = name or (shown(source) if isinstance(source, Path) else "image")
    try:
        return _decode(_read(source) if isinstance(source, Path) else source, fit)
    except DataError as error:
        raise Unreadable(where, str(error)) from None
    except Exception as error:  # bytes from outside in somebody else's decoder: it may raise anything
        why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise Unreadable(where, why) from error


def fit_image(image: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """uint8 [H, W], [H, W, 1] or [H, W, 3] of any size -> uint8 [height, width, channels] as the manifest says.

    Centre crop to the aspect ratio, bicubic resize, grey <-> RGB (ITU-R 601-2 luma). An image that fits is not changed.
    What comes back may be written to.
    """
    from PIL import Image, ImageOps

    if not isinstance(image, np.ndarray):  # the type of an argument from outside is only a promise
        raise DataError(f"an image must be a numpy array, uint8 [H, W] or [H, W, 3], not {type(image).__name__}")
    flat = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    colour = flat.ndim == 3 and flat.shape[-1] == 3
    if image.dtype != np.uint8 or not (flat.ndim == 2 or colour) or 0 in image.shape:
        raise DataError(f"an image must be uint8 [H, W] or [H, W, 3], not {image.dtype} {list(image.shape)}")
    wanted = (preprocess.height, preprocess.width, preprocess.channels)
    if flat.shape[:2] != wanted[:2] or colour != (wanted[2] == 3):
        resized = _in_mode(Image.fromarray(np.ascontiguousarray(flat)), "RGB" if wanted[2] == 3 else "L")
        if flat.shape[:2] != wanted[:2]:
            resized = ImageOps.fit(resized, (wanted[1], wanted[0]), Image.Resampling.BICUBIC)
        flat = np.array(resized)
    return np.require(flat, requirements=("C", "W")).reshape(wanted)


def shown(path: Path) -> str:
    """A path as it can be printed anywhere: what is not UTF-8 or not printable is escaped."""
    return safe(os.fsencode(path).decode("utf-8", "backslashreplace"), None)


def one_line(error: BaseException) -> str:
    """The message of an error of somebody else's, on one line and not too long."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _read(path: Path) -> bytes:
    """The bytes of a regular file. A pipe or a device of that name is refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError("it is no regular file")
    with open(descriptor, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _decode(raw: bytes, fit: Preprocess | None) -> NDArray[np.uint8]:
    from PIL.Image import Transpose

    if len(raw) > MAX_BYTES:
        raise DataError(f"it is larger than {MAX_BYTES >> 20} MiB; make it smaller")
    kind = kind_of(raw)
    if kind is None:
        raise DataError("it is empty" if not raw else f"it is no {FORMATS} file")
    bare, orientation = without_metadata(raw, kind)
    if kind == "WebP":
        _refuse_too_large(canvas(bare))
    turns = (
        Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM, Transpose.TRANSPOSE,
        Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90,
    )  # fmt: skip
    with _opened(bare, kind) as image:
        _refuse_too_large(image.size)
        if fit is not None:
            sides = (fit.width, fit.height) if orientation < FIRST_ON_ITS_SIDE else (fit.height, fit.width)
            image.draft(None, (SPARE * sides[0], SPARE * sides[1]))  # of other formats it does nothing
        image.load()
        colours = _colours(image)
        return np.asarray(colours if orientation == 1 else colours.transpose(turns[orientation - 2]), np.uint8)


def _opened(bare: bytes, kind: Kind) -> "Picture":
    """Pillow's reader of that format and of no other: none that would start a program is ever asked."""
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    reader: Callable[[io.BytesIO], Picture] = {
        "JPEG": JpegImageFile, "PNG": PngImageFile, "WebP": WebPImageFile, "BMP": BmpImageFile,
    }[kind]  # fmt: skip
    return reader(io.BytesIO(bare))


def _refuse_too_large(size: tuple[int, int] | None) -> None:
    if size and size[0] * size[1] > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 1_000_000} million"
        raise DataError(f"it has more than {limit} pixels; make it smaller than {size[0]} x {size[1]}")


def _colours(image: "Picture") -> "Picture":
    """Any mode -> RGB."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return _grey_of_16_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")
    return _in_mode(image, "RGB")


def _in_mode(image: "Picture", mode: str) -> "Picture":
    """Itself where it is; of a large picture, a copy costs as much as decoding it does."""
    return image if image.mode == mode else image.convert(mode)


def _grey_of_16_bits(image: "Picture") -> "Picture":
    """The upper byte; samples of the one value that a PNG may declare transparent become black."""
    from PIL import Image

    samples = np.array(image).astype(np.uint16)
    grey = (samples >> 8).astype(np.uint8)
    if isinstance(clear := image.info.get("transparency"), int):
        grey[samples == clear] = 0
    return Image.fromarray(grey).convert("RGB")
