"""A channel that changes by plan: CSV rows `air_sample,parameter,value`. Knows nothing about how changes act.

A parameter is named as its flag without dashes in front: snr, doppler, fading, k-factor. Every stream goes through the
plan on its own air clock, so a run with another timing meets the same changes at the same symbols.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from common.channel.options import CHANNEL, as_typed, channel_parameters
from common.channel.spec import ChannelSpec
from common.channel.table import read_rows
from common.errors import ConfigError


def load_schedule(path: Path, spec: ChannelSpec) -> list[tuple[int, ChannelSpec]]:
    """(first air sample, channel from there on) in order; the first is `spec` at 0. Raises ConfigError."""
    plan = [(0, spec)]
    for row in read_rows(path, ("air_sample", "parameter", "value")):
        at, parameters = _read(path, row)
        if at < plan[-1][0]:
            raise ConfigError(f"schedule {path}: air sample {at} comes after {plan[-1][0]}; sort the rows by time")
        try:
            with as_typed(CHANNEL):
                changed = replace(plan[-1][1], **parameters)
        except ConfigError as error:
            raise ConfigError(f"schedule {path}, air sample {at}: {error}") from None
        if at == plan[-1][0]:
            plan.pop()
        plan.append((at, changed))
    return plan


def _read(path: Path, row: list[str]) -> tuple[int, dict[str, Any]]:
    flags = {flag.name[2:]: flag for flag in CHANNEL if flag.field != "seed"}
    at, name, value = row
    if name not in flags:
        raise ConfigError(f"schedule {path}: {name!r} is no parameter; there are {', '.join(flags)}")
    try:
        sample, parsed = int(at), type(flags[name].default)(value)
    except ValueError:
        raise ConfigError(f"schedule {path}: {','.join(row)!r} is not air_sample,parameter,value") from None
    if sample < 0:
        raise ConfigError(f"schedule {path}: air sample {sample} is below 0")
    return sample, channel_parameters({name.replace("-", "_"): parsed})
