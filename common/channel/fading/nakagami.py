"""Nakagami-m envelopes from Rayleigh ones of the same rank. Knows nothing about time or spectra.

|h|^2 of Rayleigh fading is exponential; the value of the same probability of Gamma(m, 1/m) makes it Nakagami-m with
unit power and leaves phase and order in time as they are (inverse transform; Beaulieu and Cheng 2005). m = 1 is
Rayleigh.
"""

import math

import numpy as np
from numpy.typing import NDArray

_POINTS = 4096
_LAST = 40.0
"""-ln of the smallest probability in the table."""


class Quantiles:
    """Table s -> |h|^2, where s is exponential and |h|^2 is Gamma(m, 1/m) of the same tail probability exp(-s)."""

    def __init__(self, m: float) -> None:
        # With v = (power)^m the density is finite at 0 for every m: p(v) = m^(m-1)/Gamma(m) exp(-m v^(1/m)).
        top = (_LAST + 10.0 * math.sqrt(_LAST)) / min(m, 1.0) / max(1.0, math.sqrt(m)) + 3.0
        power = np.concatenate(([0.0], np.geomspace(1e-12, top, _POINTS)))
        v = power**m
        density = np.exp((m - 1.0) * math.log(m) - math.lgamma(m) - m * power)
        cells = np.diff(v) * (density[1:] + density[:-1]) / 2.0
        below = np.concatenate(([0.0], np.cumsum(cells)))
        above = np.concatenate((np.cumsum(cells[::-1])[::-1], [0.0]))
        total = below[-1]
        low = np.minimum(below / total, 0.5)  # each half of the table from the side where it is exact
        tail = np.where(low < 0.5, -np.log1p(-low), -np.log(np.maximum(above / total, 1e-300)))
        keep = tail <= _LAST
        self._s, self._power = tail[keep], power[keep]

    def reshape(self, h: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Rayleigh h, complex64 [S], E|h|^2 = 1 -> Nakagami h of the same phase, complex64 [S]."""
        s = h.real.astype(np.float64) ** 2 + h.imag.astype(np.float64) ** 2
        gain = np.sqrt(np.interp(s, self._s, self._power) / np.maximum(s, 1e-30))
        y: NDArray[np.complex64] = h * gain.astype(np.float32)
        return y
