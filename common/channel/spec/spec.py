"""Every parameter of a channel, once: field, default, flag, range and text, and what goes together.

Knows nothing about how a channel is computed.

SNR is the average Es/N0 in dB per complex symbol, averaged over fading: N0 = 10^(-snr_db/10) is constant in time, N0/2
per real dimension, added after fading, with E|h|^2 = 1 and the transmitter's contract E|x|^2 = 1.

    x -> amplifier -> fading or delay line -> shadowing -> carrier offset, phase noise -> + noise -> IQ imbalance -> y
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from common.channel.spec.parameters import brief, from_flags, parameter, table
from common.check import check_settings, described
from common.errors import ConfigError

FADING = {
    "none": "AWGN alone; with an SNR of inf nothing",
    "block-rayleigh": "one h per `coherence` symbols and round",
    "rayleigh": "a Gaussian process of any Doppler spectrum",
    "rician": "the same and a ray, with a Doppler and a phase of its own",
    "nakagami": "rayleigh, mapped rank by rank",
    "trace": "gains from the file `cir_trace`",
}
"""Models of flat fading, one gain for the whole signal: name -> what it is. `MODELS` in `flat.py` has their classes."""

SCALED = ("tdl-a", "tdl-b", "tdl-c", "tdl-d", "tdl-e")
"""Delay profiles whose delays are in units of the rms delay spread."""

FIXED = ("epa", "eva", "etu")
"""Delay profiles whose delays are in ns."""

MAX_PROFILE_DOPPLER = 1.0 / 256.0
"""Fastest fading of a delay profile, in cycles per symbol: 8 symbols between knots."""

LIGHT_SPEED = 299_792_458.0


def is_profile(fading: str) -> bool:
    """True where a fading model is a delay profile: a name above or a CSV file."""
    return fading in SCALED or fading in FIXED or fading.endswith(".csv")


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
    elif fading not in FADING:
        raise ConfigError(f"fading {fading!r} is none of {', '.join((*FADING, *SCALED, *FIXED))}, and no .csv profile")
    if (fading == "trace") != bool(cir_trace):
        raise ConfigError("fading trace and a cir_trace file go together: one was given without the other")


def raw_only(fading: str, cfo: float) -> str:
    """What of a channel a single-carrier frame with a one-tap equaliser cannot use; empty if nothing."""
    if is_profile(fading):
        return f"fading {fading} (several delays)"
    return f"cfo {cfo:g}" if cfo else ""


def require_flat(fading: str, cfo: float) -> None:
    """Raise ConfigError where frames cannot use this channel, whatever else may be missing or wrong."""
    if what := raw_only(fading, cfo):
        why = "a single-carrier frame with a one-tap equaliser cannot use it"
        raise ConfigError(f"{what} works on a raw wire only (`channel-emu --wire cf32`): {why}")


def _ratio_db(ratio: float) -> float:
    if ratio and not 1e-6 <= ratio <= 1e6:
        raise ConfigError(f"--k-factor {ratio:g} is outside 1e-6 to 1e6 (a ratio of powers), or 0")
    return 10.0 * math.log10(ratio) if ratio else -math.inf


@described
@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel. Raises ConfigError for a value outside its range, and for values that do not go together."""

    snr_db: float = parameter(
        10.0, "--snr", "DB", "Average Es/N0 in dB over all fading; inf for no noise.",
        -60, 120, "dB, or inf", beyond=math.inf,
    )  # fmt: skip
    fading: str = parameter(
        "none", "--fading", "MODEL",
        f"{', '.join(name for name in FADING if name != 'trace')}; on a raw wire also tdl-a to tdl-e, epa, eva, etu or "
        "a CSV file with columns delay_ns,power_db.",
        file=".csv",
    )  # fmt: skip
    doppler: float = parameter(
        7.8e-5, "--doppler", "FDTS", "Maximum Doppler shift in cycles per symbol, fd * Ts.",
        0, 0.5, "cycles per symbol (fd * Ts)",
    )  # fmt: skip
    spectrum: str = parameter(
        "jakes", "--spectrum", "NAME",
        "Doppler spectrum: jakes, flat, rounded, bell, gaussian or a CSV file with columns nu,density.",
        file=".csv",
    )  # fmt: skip
    k_factor_db: float = parameter(
        4.0, "--k-factor", "K", "rician: power of the line of sight over the scattered, 0 and up.",
        -60, 60, "dB (a ratio >= 0)", beyond=-math.inf, made=_ratio_db,
    )  # fmt: skip
    los_doppler: float = parameter(
        0.7, "--los-doppler", "RATIO", "Doppler of a line of sight in units of fd, -1 to 1.", -1, 1, "fd"
    )
    los_phase: float = parameter(
        0.0, "--los-phase", "DEG", "rician: phase of the line of sight at the start.", -360, 360, "degrees"
    )
    coherence: int = parameter(
        128, "--coherence", "SYMBOLS", "block-rayleigh: symbols that share one gain.", 1, 2**32, "symbols"
    )
    nakagami_m: float = parameter(
        1.0, "--nakagami-m", "M", "nakagami: 0.5 to 50; 1 is rayleigh, more fades less.", 0.5, 50
    )
    delay_spread: float = parameter(
        100e-9, "--delay-spread", "S", "tdl: rms delay spread in seconds.", 0, 1, "seconds"
    )  # fmt: skip
    rate: float = parameter(
        0.0, "--rate", "HZ", "Symbols per second: for delay profiles and --speed.", 0, 1e12, "symbols per second"
    )
    cfo: float = parameter(
        0.0, "--cfo", "CYCLES", "Carrier frequency offset in cycles per symbol; on a raw wire only.",
        -0.5, 0.5, "cycles per symbol",
    )  # fmt: skip
    shadowing_db: float = parameter(
        0.0, "--shadowing", "DB", "Standard deviation of log-normal shadowing.", 0, 20, "dB"
    )  # fmt: skip
    shadowing_length: float = parameter(
        1e5, "--shadowing-length", "SYMBOLS", "Symbols after which shadowing is new (1/e).", 100, 1e12, "symbols"
    )
    phase_noise: float = parameter(
        0.0, "--phase-noise", "CYCLES", "Linewidth of the oscillator in cycles per symbol.",
        0, 0.1, "cycles per symbol",
    )  # fmt: skip
    pa_backoff_db: float = parameter(
        math.inf, "--pa-backoff", "DB", "Saturation of the amplifier (Rapp) over the mean power.",
        -20, 60, "dB, or inf", beyond=math.inf,
    )  # fmt: skip
    pa_smoothness: float = parameter(
        3.0, "--pa-smoothness", "P", "Rapp's p: how sharply the amplifier saturates.", 0.1, 100
    )  # fmt: skip
    iq_gain_db: float = parameter(
        0.0, "--iq-gain", "DB", "IQ imbalance of the receiver in amplitude.", -20, 20, "dB"
    )  # fmt: skip
    iq_phase: float = parameter(
        0.0, "--iq-phase", "DEG", "IQ imbalance of the receiver in phase.", -90, 90, "degrees"
    )  # fmt: skip
    snr_trace: str = parameter(
        "", "--snr-trace", "FILE", "SNR over time: CSV with columns air_sample,snr_db, or .npz.", file=""
    )
    cir_trace: str = parameter(
        "", "--cir-trace", "FILE", "Gain over time: CSV with columns air_sample,re,im, or .npz.", file=""
    )
    seed: int = parameter(
        0, "--seed", "N", "Another seed is another channel; the same seed is the same channel.",
        0, 2**64 - 1, live=False,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
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
        require_flat(self.fading, self.cfo)

    def describe(self) -> str:
        """One line for people: SNR, fading, and all that differs from the defaults."""
        snr = "no noise" if self.snr_db == math.inf else f"SNR {self.snr_db:g} dB"
        changed = [
            f"{field.name} {value:g}" if isinstance(value, float) else f"{field.name} {value}"
            for field in fields(self)
            if field.name not in ("snr_db", "fading") and (value := getattr(self, field.name)) != field.default
        ]
        return ", ".join([snr, f"fading {self.fading}", *changed])


CHANNEL = table(ChannelSpec)
"""Name -> parameter, of all parameters of a channel."""


def as_field(name: Any, value: Any) -> Any:
    """A value from outside in the type of the field `name`. Raises ConfigError for an unknown name or a wrong type."""
    if not isinstance(name, str) or name not in CHANNEL:
        raise ConfigError(f"{brief(name)} is no channel parameter; there are {', '.join(CHANNEL)}")
    return CHANNEL[name].from_outside(value)


def channel_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the channel flags -> fields of ChannelSpec; flags that are missing or None are left out.

    Two say something about another parameter: `speed` (m/s, with `carrier` and `rate` in Hz) is a Doppler shift, and
    gains from a file are the fading. Raises ConfigError.
    """
    values = from_flags(given, CHANNEL.values())
    if given.get("speed") is not None:
        values["doppler"] = _doppler(given["speed"], given.get("carrier"), given.get("rate"))
    if values.get("cir_trace") and values.get("fading", "none") == "none":
        values["fading"] = "trace"
    return values


def _doppler(speed: float, carrier: float | None, rate: float | None) -> float:
    """fd Ts = v fc / (c fs)."""
    if not carrier or not rate:
        raise ConfigError("--speed needs --carrier and --rate, both in Hz")
    for name, value in (("--carrier", carrier), ("--rate", rate)):
        if not 0.0 < value < 1e15:
            raise ConfigError(f"{name} {value:g} must be above 0 and below 1e15 Hz")
    if not 0.0 <= speed < LIGHT_SPEED:
        raise ConfigError(f"--speed {speed:g} must be 0 m/s or more, and less than that of light")
    if (doppler := speed * carrier / (LIGHT_SPEED * rate)) > 0.5:
        raise ConfigError(f"--speed {speed:g} m/s makes {doppler:g} cycles per symbol, above 0.5: raise --rate")
    return doppler
