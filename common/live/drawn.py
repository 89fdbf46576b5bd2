"""Arrays -> what a page can draw: points, small pictures, numbers that JSON has. Knows nothing about what they mean."""

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_POINTS, MOST_PIXELS = 256, 96


def points(symbols: NDArray[np.complexfloating[Any, Any]]) -> list[list[float]]:
    """symbols: complex [S] -> [re, im] of at most 256 of them, to a thousandth; what is not finite is left out."""
    shown = symbols[:MOST_POINTS]
    return [[round(float(s.real), 3), round(float(s.imag), 3)] for s in shown[np.isfinite(shown)]]


def picture(image: NDArray[np.uint8]) -> dict[str, Any]:
    """image: uint8 [H, W] or [H, W, C] -> every k-th pixel, so that no side has over 96, as base64 of [h, w, c]."""
    step = -(-max(image.shape[:2]) // MOST_PIXELS)
    small = np.ascontiguousarray(image[::step, ::step].reshape(*image[::step, ::step].shape[:2], -1))
    height, width, channels = small.shape
    pixels = base64.b64encode(small.tobytes()).decode()
    return {"height": height, "width": width, "channels": channels, "pixels": pixels}


def finite(number: float | None, digits: int = 3) -> float | None:
    """Rounded; None for what JSON has no word for."""
    return round(number, digits) if number is not None and math.isfinite(number) else None
