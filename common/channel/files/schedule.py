"""A channel that changes by plan: CSV rows `air_sample,parameter,value`. Knows nothing about how changes act.

A parameter is named as its flag without dashes in front: snr, doppler, fading, k-factor. Every stream goes through the
plan on its own air clock, so a run with another timing meets the same changes at the same symbols.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.channel.spec.csvfile import as_number, read_rows
from common.channel.spec.parameters import as_typed
from common.channel.spec.spec import CHANNEL, ChannelSpec, channel_parameters
from common.channel.streams.timeline import Change, Plan
from common.errors import ConfigError
from common.inputs import PATH
from common.text import safe

_NAMED = {one.flag[2:]: one for one in CHANNEL.values() if one.live}
_LAST = 2**53


def load_schedule(path: Path, spec: ChannelSpec, framed: bool = False) -> Plan:
    """`spec` at air sample 0 and what the file changes. framed: refuse what frames cannot use. Raises ConfigError."""
    try:
        with as_typed(CHANNEL.values()):
            return Plan(spec, _changes(path), framed=framed)
    except ConfigError as error:
        raise ConfigError(f"schedule {error}" if str(error).startswith(safe(path, PATH)) else
                          f"schedule {safe(path, PATH)}, {error}") from None  # fmt: skip


def _changes(path: Path) -> Iterator[Change]:
    for line, (at, name, value) in read_rows(path, ("air_sample", "parameter", "value")):
        try:
            yield _sample(at), _parameters(name, value)
        except ValueError as error:
            raise ConfigError(f"{safe(path, PATH)}, line {line}: {error}") from None


def _sample(cell: str) -> int:
    sample = int(cell) if cell.isascii() and cell.isdecimal() else as_number(cell)
    if not 0 <= sample <= _LAST or sample != int(sample):
        raise ValueError(f"air sample {safe(cell, 60)} is no whole number from 0 to 2^53")
    return int(sample)


def _parameters(name: str, cell: str) -> dict[str, Any]:
    one = _NAMED.get(name)
    if one is None:
        raise ValueError(f"'{safe(name, 60)}' is no parameter; there are {', '.join(_NAMED)}")
    value: float | int | str = cell
    if one.kind is not str:
        value = as_number(cell)
        if one.kind is int:
            if value % 1:  # infinite as well
                raise ValueError(f"{name} {safe(cell, 60)} is no whole number")
            value = int(value)
    if one.name == "cir_trace":  # which says what the fading is, too
        return channel_parameters({one.variable: value})
    return {one.name: one.from_typed(value)}
