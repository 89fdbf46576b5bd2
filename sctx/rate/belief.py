"""A channel report and its age -> what the SNR may be now. Knows nothing about rates or accuracy.

Clarke's model: with h ~ CN(0, 1) and autocorrelation rho = J0(2 pi fd tau), h_now = rho h_then + sqrt(1 - rho^2) w. A
fresh report is believed, an old one falls back to the average by itself.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.phy.decibel import from_db
from common.protocol.frames import ResultHead
from common.protocol.messages import Result
from common.record import record

STALE_NS = 5_000_000_000
STALE_SLOTS = 256
POINTS = 384
"""Of a belief: where a word hardly ever fails, a point in a thousand decides how long it must be."""


@record
class Report:
    """What the receiver said last. SNRs in dB; `fd` in cycles per symbol or None; `air_start` in symbols."""

    snr_inst_db: float
    snr_avg_db: float
    error_db: float
    fd: float | None
    air_start: int
    heard_ns: int

    @classmethod
    def exact(cls, snr_db: float, air_start: int, now_ns: int) -> "Report":
        """The SNR at `air_start` without error; beyond +-100 dB makes no difference."""
        snr_db = min(max(snr_db, -100.0), 100.0)
        return cls(snr_db, snr_db, 0.0, 0.0, air_start, now_ns)


def newer(known: Report | None, result: Result | ResultHead, now_ns: int) -> Report | None:
    """What is known after a RESULT: its report, unless it has none or one about an earlier air sample."""
    if result.snr_inst_db is None or result.snr_avg_db is None:
        return known
    if known is not None and result.air_start < known.air_start:
        return known
    error_db = result.inst_error_db or 0.0
    return Report(result.snr_inst_db, result.snr_avg_db, error_db, result.fd, result.air_start, now_ns)


def is_stale(report: Report, air_now: int, now_ns: int, slot: int) -> bool:
    """Older than 5 s or 256 slots of air time: says nothing any more."""
    return now_ns - report.heard_ns > STALE_NS or air_now - report.air_start > STALE_SLOTS * slot


def believe(report: Report, air_now: int, average_only: bool = False) -> NDArray[np.float64]:
    """Equally likely values of the linear SNR at `air_now`: float [N].

    While the receiver cannot tell the Doppler, or with `average_only`, the channel is Rayleigh about the average.
    """
    average = from_db(report.snr_avg_db)
    known = report.fd is not None and not average_only
    rho = max(_j0(2.0 * math.pi * (report.fd or 0.0) * max(air_now - report.air_start, 0)), 0.0) if known else 0.0
    then = from_db(report.snr_inst_db) * 10 ** (_ERRORS * (report.error_db / 10))
    now: NDArray[np.float64] = np.abs(rho * np.sqrt(then) + math.sqrt((1.0 - rho**2) * average) * _SCATTER) ** 2
    return now


def rayleigh(snr_db: float) -> NDArray[np.float64]:
    """Equally likely values of the linear SNR where only its average is known, in dB: float [N]."""
    found: NDArray[np.float64] = from_db(snr_db) * np.abs(_SCATTER) ** 2
    return found


def _scatter() -> NDArray[np.complex128]:
    """Equally likely points of CN(0, 1): a quantile of the power each, and angles a golden section apart."""
    power = -np.log1p(-(np.arange(POINTS) + 0.5) / POINTS)
    power /= power.mean()
    points: NDArray[np.complex128] = np.sqrt(power) * np.exp(1j * np.pi * (3 - math.sqrt(5.0)) * np.arange(POINTS))
    return points


_SCATTER = _scatter()
_ERRORS = np.resize(np.array([-math.sqrt(3.0), 0.0, 0.0, math.sqrt(3.0), 0.0, 0.0]), POINTS)
"""Of a report, in its deviations: Gauss-Hermite's three points, 1/6, 2/3 and 1/6 of all."""


def _j0(x: float) -> float:
    """Bessel function J0(x) = (1/pi) int_0^pi cos(x sin t) dt by the midpoint rule; 0 beyond x = 20 (|J0| < 0.18)."""
    if x > 20.0:
        return 0.0
    theta = (np.arange(64) + 0.5) * np.pi / 64
    return float(np.cos(x * np.sin(theta)).mean())
