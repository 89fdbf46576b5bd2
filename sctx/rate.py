"""Channel report -> how many increments to send, and which SNR to tell the channel-adaptive module.

Pure: knows nothing about sockets, images or torch. The belief about the SNR at the moment of sending follows Clarke's
model: with h ~ CN(0, 1) and autocorrelation rho = J0(2 pi fd tau), h_now = rho h_then + sqrt(1 - rho^2) w. A fresh
report is believed, an old one falls back to the average by itself, none at all means the most robust rate.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.manifest import Accuracy
from common.phy.decibel import from_db, to_db

STALE_NS = 5_000_000_000
STALE_SLOTS = 256
_ERROR_NODES = ((-math.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (math.sqrt(3.0), 1 / 6))  # Gauss-Hermite, three points


@dataclass(frozen=True, slots=True)
class Report:
    """What the receiver said last. SNRs in dB; `fd` in cycles per symbol or None; `air_start` in symbols."""

    snr_inst_db: float
    snr_avg_db: float
    error_db: float
    fd: float | None
    air_start: int
    heard_ns: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The last increment to send, and the SNR to adapt to (None: not known)."""

    rate: int
    told_snr_db: float | None


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """How the rate is chosen: `adaptive`, `average` (ignores the instantaneous SNR), `robust`, or `fixed` at `symbols`.

    `within`: the goal, in points of accuracy below what the full ladder would reach; the fewest symbols to meet it win.
    """

    kind: str = "adaptive"
    symbols: int = 0
    within: float = 1.0

    @classmethod
    def parse(cls, text: str, within: float = 1.0) -> "RatePolicy":
        """`adaptive`, `average`, `robust` or `fixed:SYMBOLS`. Raises ConfigError."""
        kind, _, symbols = text.partition(":")
        if kind == "fixed" and symbols.isdigit():
            return cls("fixed", int(symbols), within)
        if kind in ("adaptive", "average", "robust") and not symbols:
            return cls(kind, 0, within)
        raise ConfigError(f"--rate-policy {text}: choose adaptive, average, robust or fixed:SYMBOLS")

    def rate_of(self, rates: tuple[int, ...]) -> int:
        """Index of the fixed rate in the ladder `rates` (payload symbols). Raises ConfigError."""
        if self.symbols not in rates:
            raise ConfigError(f"--rate-policy fixed:{self.symbols}: this model sends {list(rates)} symbols")
        return rates.index(self.symbols)


def is_stale(report: Report, air_now: int, now_ns: int, slot: int) -> bool:
    """Older than 5 s or 256 slots of air time: says nothing any more."""
    return now_ns - report.heard_ns > STALE_NS or air_now - report.air_start > STALE_SLOTS * slot


def decide(
    policy: RatePolicy, report: Report | None, air_now: int, rates: tuple[int, ...], table: Accuracy
) -> Decision:
    """The decision for a frame at air sample `air_now`. `report`: None where there is none or it is stale."""
    full = len(rates) - 1
    belief = None if report is None else believe(report, air_now, average_only=policy.kind == "average")
    told = None if belief is None else to_db(float(belief.mean()))
    if policy.kind == "fixed":
        return Decision(policy.rate_of(rates), told)
    if policy.kind == "robust" or belief is None:
        return Decision(full, None if policy.kind == "robust" else told)
    snr_db = 10.0 * np.log10(np.maximum(belief, 1e-6))
    expected = [float(np.interp(snr_db, table.snr_db, row).mean()) for row in table.acc]
    enough = expected[full] - policy.within / 100.0
    return Decision(next(rate for rate in range(full + 1) if expected[rate] >= enough), told)


def believe(report: Report, air_now: int, average_only: bool = False) -> NDArray[np.float64]:
    """Equally likely values of the linear SNR at `air_now`: float [N].

    While the receiver cannot tell the Doppler, or with `average_only`, the channel is Rayleigh about the average.
    """
    average = from_db(report.snr_avg_db)
    known = report.fd is not None and not average_only
    rho = max(_j0(2.0 * math.pi * (report.fd or 0.0) * max(air_now - report.air_start, 0)), 0.0) if known else 0.0
    nodes = []
    for offset, weight in _ERROR_NODES:
        then = from_db(report.snr_inst_db + offset * report.error_db)
        nodes += [abs(rho * math.sqrt(then) + math.sqrt((1.0 - rho**2) * average) * _SCATTER) ** 2] * round(6 * weight)
    return np.concatenate(nodes)


def _scatter(radii: int = 12, angles: int = 8) -> NDArray[np.complex128]:
    """Equally likely points of CN(0, 1): exponential quantiles of the power, evenly spread angles."""
    power = -np.log1p(-(np.arange(radii) + 0.5) / radii)
    power /= power.mean()
    angle = 2.0 * np.pi * (np.arange(angles) + 0.5) / angles
    points: NDArray[np.complex128] = (np.sqrt(power)[:, None] * np.exp(1j * angle)[None, :]).reshape(-1)
    return points


_SCATTER = _scatter()


def _j0(x: float) -> float:
    """Bessel function J0(x) = (1/pi) int_0^pi cos(x sin t) dt by the midpoint rule; 0 beyond x = 20 (|J0| < 0.18)."""
    if x > 20.0:
        return 0.0
    theta = (np.arange(64) + 0.5) * np.pi / 64
    return float(np.cos(x * np.sin(theta)).mean())
