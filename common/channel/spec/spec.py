"""Every parameter of a channel, checked in one place. Knows nothing about how a channel is computed.

SNR is the average Es/N0 in dB per complex symbol, averaged over fading: N0 = 10^(-snr_db/10) is constant in time, N0/2
per real dimension, added after fading, with E|h|^2 = 1 and the transmitter's contract E|x|^2 = 1.

    x -> amplifier -> fading or delay line -> shadowing -> carrier offset, phase noise -> + noise -> IQ imbalance -> y
"""

import math
from dataclasses import dataclass, fields
from typing import Any

from common.channel.spec.profiles import FIXED, SCALED, is_profile
from common.errors import ConfigError
from common.text import safe

FLAT_FADING = ("none", "block-rayleigh", "rayleigh", "rician", "nakagami", "trace")

MAX_PROFILE_DOPPLER = 1.0 / 256.0
"""Fastest fading of a delay profile, in cycles per symbol: 8 symbols between knots."""

RANGES: dict[str, tuple[float, float, str]] = {
    "snr_db": (-60.0, 120.0, "dB, or inf"),
    "doppler": (0.0, 0.5, "cycles per symbol (fd * Ts)"),
    "k_factor_db": (-60.0, 60.0, "dB (a ratio >= 0)"),
    "los_doppler": (-1.0, 1.0, "fd"),
    "los_phase": (-360.0, 360.0, "degrees"),
    "coherence": (1, 2**32, "symbols"),
    "nakagami_m": (0.5, 50.0, ""),
    "delay_spread": (0.0, 1.0, "seconds"),
    "rate": (0.0, 1e12, "symbols per second"),
    "cfo": (-0.5, 0.5, "cycles per symbol"),
    "shadowing_db": (0.0, 20.0, "dB"),
    "shadowing_length": (100.0, 1e12, "symbols"),
    "phase_noise": (0.0, 0.1, "cycles per symbol"),
    "pa_backoff_db": (-20.0, 60.0, "dB, or inf"),
    "pa_smoothness": (0.1, 100.0, ""),
    "iq_gain_db": (-20.0, 20.0, "dB"),
    "iq_phase": (-90.0, 90.0, "degrees"),
    "seed": (0, 2**64 - 1, ""),
}
"""Lowest and highest value of each number."""

_BEYOND = {"snr_db": math.inf, "k_factor_db": -math.inf, "pa_backoff_db": math.inf}
"""The one value outside its range that a number may have."""


def check_value(name: str, value: float) -> None:
    """Raise ConfigError where a number is outside its range."""
    low, high, unit = RANGES[name]
    if not low <= value <= high and value != _BEYOND.get(name):  # not a number is in no range
        raise ConfigError(f"{name} {value:g} is outside {low:g} to {high:g} {unit}".rstrip())


def check_together(fading: str, rate: float, doppler: float, cir_trace: str) -> None:
    """Raise ConfigError where parameters do not go together."""
    if is_profile(fading):
        if not rate:
            raise ConfigError(f"fading {fading} has delays in seconds: give the rate in symbols per second (Hz)")
        if doppler > MAX_PROFILE_DOPPLER:
            raise ConfigError(
                f"doppler {doppler:g} is outside 0 to {MAX_PROFILE_DOPPLER:g} cycles per symbol, the range of "
                "delay profiles: raise the rate or lower the speed"
            )
    elif fading not in FLAT_FADING:
        raise ConfigError(
            f"fading {fading!r} is none of {', '.join((*FLAT_FADING, *SCALED, *FIXED))}, and no .csv profile"
        )
    if (fading == "trace") != bool(cir_trace):
        raise ConfigError("fading trace and a cir_trace file go together: one was given without the other")


def raw_only(fading: str, cfo: float) -> str:
    """What of a channel a single-carrier frame with a one-tap equaliser cannot use; empty if nothing."""
    if is_profile(fading):
        return f"fading {fading} (several delays)"
    return f"cfo {cfo:g}" if cfo else ""


