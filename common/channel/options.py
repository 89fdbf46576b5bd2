"""Flags of `channel-emu` <-> parameters of the channel. Knows nothing about sockets or how parameters are used."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from common.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

LIGHT_SPEED = 299_792_458.0

_CHANNEL: tuple[tuple[str, str, Any, Any, str], ...] = (
    ("--snr", "DB", float, 10.0, "Average Es/N0 in dB over all fading; inf for no noise."),
    ("--fading", "MODEL", str, "none", "none, block-rayleigh, rayleigh, rician."),
    ("--doppler", "FDTS", float, 7.8e-5, "Maximum Doppler shift in cycles per symbol, fd * Ts."),
    ("--spectrum", "NAME", str, "jakes", "Doppler spectrum: jakes, flat, rounded, bell, gaussian or a CSV file."),
    ("--k-factor", "K", float, 4.0, "rician: power of the line of sight over the scattered power, 0 and up."),
    ("--los-doppler", "RATIO", float, 0.7, "rician: Doppler of the line of sight in units of fd, -1 to 1."),
    ("--los-phase", "DEG", float, 0.0, "rician: phase of the line of sight at the start."),
    ("--coherence", "SYMBOLS", int, 128, "block-rayleigh: symbols that share one gain."),
    ("--seed", "N", int, 0, "Another seed is another channel; the same seed is the same channel."),
)
_SPEED = (
    (("--speed",), "M/S", "Instead of --doppler: speed in m/s, with --carrier and --rate."),
    (("--carrier", "--fc"), "HZ", "Carrier frequency, for --speed."),
    (("--rate", "--fs"), "HZ", "Symbols per second, for --speed."),
)
_TRANSIT = (
    ("--delay", "MS", 0.0, "Delay every message on its way to the receiver."),
    ("--jitter", "MS", 0.0, "Delay each data frame by 0 to so much more."),
    ("--drop", "P", 0.0, "Lose data frames with this probability."),
    ("--burst", "N", 0.0, "Mean number of losses in a row (Gilbert-Elliott); 0 loses frames one by one."),
)


def channel_options(command: F) -> F:
    """Add the flags that make a ChannelSpec."""
    for names, metavar, text in reversed(_SPEED):
        command = click.option(*names, type=float, metavar=metavar, help=text)(command)
    for flag, metavar, kind, default, text in reversed(_CHANNEL):
        command = click.option(flag, type=kind, metavar=metavar, default=default, show_default=True, help=text)(command)
    return command


def transit_options(command: F) -> F:
    """Add the flags that make a TransitSpec."""
    for flag, metavar, default, text in reversed(_TRANSIT):
        command = click.option(
            flag, type=float, metavar=metavar, default=default, show_default=True, help=text
        )(command)  # fmt: skip
    return command


def channel_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Values of the channel flags -> fields of ChannelSpec; flags that are missing or None are left out."""
    values = {}
    for flag, *_ in _CHANNEL:
        name = flag[2:].replace("-", "_")
        if given.get(name) is not None:
            values[name] = given[name]
    if "snr" in values:
        values["snr_db"] = values.pop("snr")
    if "k_factor" in values:
        values["k_factor_db"] = _k_factor_db(values.pop("k_factor"))
    if given.get("speed") is not None:
        values["doppler"] = _doppler(given["speed"], given.get("carrier"), given.get("rate"))
    return values


def transit_parameters(given: dict[str, Any]) -> dict[str, float]:
    """Values of the transit flags -> fields of TransitSpec."""
    return {"delay_ms": given["delay"], "jitter_ms": given["jitter"], "drop": given["drop"], "burst": given["burst"]}


def _k_factor_db(ratio: float) -> float:
    if not 0.0 <= ratio <= 1e6:
        raise ConfigError(f"--k-factor {ratio:g} is outside 0 to 1e6 (a ratio of powers)")
    return 10.0 * math.log10(ratio) if ratio else -math.inf


def _doppler(speed: float, carrier: float | None, rate: float | None) -> float:
    """fd Ts = v fc / (c fs)."""
    if carrier is None or rate is None:
        raise ConfigError("--speed needs --carrier and --rate, both in Hz")
    for flag, value in (("--carrier", carrier), ("--rate", rate)):
        if not 0.0 < value < 1e15:
            raise ConfigError(f"{flag} {value:g} must be above 0 Hz")
    if not speed >= 0.0:
        raise ConfigError(f"--speed {speed:g} must be 0 m/s or more")
    return speed * carrier / (LIGHT_SPEED * rate)
