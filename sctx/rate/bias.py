"""By how much channel reports are wrong, in dB: what the answers to words say of it. Knows nothing about answers.

Bayes on a grid: a frame's SNR is what was reported of it, and b. Most likely b is 0; else it is anything from -15 to
15 dB, for one of two reasons:

    the way back     a true report was changed: whether a word arrives, and how sure of it the receiver is, both fit b
    the receiver     it takes its channel for what it reports: whether a word arrives fits b, how sure it is fits b = 0

What was learned is forgotten slowly. Who decides by all that b may be is careful while little was heard, and needs no
rule of when to believe it: a word that would fail at some b is worth as much less as that b is likely.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.phy.decibel import from_db
from common.protocol.messages import Result
from sctx.rate.belief import POINTS
from sctx.rate.sureness import GRID_DB

Doubles = NDArray[np.float64]
STEP_DB = 1.5
STEPS_DB = np.arange(-15.0, 15.1, STEP_DB)
HONEST, SPREAD_DB = 0.8, 6.0
"""Probability beforehand that reports are right; deviation in dB if they are not."""
WORTH = 0.5
"""Of an answer, in answers that are independent: estimates of neighbouring frames err alike."""
FORGOTTEN = 0.001
"""Of what is known, with each answer."""
AWAY_DB = np.arange(-20.0, 10.1, 1.0)
"""What a frame's SNR may be, beside the average."""
LEAST_ERROR_DB = 0.5
_SHARES = ((np.arange(POINTS) + 0.5) * math.sqrt(2.0) % 1.0).argsort().argsort() / POINTS + 0.5 / POINTS
"""Quantiles, each once, in an order that has nothing to do with that of a belief's points."""


class ReportBias:
    """`off_db`: what to add to reported SNRs, as equally likely values, float64 [POINTS]; None: nothing was heard.

    `db`: the median of them, for people.
    """

    def __init__(self) -> None:
        wrong = np.exp(-((STEPS_DB / SPREAD_DB) ** 2) / 2)
        self._before: Doubles = np.tile((1 - HONEST) / 2 * wrong / wrong.sum(), (2, 1))
        self._before[0] += HONEST * (STEPS_DB == 0)
        self._likely, self._frame = self._before, FrameSnr()
        self.off_db: Doubles | None = None
        self.db = 0.0

    def learn(self, report: Result, chance: Doubles) -> None:
        """One answer. report: about its frame, SNRs not None; chance: as of `Sureness.chance`. While a receiver is not
        sure of the average to a step, it may be off by more with no bias, and for as long: nothing is learned."""
        if (report.avg_error_db or 0.0) > STEP_DB:
            return
        shares = self._frame.shares(report)
        told_db = (report.snr_avg_db or 0.0) + AWAY_DB[:, None]
        arrived, sure = (np.interp(told_db + STEPS_DB, GRID_DB, one) for one in chance)
        as_told = np.interp(told_db, GRID_DB, chance[1])
        likely = self._likely * np.stack((shares @ (arrived * sure), shares @ (arrived * as_told))) ** WORTH
        self._likely = (1 - FORGOTTEN) * likely / likely.sum() + FORGOTTEN * self._before
        upto = np.cumsum(self._likely.sum(0))
        self.off_db = STEPS_DB[np.searchsorted(upto[:-1], _SHARES)]
        self.db = float(STEPS_DB[np.searchsorted(upto[:-1], 0.5)])


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
