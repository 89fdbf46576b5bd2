"""Power delay profiles: TDL-A..E, EPA, EVA, ETU and a user's CSV. Knows nothing about fading or filtering."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.channel.table import read_columns, read_rows
from common.errors import ConfigError

SCALED = ("tdl-a", "tdl-b", "tdl-c", "tdl-d", "tdl-e")
"""Profiles whose delays are in units of the rms delay spread."""

FIXED = ("epa", "eva", "etu")
"""Profiles whose delays are in ns."""

MAX_DELAY = 4096
"""Longest excess delay that the delay line holds, in samples."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Paths of a channel: delays in samples, float64 [P]; powers (linear), float64 [P], sum 1.

    line_of_sight: power of the unfading ray within path 0, which is counted in powers[0]; 0 without one.
    """

    delays: NDArray[np.float64]
    powers: NDArray[np.float64]
    line_of_sight: float


def is_profile(fading: str) -> bool:
    """True where a fading model is a delay profile: a name above or a CSV file."""
    return fading in SCALED or fading in FIXED or fading.endswith(".csv")


def load_profile(name: str, delay_spread_s: float, rate_hz: float) -> Profile:
    """The profile `name` at a sample rate. Raises ConfigError where the file or the delays are impossible."""
    if name.endswith(".csv"):
        table = read_columns(Path(name), ("delay_ns", "power_db"))
        delays, powers_db, los = table[:, 0] * 1e-9, table[:, 1], None
    else:
        delays, powers_db, los = _standard()[name]
        delays = delays * (delay_spread_s if name in SCALED else 1e-9)
    delays = delays * rate_hz
    if delays.min() < 0.0 or delays.max() > MAX_DELAY:
        raise ConfigError(
            f"profile {name}: delays from {delays.min():g} to {delays.max():g} samples at rate {rate_hz:g} Hz; "
            f"they must lie within 0 to {MAX_DELAY}: change --delay-spread or --rate"
        )
    powers = 10.0 ** (powers_db / 10.0)
    powers /= powers.sum()
    if los is None:
        return Profile(delays, powers, 0.0)
    powers[1] += powers[0]  # the ray and the scattered paths of the same delay are one fading tap
    return Profile(delays[1:], powers[1:], float(powers[0]))


@cache
def _standard() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], int | None]]:
    """Name -> (delays, powers in dB, index of the line of sight, which is always the first row)."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    rows = read_rows(Path(__file__).with_name("profiles.csv"), ("profile", "delay", "power_db", "path"))
    for name, delay, power_db, path in rows:
        found.setdefault(name, []).append((float(delay), float(power_db), path))
    return {
        name: (
            np.array([row[0] for row in rows]),
            np.array([row[1] for row in rows]),
            0 if rows[0][2] == "los" else None,
        )
        for name, rows in found.items()
    }
