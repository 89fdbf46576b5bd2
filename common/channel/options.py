"""Flags of `channel-emu` <-> parameters of the channel. Knows nothing about sockets or how parameters are used."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import click

from common.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

LIGHT_SPEED = 299_792_458.0


class Flag(NamedTuple):
    """One flag: how it is typed, the field of a specification that it sets, and its default."""

    name: str
    field: str
    metavar: str
    default: float | int | str
    text: str


CHANNEL = (
    Flag("--snr", "snr_db", "DB", 10.0, "Average Es/N0 in dB over all fading; inf for no noise."),
    Flag("--fading", "fading", "MODEL", "none",
         "none, block-rayleigh, rayleigh, rician, nakagami; on a raw wire also tdl-a to tdl-e, epa, eva, etu or a CSV "
         "file with columns delay_ns,power_db."),
    Flag("--doppler", "doppler", "FDTS", 7.8e-5, "Maximum Doppler shift in cycles per symbol, fd * Ts."),
    Flag("--spectrum", "spectrum", "NAME", "jakes",
         "Doppler spectrum: jakes, flat, rounded, bell, gaussian or a CSV file with columns nu,density."),
    Flag("--k-factor", "k_factor_db", "K", 4.0, "rician: power of the line of sight over the scattered, 0 and up."),
    Flag("--los-doppler", "los_doppler", "RATIO", 0.7, "Doppler of a line of sight in units of fd, -1 to 1."),
    Flag("--los-phase", "los_phase", "DEG", 0.0, "rician: phase of the line of sight at the start."),
    Flag("--coherence", "coherence", "SYMBOLS", 128, "block-rayleigh: symbols that share one gain."),
    Flag("--nakagami-m", "nakagami_m", "M", 1.0, "nakagami: 0.5 to 50; 1 is rayleigh, more fades less."),
    Flag("--delay-spread", "delay_spread", "S", 100e-9, "tdl: rms delay spread in seconds."),
    Flag("--rate", "rate", "HZ", 0.0, "Symbols per second: for delay profiles and --speed."),
    Flag("--cfo", "cfo", "CYCLES", 0.0, "Carrier frequency offset in cycles per symbol; on a raw wire only."),
    Flag("--shadowing", "shadowing_db", "DB", 0.0, "Standard deviation of log-normal shadowing."),
    Flag("--shadowing-length", "shadowing_length", "SYMBOLS", 1e5, "Symbols after which shadowing is new (1/e)."),
    Flag("--phase-noise", "phase_noise", "CYCLES", 0.0, "Linewidth of the oscillator in cycles per symbol."),
    Flag("--pa-backoff", "pa_backoff_db", "DB", math.inf, "Saturation of the amplifier (Rapp) over the mean power."),
    Flag("--pa-smoothness", "pa_smoothness", "P", 3.0, "Rapp's p: how sharply the amplifier saturates."),
    Flag("--iq-gain", "iq_gain_db", "DB", 0.0, "IQ imbalance of the receiver in amplitude."),
    Flag("--iq-phase", "iq_phase", "DEG", 0.0, "IQ imbalance of the receiver in phase."),
    Flag("--snr-trace", "snr_trace", "FILE", "", "SNR over time: CSV with columns air_sample,snr_db, or .npz."),
    Flag("--cir-trace", "cir_trace", "FILE", "", "Gain over time: CSV with columns air_sample,re,im, or .npz."),
    Flag("--seed", "seed", "N", 0, "Another seed is another channel; the same seed is the same channel."),
)  # fmt: skip
TRANSIT = (
    Flag("--delay", "delay_ms", "MS", 0.0, "Delay every message on its way to the receiver."),
    Flag("--jitter", "jitter_ms", "MS", 0.0, "Delay each data frame by 0 to so much more."),
    Flag("--drop", "drop", "P", 0.0, "Lose data frames with this probability."),
    Flag("--burst", "burst", "N", 0.0, "Mean number of losses in a row (Gilbert-Elliott); 0 loses one by one."),
)
RETURN = (
    Flag("--return-delay", "delay_ms", "MS", 0.0, "Delay every message on its way back to the transmitter."),
    Flag("--return-jitter", "jitter_ms", "MS", 0.0, "Delay each answer by 0 to so much more."),
    Flag("--return-drop", "drop", "P", 0.0, "Lose answers, reports and all, with this probability."),
)
FEEDBACK = (
    Flag("--feedback-loss", "loss", "P", 0.0, "Lose channel reports with this probability; the answers pass."),
    Flag("--feedback-delay", "delay", "SYMBOLS", 0, "A report comes with the answer to a frame this much later."),
    Flag("--feedback-bits", "bits", "N", 0, "Quantise the SNRs of a report to so many bits; 0 leaves them exact."),
    Flag("--feedback-low", "low_db", "DB", -10.0, "Lowest level of the quantiser."),
    Flag("--feedback-high", "high_db", "DB", 30.0, "Highest level of the quantiser."),
    Flag("--feedback-bias", "bias_db", "DB", 0.0, "Add so much to both SNRs of a report: the transmitter is misled."),
)


def channel_options(command: F) -> F:
    """Add the flags that make a ChannelSpec."""
    return _speed_options(_add(command, CHANNEL, with_defaults=True))


def change_options(command: F) -> F:
    """The same flags, but none has a default: what is not given stays as it is. The seed cannot change."""
    return _speed_options(_add(command, CHANNEL[:-1], with_defaults=False))


def transit_options(command: F) -> F:
    """Add the flags that make a TransitSpec for each direction, and a FeedbackSpec."""
    return _add(command, TRANSIT + RETURN + FEEDBACK, with_defaults=True)


def channel_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Values of the channel flags -> fields of ChannelSpec; flags that are missing or None are left out."""
    values = _collect(given, CHANNEL)
    if "k_factor_db" in values:
        values["k_factor_db"] = _k_factor_db(values["k_factor_db"])
    if given.get("speed") is not None:
        values["doppler"] = _doppler(given["speed"], given.get("carrier"), given.get("rate"))
    if values.get("cir_trace") and values.get("fading", "none") == "none":
        values["fading"] = "trace"
    return values


