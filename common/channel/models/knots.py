"""Gains on the air clock, and how a slow one is computed: straight lines between knots, in fixed blocks.

Knows nothing about what the gains are, nor about noise or messages. Knots stand every D symbols; D is as large as 30
knots per Doppler cycle and D <= 256 allow, so the lines err by less than -52 dB.
"""


import numpy as np
from numpy.typing import NDArray

BLOCK = 16384
"""Symbols of a continuous process that are computed at once; messages take slices of it."""

_MAX_SPACING = 256


class Gain:
    """Something that multiplies a signal. What it gives is a function of (its key, round, air sample) alone."""

    nbytes = 0
    """About how much memory it takes in use."""

    def samples(self, start: int, count: int, round_: int) -> NDArray[np.complex64]:
        """The gain at air samples start..start+count-1: complex64 [count]. May be a view: do not write to it.

        round_: of the frame. Rounds of neighbouring frames may share air samples; a process of the air clock is the
        same for all of them.
        """
        raise NotImplementedError


class InBlocks(Gain):
    """Keeps the block of a continuous process that was computed last; messages take slices of it.

    No block begins before `origin`.
    """

    nbytes = BLOCK * np.dtype(np.complex64).itemsize

    def __init__(self, origin: int = 0) -> None:
        self._origin = origin
        self._held = -1
        self._block: NDArray[np.complex64] = np.empty(0, np.complex64)

    def samples(self, start: int, count: int, round_: int = 0) -> NDArray[np.complex64]:
        """The process at start..start+count-1, start >= origin. May be a view: do not write to it."""
        pieces = []
        while count:
            block = start // BLOCK
            begin = max(block * BLOCK, self._origin)
            if block != self._held:
                self._block, self._held = self._compute(begin, (block + 1) * BLOCK - begin), block
            piece = self._block[start - begin :][:count]
            pieces.append(piece)
            start += piece.size
            count -= piece.size
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _compute(self, start: int, count: int) -> NDArray[np.complex64]:
        """The process at start..start+count-1: complex64 [count]."""
        raise NotImplementedError


def knot_spacing(doppler: float) -> int:
    """Symbols between knots, 1..256, in steps of 16 where it is more than that."""
    longest = max(1, min(_MAX_SPACING, int(1.0 / (30.0 * doppler)))) if doppler else _MAX_SPACING
    return longest - longest % 16 if longest > 16 else longest


def line_weights(spacing: int) -> NDArray[np.float32]:
    """Matrix that turns (re, im) of two knots into the line between them: float32 [4, 2 * spacing]."""
    ramp = (np.arange(spacing) / spacing).astype(np.float32)
    weights = np.zeros((4, spacing, 2), np.float32)
    weights[0, :, 0] = weights[1, :, 1] = 1.0 - ramp
    weights[2, :, 0] = weights[3, :, 1] = ramp
    return weights.reshape(4, 2 * spacing)


def join_knots(knots: NDArray[np.complex64], weights: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Straight lines between knots: complex64 [K + 1] -> complex64 [K * spacing]."""
    ends = np.empty((knots.size - 1, 2), np.complex64)
    ends[:, 0], ends[:, 1] = knots[:-1], knots[1:]
    return (ends.view(np.float32) @ weights).reshape(-1).view(np.complex64)
