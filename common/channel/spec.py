"""Every parameter of a channel, checked in one place. Knows nothing about how a channel is computed.

SNR is the average Es/N0 in dB per complex symbol, averaged over fading: N0 = 10^(-snr_db/10) is constant in time, N0/2
per real dimension, added after fading, with E|h|^2 = 1 and the transmitter's contract E|x|^2 = 1.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

from common.errors import ConfigError

FLAT_FADING = ("none", "block-rayleigh", "rayleigh", "rician")


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel. Frequencies are in cycles per symbol, lengths in symbols, angles in degrees.

    snr_db       average Es/N0, -60..120 dB, or inf for no noise
    fading       none | block-rayleigh | rayleigh | rician
    doppler      maximum Doppler shift fd * Ts, 0..0.5
    spectrum     Doppler spectrum: jakes | flat | rounded | bell | gaussian | FILE.csv
    k_factor_db  rician: power of the line of sight over that of the scattered paths
    los_doppler  rician: Doppler of the line of sight in units of fd, -1..1
    los_phase    rician: phase of the line of sight at air sample 0
    coherence    block-rayleigh: symbols that share one h
    seed         0..2^64-1; another seed is another channel
    """

    snr_db: float = 10.0
    fading: str = "none"
    doppler: float = 7.8e-5
    spectrum: str = "jakes"
    k_factor_db: float = 10.0 * math.log10(4.0)
    los_doppler: float = 0.7
    los_phase: float = 0.0
    coherence: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if self.snr_db != math.inf:
            self._within("snr_db", -60.0, 120.0, "dB, or inf")
        if self.fading not in FLAT_FADING:
            raise ConfigError(f"fading {self.fading!r} is none of {', '.join(FLAT_FADING)}")
        self._within("doppler", 0.0, 0.5, "cycles per symbol (fd * Ts)")
        if self.k_factor_db != -math.inf:
            self._within("k_factor_db", -60.0, 60.0, "dB (a ratio >= 0)")
        self._within("los_doppler", -1.0, 1.0, "fd")
        self._within("los_phase", -360.0, 360.0, "degrees")
        self._within("coherence", 1, 2**32, "symbols")
        self._within("seed", 0, 2**64 - 1, "")

    def _within(self, name: str, low: float, high: float, unit: str) -> None:
        value = getattr(self, name)
        if not low <= value <= high:  # False for nan as well
            raise ConfigError(f"{name} {value:g} is outside {low:g} to {high:g} {unit}".rstrip())

    @property
    def noise_power(self) -> float:
        """N0 per complex symbol; 0 without noise."""
        return 0.0 if self.snr_db == math.inf else float(10.0 ** (-self.snr_db / 10.0))

    @property
    def ideal(self) -> bool:
        """True where every symbol arrives as it was sent."""
        return self.snr_db == math.inf and self.fading == "none"

    def describe(self) -> str:
        """One line for people."""
        noise = "no noise" if self.snr_db == math.inf else f"SNR {self.snr_db:g} dB"
        changed = [
            f"{field.name} {getattr(self, field.name):g}"
            if isinstance(getattr(self, field.name), float)
            else f"{field.name} {getattr(self, field.name)}"
            for field in fields(self)
            if field.name not in ("snr_db", "fading") and getattr(self, field.name) != field.default
        ]
        return ", ".join([noise, f"fading {self.fading}", *changed])


def as_field(name: str, value: Any) -> Any:
    """A value from outside in the type of the field `name`. Raises ConfigError for an unknown name or a wrong type."""
    kinds: dict[str, type] = {field.name: type(field.default) for field in fields(ChannelSpec)}
    if name not in kinds:
        raise ConfigError(f"{name!r} is no channel parameter; there are {', '.join(kinds)}")
    try:
        return kinds[name](value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} {value!r} is not a {kinds[name].__name__}") from None
