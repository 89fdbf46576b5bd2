"""Models of flat fading: one gain h[n] for the whole signal. Knows nothing about noise, delays or messages.

A model is a class and its line in MODELS; `FADING` in `spec.py` says what it is called. It is made of a specification
with its tables, the randomness of one stream, and how far everything had turned where the parameters changed last.

    fader (Doppler cycles) + line of sight -> knots every D symbols -> straight lines between them -> h in fixed blocks
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from common.channel.models.clocks import Clocks
from common.channel.models.gains import Gain, InBlocks, join_knots, knot_spacing, line_weights
from common.channel.models.materials import Model
from common.channel.models.noise import Use
from common.channel.models.randomness import Randomness

_POINTS = 4096
_LAST = 40.0
"""-ln of the smallest probability in the table of quantiles."""


class BlockRayleigh(Gain):
    """h ~ CN(0, 1), one for each block of `coherence` symbols and round."""

    def __init__(self, model: Model, randomness: Randomness, clocks: Clocks) -> None:
        self._coherence, self._randomness = model.spec.coherence, randomness

    def samples(self, start: int, count: int, round_: int) -> NDArray[np.complex64]:
        """h[start : start + count]: complex64 [count]."""
        coherence, first = self._coherence, start // self._coherence
        draws = self._randomness.white(Use.BLOCK_FADING, round_)
        found = draws.samples(first, (start + count - 1) // coherence - first + 1)
        if found.size == 1:
            return np.full(count, found[0])
        lengths = np.full(found.size, coherence)
        lengths[0] -= start - first * coherence
        lengths[-1] -= lengths.sum() - count
        return np.repeat(found, lengths)


class Rayleigh(InBlocks):
    """A Gaussian process with the Doppler spectrum of the specification; samples before its clocks are another's."""

    def __init__(self, model: Model, randomness: Randomness, clocks: Clocks) -> None:
        super().__init__(clocks.at)
        spec = model.spec
        self._fader = randomness.fader(Use.FADER, spec.spectrum, model.spectrum)
        self._cycles, self._doppler = clocks.cycles, spec.doppler
        self._spacing = knot_spacing(spec.doppler)
        self._lines = line_weights(self._spacing)

    def _compute(self, start: int, count: int) -> NDArray[np.complex64]:
        cycle, step = self._cycles + (start - self._origin) * self._doppler, self._doppler * self._spacing
        return join_knots(self._knots(cycle, step, -(-count // self._spacing) + 1), self._lines)[:count]

    def _knots(self, cycle: float, step: float, count: int) -> NDArray[np.complex64]:
        """h at the Doppler cycles cycle + step * (0..count-1): complex64 [count]."""
        knots: NDArray[np.complex64] = self._fader.at(cycle, step, count)[0]
        return knots


class Rician(Rayleigh):
    """Rayleigh and a ray of constant power K times as large, which has a Doppler and a phase of its own."""

    def __init__(self, model: Model, randomness: Randomness, clocks: Clocks) -> None:
        super().__init__(model, randomness, clocks)
        spec, ratio = model.spec, 10.0 ** (model.spec.k_factor_db / 10.0)
        self._scattered = np.float32(math.sqrt(1.0 / (1.0 + ratio)))
        self._ray = math.sqrt(ratio / (1.0 + ratio))
        self._ray_doppler, self._ray_phase = spec.los_doppler, math.radians(spec.los_phase)
        self._sight = clocks.sight

    def _knots(self, cycle: float, step: float, count: int) -> NDArray[np.complex64]:
        knots = super()._knots(cycle, step, count)
        if not self._ray:
            return knots
        since = cycle - self._sight.place + step * np.arange(count)
        turns = np.modf(self._sight.amount + since * self._ray_doppler)[0]
        ray = self._ray * np.exp(2j * np.pi * turns + 1j * self._ray_phase)
        joined: NDArray[np.complex64] = (knots * self._scattered + ray).astype(np.complex64)
        return joined


class Nakagami(Rayleigh):
    """Rayleigh of which each value is replaced by the Nakagami-m one of the same rank; the phase is left."""

    def __init__(self, model: Model, randomness: Randomness, clocks: Clocks) -> None:
        super().__init__(model, randomness, clocks)
        m = model.spec.nakagami_m
        self._quantiles = model.tables.computed(("quantiles", m), lambda: Quantiles(m))

    def _compute(self, start: int, count: int) -> NDArray[np.complex64]:
        return self._quantiles.reshape(super()._compute(start, count))


class Quantiles:
    """Table s -> |h|^2, where s is exponential and |h|^2 is Gamma(m, 1/m) of the same tail probability exp(-s).

    |h|^2 of Rayleigh fading is exponential; the value of the same probability of Gamma(m, 1/m) makes it Nakagami-m
    with unit power and leaves phase and order in time as they are (inverse transform; Beaulieu and Cheng 2005).
    """

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


class FromTrace(Gain):
    """Gains that somebody measured or computed, read from `cir_trace`; the same for every stream and round."""

    def __init__(self, model: Model, randomness: Randomness, clocks: Clocks) -> None:
        self._trace = model.tables.cir_trace(model.spec.cir_trace)

    def samples(self, start: int, count: int, round_: int) -> NDArray[np.complex64]:
        """h[start : start + count]: complex64 [count]."""
        return self._trace.samples(start, count)


MODELS: dict[str, Callable[[Model, Randomness, Clocks], Gain]] = {
    "block-rayleigh": BlockRayleigh,
    "rayleigh": Rayleigh,
    "rician": Rician,
    "nakagami": Nakagami,
    "trace": FromTrace,
}
"""What `--fading` names -> the class that computes it. `none` has none, and delay profiles are delay lines."""