def needs_raw(what: str) -> str:
    """Why `what` is refused on the framed link."""
    why = "a single-carrier frame with a one-tap equaliser cannot use it"
    return f"{what} works on a raw wire only (--wire cf32): {why}"


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel. Frequencies are in cycles per symbol, lengths in symbols, angles in degrees.

    snr_db            average Es/N0, -60..120 dB, or inf for no noise
    fading            none | block-rayleigh | rayleigh | rician | nakagami | trace, or a delay profile:
                      tdl-a .. tdl-e | epa | eva | etu | FILE.csv with columns delay_ns,power_db
    doppler           maximum Doppler shift fd * Ts, 0..0.5
    spectrum          Doppler spectrum: jakes | flat | rounded | bell | gaussian | FILE.csv with columns nu,density
    k_factor_db       rician: power of the line of sight over that of the scattered paths
    los_doppler       rician, tdl-d, tdl-e: Doppler of the line of sight in units of fd, -1..1
    los_phase         rician: phase of the line of sight at air sample 0
    coherence         block-rayleigh: symbols that share one h
    nakagami_m        nakagami: 0.5..50; 1 is rayleigh
    delay_spread      tdl: rms delay spread in seconds
    rate              symbols per second; delay profiles need it
    cfo               carrier frequency offset, -0.5..0.5
    shadowing_db      standard deviation of log-normal shadowing of unit mean power, 0 for none
    shadowing_length  symbols after which its autocorrelation has fallen to 1/e
    phase_noise       linewidth of the oscillator, full width at half power, 0 for none
    pa_backoff_db     saturation power of the Rapp amplifier over the mean power, inf for none
    pa_smoothness     Rapp's p
    iq_gain_db        IQ imbalance of the receiver in amplitude
    iq_phase          and in phase
    snr_trace         FILE.csv or FILE.npz that gives the SNR over time instead of snr_db
    cir_trace         FILE.csv or FILE.npz that gives h over time, with fading trace
    seed              0..2^64-1; another seed is another channel
    """

    snr_db: float = 10.0
    fading: str = "none"
    doppler: float = 7.8e-5
    spectrum: str = "jakes"
    k_factor_db: float = 10.0 * math.log10(4.0)
    los_doppler: float = 0.7
    los_phase: float = 0.0
    coherence: int = 128
    nakagami_m: float = 1.0
    delay_spread: float = 100e-9
    rate: float = 0.0
    cfo: float = 0.0
    shadowing_db: float = 0.0
    shadowing_length: float = 100_000.0
    phase_noise: float = 0.0
    pa_backoff_db: float = math.inf
    pa_smoothness: float = 3.0
    iq_gain_db: float = 0.0
    iq_phase: float = 0.0
    snr_trace: str = ""
    cir_trace: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in RANGES:
            check_value(name, getattr(self, name))
        check_together(self.fading, self.rate, self.doppler, self.cir_trace)

    @property
    def noise_power(self) -> float:
        """N0 per complex symbol; 0 without noise."""
        return 0.0 if self.snr_db == math.inf else float(10.0 ** (-self.snr_db / 10.0))

    @property
    def raw_only(self) -> str:
        """What of this channel a frame cannot use; empty if nothing."""
        return raw_only(self.fading, self.cfo)

    def require_flat(self) -> None:
        """Raise ConfigError where frames cannot use this channel."""
        if self.raw_only:
            raise ConfigError(needs_raw(self.raw_only))

    def describe(self) -> str:
        """One line for people: SNR, fading, and all that differs from the defaults."""
        snr = "no noise" if self.snr_db == math.inf else f"SNR {self.snr_db:g} dB"
        changed = [
            f"{field.name} {value:g}" if isinstance(value, float) else f"{field.name} {value}"
            for field in fields(self)
            if field.name not in ("snr_db", "fading") and (value := getattr(self, field.name)) != field.default
        ]
        return ", ".join([snr, f"fading {self.fading}", *changed])


def as_field(name: Any, value: Any) -> Any:
    """A value from outside in the type of the field `name`. Raises ConfigError for an unknown name or a wrong type."""
    kinds: dict[Any, type] = {field.name: type(field.default) for field in fields(ChannelSpec)}
    kind = kinds.get(name)
    if kind is None:
        raise ConfigError(f"{_brief(name)} is no channel parameter; there are {', '.join(kinds)}")
    if kind is str:
        if type(value) is str:
            return value
    elif type(value) in (int, float) and (kind is float or value == value // 1):  # not a number is no whole number
        return kind(value)
    raise ConfigError(f"{name} {_brief(value)} is not a {'whole number' if kind is int else kind.__name__}")


def _brief(value: Any) -> str:
    """What was sent, short: it may be anything, nested as deep as a message can be."""
    return safe(repr(value), 60) if isinstance(value, str | bytes | int | float) else type(value).__name__
