"""One photograph: decoded, turned upright, made to fit a model. Knows nothing about data sets, models or training."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.manifest import Preprocess

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def decode_image(source: bytes | Path) -> NDArray[np.uint8]:
    """An encoded photograph (bytes or path; any mode: palette, grey, CMYK, with alpha) -> uint8 [H, W, 3].

    The camera's orientation is applied; transparent pixels are laid over black.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = source if isinstance(source, Path) else "image"
    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                image = image.point(lambda value: value / 256).convert("L")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
            return np.array(image.convert("RGB"), np.uint8)
    except Image.DecompressionBombError:
        limit = f"{2e-6 * (Image.MAX_IMAGE_PIXELS or 0):.0f} million"  # where Pillow refuses, to save memory
        raise DataError(f"cannot read {name}: it has more than {limit} pixels; make it smaller") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"cannot read {name}: {one_line(error)}; give a JPEG, PNG, BMP or WebP file") from error


def fit_image(image: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """uint8 [H, W], [H, W, 1] or [H, W, 3] of any size -> uint8 [height, width, channels] as the manifest says.

    Centre crop to the aspect ratio, bicubic resize, grey <-> RGB (ITU-R 601-2 luma). An image that fits is not changed.
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
        resized = Image.fromarray(np.ascontiguousarray(flat)).convert("RGB" if wanted[2] == 3 else "L")
        if flat.shape[:2] != wanted[:2]:
            resized = ImageOps.fit(resized, (wanted[1], wanted[0]), Image.Resampling.BICUBIC)
        flat = np.array(resized)
    return np.ascontiguousarray(flat).reshape(wanted)


def one_line(error: BaseException) -> str:
    """The message of an error of somebody else's, on one line and not too long."""
    return " ".join(str(error).split())[:200] or type(error).__name__