def transit_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Values of the transit flags -> fields of TransitSpec."""
    return _collect(given, TRANSIT)


def return_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Values of the return flags -> fields of TransitSpec, for the way back."""
    return _collect(given, RETURN)


def feedback_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Values of the feedback flags -> fields of FeedbackSpec."""
    return _collect(given, FEEDBACK)


@contextmanager
def as_typed(flags: tuple[Flag, ...]) -> Iterator[None]:
    """A ConfigError that begins with the field of a specification begins with the flag that sets it instead."""
    try:
        yield
    except ConfigError as error:
        field, space, rest = str(error).partition(" ")
        typed = next((flag.name for flag in flags if flag.field == field), field)
        raise ConfigError(f"{typed}{space}{rest}") from None


def about_messages(given: dict[str, Any]) -> list[str]:
    """Flags that were given and that only frames can have."""
    flags = [flag.name for flag in TRANSIT + RETURN + FEEDBACK if given[_variable(flag)] != flag.default]
    return [*flags, *(["--truth"] if given["truth"] else [])]


def _variable(flag: Flag) -> str:
    return flag.name[2:].replace("-", "_")


def _collect(given: dict[str, Any], flags: tuple[Flag, ...]) -> dict[str, Any]:
    return {flag.field: given[_variable(flag)] for flag in flags if given.get(_variable(flag)) is not None}


def _add(command: F, flags: tuple[Flag, ...], with_defaults: bool) -> F:
    for flag in reversed(flags):
        default = flag.default if with_defaults else None
        command = click.option(
            flag.name, type=type(flag.default), metavar=flag.metavar, default=default, help=flag.text,
            show_default=with_defaults and flag.default != "",
        )(command)  # fmt: skip
    return command


def _speed_options(command: F) -> F:
    command = click.option("--carrier", type=float, metavar="HZ", help="Carrier frequency, for --speed.")(command)
    text = "Instead of --doppler: speed in m/s, with --carrier and --rate."
    return click.option("--speed", type=float, metavar="M/S", help=text)(command)


def _k_factor_db(ratio: float) -> float:
    if ratio and not 1e-6 <= ratio <= 1e6:
        raise ConfigError(f"--k-factor {ratio:g} is outside 1e-6 to 1e6 (a ratio of powers), or 0")
    return 10.0 * math.log10(ratio) if ratio else -math.inf


def _doppler(speed: float, carrier: float | None, rate: float | None) -> float:
    """fd Ts = v fc / (c fs)."""
    if not carrier or not rate:
        raise ConfigError("--speed needs --carrier and --rate, both in Hz")
    for name, value in (("--carrier", carrier), ("--rate", rate)):
        if not 0.0 < value < 1e15:
            raise ConfigError(f"{name} {value:g} must be above 0 Hz")
    if not 0.0 <= speed < LIGHT_SPEED:
        raise ConfigError(f"--speed {speed:g} must be 0 m/s or more")
    if (doppler := speed * carrier / (LIGHT_SPEED * rate)) > 0.5:
        raise ConfigError(f"--speed {speed:g} m/s makes {doppler:g} cycles per symbol, above 0.5: raise --rate")
    return doppler
