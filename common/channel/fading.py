"""Flat fading h[n] on the air clock: none, block Rayleigh, Rayleigh, Rician. Knows nothing about noise or messages.

    fader (Doppler cycles) + line of sight -> knots every D symbols -> straight lines between them -> h in fixed blocks

D is the largest power of two (<= 256) with at least 32 knots per Doppler cycle, so the lines err by less than -53 dB.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.channel.fader import Fader
from common.channel.noise import Use, WhiteNoise
from common.channel.spec import ChannelSpec

BLOCK = 16384
"""Symbols of continuous fading that are computed at once; messages take slices of it."""

_MAX_SPACING = 256


def knot_spacing(doppler: float) -> int:
    """Symbols between knots: a power of two, 1..256."""
    return min(_MAX_SPACING, 1 << max(0, math.floor(math.log2(1.0 / (32.0 * doppler))))) if doppler else _MAX_SPACING


class BlockFading:
    """h ~ CN(0, 1), one draw per (block of `coherence` symbols, round)."""

    def __init__(self, spec: ChannelSpec, stream: int, round_: int) -> None:
        self._coherence = spec.coherence
        self._draws = WhiteNoise(spec.seed, Use.BLOCK_FADING, stream, round_)

    def samples(self, start: int, count: int) -> NDArray[np.complex64]:
        """h[start : start + count]: complex64 [count]."""
        first = start // self._coherence
        draws = self._draws.samples(first, (start + count - 1) // self._coherence - first + 1)
        if draws.size == 1:
            return np.full(count, draws[0])
        return np.repeat(draws, self._coherence)[start - first * self._coherence :][:count]


class ContinuousFading:
    """Rayleigh or Rician fading of one stream while its parameters stand still.

    origin: air sample at which `cycles` Doppler cycles have passed; samples before it belong to an earlier fading.
    """

    def __init__(self, spec: ChannelSpec, fader: Fader, origin: int, cycles: float) -> None:
        ratio = 10.0 ** (spec.k_factor_db / 10.0) if spec.fading == "rician" else 0.0
        self._fader = fader
        self._origin, self._cycles, self._doppler = origin, cycles, spec.doppler
        self._scattered = np.float32(math.sqrt(1.0 / (1.0 + ratio)))
        self._line = math.sqrt(ratio / (1.0 + ratio))
        self._line_doppler = spec.los_doppler
        self._line_phase = math.radians(spec.los_phase)
        self._spacing = knot_spacing(spec.doppler)
        self._lines = _line_weights(self._spacing)
        self._held = -1
        self._block = np.empty(0, np.complex64)

    def cycles_at(self, sample: int) -> float:
        """Doppler cycles since air sample 0."""
        return self._cycles + (sample - self._origin) * self._doppler

    def samples(self, start: int, count: int) -> NDArray[np.complex64]:
        """h[start : start + count], start >= origin: complex64 [count]. May be a view: do not write to it."""
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
        cycle, step = self.cycles_at(start), self._doppler * self._spacing
        knots = self._fader.at(cycle, step, -(-count // self._spacing) + 1)[0]
        if self._line:
            turns = np.modf((cycle + step * np.arange(knots.size)) * self._line_doppler)[0]
            knots = knots * self._scattered + self._line * np.exp(2j * np.pi * turns + 1j * self._line_phase)
        return join_knots(knots.astype(np.complex64, copy=False), self._lines)[:count]


def _line_weights(spacing: int) -> NDArray[np.float32]:
    """Matrix that turns (re, im) of two knots into the line between them: float32 [4, 2 * spacing]."""
    ramp = (np.arange(spacing) / spacing).astype(np.float32)
    weights = np.zeros((4, spacing, 2), np.float32)
    weights[0, :, 0] = weights[1, :, 1] = 1.0 - ramp
    weights[2, :, 0] = weights[3, :, 1] = ramp
    return weights.reshape(4, 2 * spacing)


def join_knots(knots: NDArray[np.complex64], weights: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Straight lines between knots: complex64 [K + 1] -> complex64 [K * spacing]."""
    parts = knots.view(np.float32).reshape(-1, 2)
    return (np.concatenate((parts[:-1], parts[1:]), axis=1) @ weights).reshape(-1).view(np.complex64)
