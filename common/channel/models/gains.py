"""Gains that multiply the whole signal: what one is, how slow ones are computed, and those beside fading.

Knows nothing about models of fading, noise or messages. Each is a function of (key, air sample) and its parameters.
Slow ones are straight lines between knots, in fixed blocks. Knots stand every D symbols; D is as large as 30 knots per
Doppler cycle and D <= 256 allow, so the lines err by less than -52 dB.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.channel.models.clocks import TURN, Since, shadow_speed
from common.channel.models.fader import Fader
from common.channel.models.noise import BLOCK as CELL
from common.channel.models.noise import Walk

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


class Shadowing(InBlocks):
    """Log-normal gain of unit mean power, 10^((X - ln(10)/20 std^2)/20), X ~ N(0, std_db^2).

    The autocorrelation of X is exp(-|n|/length) (Gudmundson 1991); `fader` has the spectrum `gudmundson`. since: air
    sample and cycles at which the length changed last; origin: no block begins before it.
    """

    def __init__(self, fader: Fader, std_db: float, length: float, since: Since, origin: int) -> None:
        super().__init__(origin if since.place else 0)
        self._fader = fader
        self._std_db = std_db
        self._since = since
        self._doppler = shadow_speed(length)
        self._spacing = knot_spacing(self._doppler)
        self._lines = line_weights(self._spacing)

    def _compute(self, start: int, count: int) -> NDArray[np.complex64]:
        cycle = self._since.amount + (start - self._since.place) * self._doppler
        x = self._fader.at(cycle, self._spacing * self._doppler, -(-count // self._spacing) + 1)[0]
        level_db = math.sqrt(2.0) * self._std_db * x.real - math.log(10.0) / 20.0 * self._std_db**2
        knots = (10.0 ** (level_db / 20.0)).astype(np.complex64)
        return join_knots(knots, self._lines)[:count]


class PhaseNoise(InBlocks):
    """exp(j theta[n]), theta a Wiener process with Var(theta[n+1] - theta[n]) = 2 pi linewidth.

    linewidth: full width at half power of the carrier's Lorentzian line, in cycles per sample (Demir et al. 2000).
    theta, reached: phase and walk where the linewidth changed last.
    """

    def __init__(self, walk: Walk, linewidth: float, theta: float = 0.0, reached: float = 0.0) -> None:
        super().__init__()
        self._walk = walk
        self._theta, self._reached = theta, reached
        self._step = math.sqrt(TURN * linewidth)

    def _compute(self, start: int, count: int) -> NDArray[np.complex64]:
        if not self._step:
            return np.full(count, np.exp(1j * self._theta), np.complex64)
        cells = [self._walk.cell(i) for i in range(start // CELL, (start + count) // CELL)]
        theta = self._theta + self._step * (np.concatenate(cells) - self._reached)
        phase: NDArray[np.complex64] = np.exp(1j * theta).astype(np.complex64)
        return phase


class CarrierOffset(Gain):
    """exp(j 2 pi (t + cfo (n - m))), cfo in cycles per sample; since: m and t, where the offset changed last."""

    def __init__(self, cfo: float, since: Since) -> None:
        self._cfo = cfo
        self._turns = math.fmod(since.amount - since.place * cfo, 1.0)
        self._table = np.exp(1j * TURN * cfo * np.arange(CELL)).astype(np.complex64)
        self.nbytes = self._table.nbytes

    def samples(self, start: int, count: int, round_: int = 0) -> NDArray[np.complex64]:
        """The phasor at start..start+count-1: complex64 [count]."""
        first, stop = start // CELL, (start + count - 1) // CELL + 1
        turns = np.modf(np.arange(first, stop) * (CELL * self._cfo) + self._turns)[0]
        blocks: NDArray[np.complex64] = np.exp(1j * TURN * turns).astype(np.complex64)[:, None] * self._table
        return blocks.reshape(-1)[start - first * CELL :][:count]
