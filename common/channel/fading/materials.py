"""What a specification needs beside its numbers: files that are read once, tables that are computed once.

Knows nothing about streams or air samples.

Tables   everything that was read or computed, for all specifications of a process
Model    one specification with its tables, shared by all streams
"""

import math
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.channel.fading.doppler import bin_powers
from common.channel.fading.fader import PER_CYCLE, POINTS
from common.channel.fading.nakagami import Quantiles
from common.channel.fading.shelf import Shelf
from common.channel.spec.profiles import Profile, Taps, is_profile, read_taps
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.trace import CirTrace, SnrTrace

Made = TypeVar("Made")
CONTINUOUS = ("rayleigh", "rician", "nakagami")
_COMPUTED_BYTES = 4 << 20


class Tables:
    """Raises ConfigError where a file is wrong. What came from a file stays as it was when it was read first."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], object] = {}
        self._computed = Shelf(_COMPUTED_BYTES)

    def spectrum(self, name: str) -> NDArray[np.float64]:
        """Power in each bin of a Doppler spectrum: float64 [POINTS], sum 1."""

        def make() -> NDArray[np.float64]:
            return bin_powers(name, POINTS, float(PER_CYCLE))

        return self._once("spectrum", name, make) if name.endswith(".csv") else self._compute(("spectrum", name), make)

    def profile(self, spec: ChannelSpec) -> Profile | None:
        """Delays and powers of the paths; None where there is one path."""
        return self.taps(spec.fading).at(spec.delay_spread, spec.rate) if is_profile(spec.fading) else None

    def taps(self, name: str) -> Taps:
        """A delay profile before it is put on a sample grid."""
        return self._once("profile", name, lambda: read_taps(name))

    def quantiles(self, m: float) -> Quantiles:
        """For Nakagami fading."""
        return self._compute(("quantiles", m), lambda: Quantiles(m))

    def snr_trace(self, path: str) -> SnrTrace:
        """SNR over time from a file."""
        return self._once("snr", path, lambda: SnrTrace(Path(path)))

    def cir_trace(self, path: str) -> CirTrace:
        """Gains over time from a file."""
        return self._once("cir", path, lambda: CirTrace(Path(path)))

    def take(self, other: "Tables") -> None:
        """Have what another one has read, in the place of what was read from these files before."""
        self._read.update(other._read)

    def _once(self, kind: str, name: str, make: Callable[[], Made]) -> Made:
        if (kind, name) not in self._read:
            self._read[kind, name] = make()
        return self._read[kind, name]  # type: ignore[return-value]  # what stands there was made for this kind

    def _compute(self, key: Hashable, make: Callable[[], Made]) -> Made:
        return self._computed.get(key, make, lambda _: 64 << 10)


class Model:
    """A specification with its tables. Raises ConfigError where a file is wrong or a delay too long."""

    def __init__(self, spec: ChannelSpec, tables: Tables) -> None:
        self.spec = spec
        self.amplitude = np.float32(math.sqrt(spec.noise_power))
        self.profile = tables.profile(spec)
        self.continuous = spec.fading in CONTINUOUS
        self.spectrum = tables.spectrum(spec.spectrum) if self.continuous or self.profile else np.empty(0)
        self.shape = tables.quantiles(spec.nakagami_m) if spec.fading == "nakagami" else None
        self.shadowing = tables.spectrum("gudmundson") if spec.shadowing_db else np.empty(0)
        self.snr_trace = tables.snr_trace(spec.snr_trace) if spec.snr_trace else None
        self.cir_trace = tables.cir_trace(spec.cir_trace) if spec.cir_trace else None
        self.unbalanced = bool(spec.iq_gain_db or spec.iq_phase)
