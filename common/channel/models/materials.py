"""What a specification needs beside its numbers, and what was computed from it: read once, kept while there is room.

Knows nothing about streams or air samples.

Shelf    what was computed and may be asked for again, within a number of bytes in all
Tables   every file that was read and table that was computed, for all specifications of a process
Model    one specification with its tables, shared by all streams
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from common.channel.models.doppler import bin_powers
from common.channel.models.fader import PER_CYCLE, POINTS
from common.channel.spec.profiles import Profile, Taps, read_taps
from common.channel.spec.spec import ChannelSpec, is_profile
from common.channel.spec.trace import CirTrace, SnrTrace

Made = TypeVar("Made")
_COMPUTED_BYTES = 4 << 20
_TABLE_BYTES = 64 << 10

MOST_BYTES = 64 << 20
"""About 250 streams with Rayleigh fading; less than what makes a bound socket suspect a flood (256 MiB)."""


class Shelf:
    """Keeps what was used last, `most_bytes` of it.

    Everything on it is a function of its key: what is pushed out costs time when it is asked for again, and changes
    nothing.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._room = most_bytes
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Hashable) -> Any:
        """What stands under `key`; None where nothing does."""
        if (entry := self._kept.get(key)) is None:
            return None
        self._kept.move_to_end(key)
        return entry[1]

    def put(self, key: Hashable, made: Made, nbytes: int) -> Made:
        """Keep what was not found. nbytes: what it will take once it is in use."""
        self._kept[key] = nbytes, made
        self._room -= nbytes
        while self._room < 0 and len(self._kept) > 1:
            _, (freed, _) = self._kept.popitem(last=False)
            self._room += freed
        return made


class Tables:
    """Raises ConfigError where a file is wrong. What came from a file stays as it was when it was read first."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], object] = {}
        self._computed = Shelf(_COMPUTED_BYTES)

    def spectrum(self, name: str) -> NDArray[np.float64]:
        """Power in each bin of a Doppler spectrum: float64 [POINTS], sum 1."""

        def make() -> NDArray[np.float64]:
            return bin_powers(name, POINTS, float(PER_CYCLE))

        return self._once("spectrum", name, make) if name.endswith(".csv") else self.computed(("spectrum", name), make)

    def profile(self, spec: ChannelSpec) -> Profile | None:
        """Delays and powers of the paths; None where there is one path."""
        return self.taps(spec.fading).at(spec.delay_spread, spec.rate) if is_profile(spec.fading) else None

    def taps(self, name: str) -> Taps:
        """A delay profile before it is put on a sample grid."""
        return self._once("profile", name, lambda: read_taps(name))

    def snr_trace(self, path: str) -> SnrTrace:
        """SNR over time from a file."""
        return self._once("snr", path, lambda: SnrTrace(Path(path)))

    def cir_trace(self, path: str) -> CirTrace:
        """Gains over time from a file."""
        return self._once("cir", path, lambda: CirTrace(Path(path)))

    def computed(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """A table that is a function of its key, some 64 kB large."""
        found: Made | None = self._computed.find(key)
        return self._computed.put(key, make(), _TABLE_BYTES) if found is None else found

    def take(self, other: "Tables") -> None:
        """Have what another one has read, in the place of what was read from these files before."""
        self._read.update(other._read)

    def _once(self, kind: str, name: str, make: Callable[[], Made]) -> Made:
        if (kind, name) not in self._read:
            self._read[kind, name] = make()
        return self._read[kind, name]  # type: ignore[return-value]  # what stands there was made for this kind


class Model:
    """A specification with its tables. Raises ConfigError where a file is wrong or a delay too long."""

    def __init__(self, spec: ChannelSpec, tables: Tables) -> None:
        self.spec, self.tables = spec, tables
        self.amplitude = np.float32(math.sqrt(spec.noise_power))
        self.profile = tables.profile(spec)
        self.spectrum = tables.spectrum(spec.spectrum)
        self.shadowing = tables.spectrum("gudmundson") if spec.shadowing_db else np.empty(0)
        self.snr_trace = tables.snr_trace(spec.snr_trace) if spec.snr_trace else None
        if spec.cir_trace:
            tables.cir_trace(spec.cir_trace)
        self.unbalanced = bool(spec.iq_gain_db or spec.iq_phase)
