"""Power delay profiles: TDL-A..E, EPA, EVA, ETU and a user's CSV. Knows nothing about fading or filtering."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.csvfile import read_columns, read_rows
from common.channel.spec.spec import SCALED
from common.errors import ConfigError

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


@dataclass(frozen=True, slots=True)
class Taps:
    """A profile before it is put on a sample grid.

    delays, float64 [P], in seconds, or where `scaled` in units of the rms delay spread; powers (linear, sum 1) and
    line_of_sight as in Profile.
    """

    name: str
    scaled: bool
    delays: NDArray[np.float64]
    powers: NDArray[np.float64]
    line_of_sight: float

    def check(self, delay_spread_s: float, rate_hz: float) -> None:
        """Raise ConfigError where a delay is impossible at a sample rate."""
        unit = (delay_spread_s if self.scaled else 1.0) * rate_hz
        low, high = float(self.delays.min()) * unit, float(self.delays.max()) * unit
        if low < 0.0 or high > MAX_DELAY:
            raise ConfigError(
                f"profile {self.name}: delays from {low:g} to {high:g} samples at rate {rate_hz:g} Hz; "
                f"they must lie within 0 to {MAX_DELAY}: change delay_spread=SECONDS or rate=HZ"
            )

    def at(self, delay_spread_s: float, rate_hz: float) -> Profile:
        """The profile at a sample rate. Raises ConfigError where a delay is impossible."""
        self.check(delay_spread_s, rate_hz)
        delays = self.delays * (delay_spread_s if self.scaled else 1.0)
        return Profile(delays * rate_hz, self.powers, self.line_of_sight)


def read_taps(name: str) -> Taps:
    """The profile `name`. Raises ConfigError where its file is wrong."""
    if name.endswith(".csv"):
        table = read_columns(Path(name), ("delay_ns", "power_db"))
        delays, powers_db, los = table[:, 0] * 1e-9, table[:, 1], None
    else:
        delays, powers_db, los = _standard()[name]
        delays = delays * (1.0 if name in SCALED else 1e-9)
    with np.errstate(over="ignore", under="ignore"):
        powers = 10.0 ** (powers_db / 10.0)
        total = float(powers.sum())
    if not 0.0 < total < np.inf:
        raise ConfigError(f"profile {name}: powers in dB that add up to {total:g}")
    powers /= total
    if los is None:
        return Taps(name, name in SCALED, delays, powers, 0.0)
    powers[1] += powers[0]  # the ray and the scattered paths of the same delay are one fading tap
    return Taps(name, name in SCALED, delays[1:], powers[1:], float(powers[0]))


@cache
def _standard() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], int | None]]:
    """Name -> (delays, powers in dB, index of the line of sight, which is always the first row)."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    rows = read_rows(Path(__file__).with_name("profiles.csv"), ("profile", "delay", "power_db", "path"))
    for _, (name, delay, power_db, path) in rows:
        found.setdefault(name, []).append((float(delay), float(power_db), path))
    return {
        name: (
            np.array([row[0] for row in rows]),
            np.array([row[1] for row in rows]),
            0 if rows[0][2] == "los" else None,
        )
        for name, rows in found.items()
    }
