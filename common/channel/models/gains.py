"""Gains that multiply the whole signal beside fading: shadowing, phase noise, carrier offset.

Knows nothing about fading models, noise or messages. Each is a function of (key, air sample) and its parameters.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.channel.models.clocks import TURN, Since, shadow_speed
from common.channel.models.fader import Fader
from common.channel.models.knots import Gain, InBlocks, join_knots, knot_spacing, line_weights
from common.channel.models.noise import BLOCK, Walk


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
        cells = [self._walk.cell(i) for i in range(start // BLOCK, (start + count) // BLOCK)]
        theta = self._theta + self._step * (np.concatenate(cells) - self._reached)
        phase: NDArray[np.complex64] = np.exp(1j * theta).astype(np.complex64)
        return phase


class CarrierOffset(Gain):
    """exp(j 2 pi (t + cfo (n - m))), cfo in cycles per sample; since: m and t, where the offset changed last."""

    def __init__(self, cfo: float, since: Since) -> None:
        self._cfo = cfo
        self._turns = math.fmod(since.amount - since.place * cfo, 1.0)
        self._table = np.exp(1j * TURN * cfo * np.arange(BLOCK)).astype(np.complex64)
        self.nbytes = self._table.nbytes

    def samples(self, start: int, count: int, round_: int = 0) -> NDArray[np.complex64]:
        """The phasor at start..start+count-1: complex64 [count]."""
        first, stop = start // BLOCK, (start + count - 1) // BLOCK + 1
        turns = np.modf(np.arange(first, stop) * (BLOCK * self._cfo) + self._turns)[0]
        blocks: NDArray[np.complex64] = np.exp(1j * TURN * turns).astype(np.complex64)[:, None] * self._table
        return blocks.reshape(-1)[start - first * BLOCK :][:count]
