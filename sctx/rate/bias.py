"""By how much channel reports are wrong, in dB: what the answers to words say of it. Knows nothing about answers.

Bayes on a grid: a frame's SNR is what was reported of it, and b. Most likely b is 0, it may be anything from -15 to
15 dB, and what was learned is forgotten slowly. To believe too much costs answers and to believe too little symbols, so
`db` is below 0 where two thirds of b are, above 0 where 97 in 100 are, and else 0.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.phy.decibel import from_db
from common.protocol.messages import Result
from sctx.rate.sureness import GRID_DB

Doubles = NDArray[np.float64]
STEP_DB = 1.5
STEPS_DB = np.arange(-15.0, 15.1, STEP_DB)
LOWER, HIGHER = 1 / 3, 0.03
"""Quantiles of b that are taken for it where they are below 0, and above."""
HONEST, SPREAD_DB = 0.95, 6.0
"""Probability beforehand that reports are right; deviation in dB if they are not."""
WORTH = 0.5
"""Of an answer, in answers that are independent: estimates of neighbouring frames err alike."""
FORGOTTEN = 0.001
"""Of what is known, with each answer."""
AWAY_DB = np.arange(-20.0, 10.1, 1.0)
"""What a frame's SNR may be, beside the average."""
LEAST_ERROR_DB = 0.5


class ReportBias:
    """`db`: what to add to a reported SNR."""

    def __init__(self) -> None:
        wrong = np.exp(-((STEPS_DB / SPREAD_DB) ** 2) / 2)
        self._before: Doubles = (1 - HONEST) * wrong / wrong.sum() + HONEST * (STEPS_DB == 0)
        self._likely, self._frame = self._before, FrameSnr()
        self.db = 0.0

    def learn(self, report: Result, chance: Doubles) -> None:
        """One answer. report: about its frame, SNRs not None; chance: of such an answer at each SNR of GRID_DB,
        float64 [G], none of it 0. While a receiver is not sure of the average to a step, it may be off by more with no
        bias, and for as long: nothing is learned."""
        if (report.avg_error_db or 0.0) > STEP_DB:
            return
        shares = self._frame.shares(report)
        at_db = (report.snr_avg_db or 0.0) + AWAY_DB[:, None] + STEPS_DB
        likely = self._likely * (shares @ np.interp(at_db, GRID_DB, chance)) ** WORTH
        self._likely = (1 - FORGOTTEN) * likely / likely.sum() + FORGOTTEN * self._before
        higher, lower = STEPS_DB[np.searchsorted(np.cumsum(self._likely), (HIGHER, LOWER))].tolist()
        self.db = higher if higher > 0 else min(lower, 0.0)


class FrameSnr:
    """A frame's SNR by the report about it. What one frame's pilots tell is weighed against what all before told: a
    channel that does not fade has the average SNR, another one is exponential about it; which it is, reports show."""

    def __init__(self) -> None:
        self._steady = 0.5

    def shares(self, report: Result) -> Doubles:
        """Probability of each of AWAY_DB, float64 [N]."""
        spread = max(report.avg_error_db or 0.0, LEAST_ERROR_DB)
        steady = np.exp(-((AWAY_DB / spread) ** 2) / 2)
        likely = _likely(report)
        steady, fading = (one / one.sum() * likely for one in (steady, _FADING))
        found = self._steady * steady + (1 - self._steady) * fading
        self._steady = min(max(self._steady * float(steady.sum() / found.sum()), 0.02), 0.98)
        shares: Doubles = found / found.sum()
        return shares


_FADING: Doubles = 10 ** (AWAY_DB / 10) * np.exp(-(10 ** (AWAY_DB / 10)))


def _likely(report: Result) -> Doubles:
    """Likelihood of the reported SNR where the true one is so far from the average, float64 [N].

    The estimate rho^ from P pilots has variance 2 rho/P + 1/P^2; P follows from the error that is reported, which is
    10/ln 10 sqrt(2/(rho^ P)) dB.
    """
    rho = from_db(report.snr_inst_db or 0.0)
    error = max(report.inst_error_db or 0.0, LEAST_ERROR_DB) * math.log(10) / 10
    per_pilot = rho * error**2 / 2
    true = from_db(report.snr_avg_db or 0.0) * 10 ** (AWAY_DB / 10)
    variance = 2 * true * per_pilot + per_pilot**2
    log = -((rho - true) ** 2) / (2 * variance) - np.log(variance) / 2
    found: Doubles = np.exp(log - log.max()) + 1e-12
    return found
