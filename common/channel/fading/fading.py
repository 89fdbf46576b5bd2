"""Flat fading h[n] on the air clock: block Rayleigh, Rayleigh, Rician, Nakagami. Knows nothing about noise or messages.

    fader (Doppler cycles) + line of sight -> knots every D symbols -> straight lines between them -> h in fixed blocks

D is as large as 30 knots per Doppler cycle and D <= 256 allow, so the lines err by less than -52 dB.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.channel.fading.clocks import Clocks
from common.channel.fading.fader import Fader
from common.channel.fading.nakagami import Quantiles
from common.channel.fading.noise import WhiteNoise
from common.channel.spec.spec import ChannelSpec

BLOCK = 16384
"""Symbols of continuous fading that are computed at once; messages take slices of it."""

_MAX_SPACING = 256


def knot_spacing(doppler: float) -> int:
    """Symbols between knots, 1..256, in steps of 16 where it is more than that."""
    longest = max(1, min(_MAX_SPACING, int(1.0 / (30.0 * doppler)))) if doppler else _MAX_SPACING
    return longest - longest % 16 if longest > 16 else longest


def block_fading(draws: WhiteNoise, coherence: int, start: int, count: int) -> NDArray[np.complex64]:
    """h[start : start + count], complex64 [count]: h ~ CN(0, 1), one of `draws` per block of `coherence` symbols."""
    first = start // coherence
    found = draws.samples(first, (start + count - 1) // coherence - first + 1)
    if found.size == 1:
        return np.full(count, found[0])
    lengths = np.full(found.size, coherence)
    lengths[0] -= start - first * coherence
    lengths[-1] -= lengths.sum() - count
    return np.repeat(found, lengths)


class InBlocks:
    """Keeps the block of a continuous process that was computed last; messages take slices of it.

    No block begins before `origin`.
    """

    def __init__(self, origin: int = 0) -> None:
        self._origin = origin
        self._held = -1
        self._block: NDArray[Any] = np.empty(0)

    def samples(self, start: int, count: int) -> NDArray[Any]:
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

    def _compute(self, start: int, count: int) -> NDArray[Any]:
        """The process at start..start+count-1: array [count]."""
        raise NotImplementedError


class ContinuousFading(InBlocks):
    """Rayleigh, Rician or Nakagami fading of one stream while its parameters stand still.

    clocks: how far everything is where it begins; samples before belong to an earlier fading.
    """

    def __init__(self, spec: ChannelSpec, fader: Fader, clocks: Clocks, shape: Quantiles | None) -> None:
        super().__init__(clocks.at)
        ratio = 10.0 ** (spec.k_factor_db / 10.0) if spec.fading == "rician" else 0.0
        self._fader = fader
        self._cycles, self._doppler = clocks.cycles, spec.doppler
        self._sight = clocks.sight
        self._shape = shape
        self._scattered = np.float32(math.sqrt(1.0 / (1.0 + ratio)))
        self._line = math.sqrt(ratio / (1.0 + ratio))
        self._line_doppler = spec.los_doppler
        self._line_phase = math.radians(spec.los_phase)
        self._spacing = knot_spacing(spec.doppler)
        self._lines = line_weights(self._spacing)

    def _compute(self, start: int, count: int) -> NDArray[np.complex64]:
        cycle, step = self._cycles + (start - self._origin) * self._doppler, self._doppler * self._spacing
        knots = self._fader.at(cycle, step, -(-count // self._spacing) + 1)[0]
        if self._line:
            since = cycle - self._sight.place + step * np.arange(knots.size)
            turns = np.modf(self._sight.amount + since * self._line_doppler)[0]
            knots = knots * self._scattered + self._line * np.exp(2j * np.pi * turns + 1j * self._line_phase)
        h = join_knots(knots.astype(np.complex64, copy=False), self._lines)[:count]
        return h if self._shape is None else self._shape.reshape(h)


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
