"""A function of rows, each row asked for once: the same images are sent, and come, at every place.

Knows nothing about what the function does.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Remembered:
    """`function`: uint8 [B, ...] -> [B, ...], what it gives for a row depending on that row alone."""

    def __init__(self, function: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> None:
        self._function = function
        self._known: dict[bytes, Any] = {}

    def __call__(self, rows: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 [B, ...] -> [B, ...]; B is at least 1."""
        digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
        new = list({digest: at for at, digest in enumerate(digests) if digest not in self._known}.values())
        if new:
            self._known |= {digests[at]: one for at, one in zip(new, self._function(rows[new]), strict=True)}
        return np.array([self._known[digest] for digest in digests])
