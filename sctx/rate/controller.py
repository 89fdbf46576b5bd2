"""The transmitter's end of the closed loop: channel reports in, decisions out. One place for the link and without it.

Pure: every call carries its times. Knows nothing about sockets, sessions, images or torch.
"""

import numpy as np
from numpy.typing import NDArray

from common.pair.shapes import Accuracy
from common.phy.layout import Layout
from common.protocol.frames import ResultHead
from common.protocol.messages import Result
from sctx.rate.belief import Report, is_stale, newer
from sctx.rate.bias import ReportBias
from sctx.rate.decision import Decision, Sharing, decide
from sctx.rate.policy import RatePolicy

MOST_UNREPORTED = 256
"""Answers that wait for the reports about their frames."""
MOST_BLIND = 8
"""Images that wait for one another while nothing is known: where as many bring no report, none may ever come."""


class Controller:
    """What was reported last, by how much reports are wrong, the rate of the image before, and the policy that makes a
    decision of them.

    table: of the accuracy of each rate; None: not measured, and there is one rate. sharing: as of `decide`.
    """

    def __init__(
        self, policy: RatePolicy, layout: Layout, table: Accuracy | None, sharing: Sharing | None = None
    ) -> None:
        policy.check(layout.rates)
        self.policy = policy
        self._sharing = sharing
        self.report: Report | None = None
        self._bias = ReportBias()
        self._unreported: dict[int, NDArray[np.float64]] = {}
        self._layout, self._table = layout, table
        self._last: int | None = None
        self._blind = 0

    def hear(self, result: Result | ResultHead, now_ns: int) -> None:
        """Take what a RESULT says of the channel; an older report, or none, changes nothing."""
        self.report = newer(self.report, result, now_ns)

    @property
    def correction_db(self) -> float:
        """What is added to reported SNRs, in the middle of all that may be right."""
        return self._bias.db

    def learn(self, result: Result, air_start: int, chance: NDArray[np.float64]) -> None:
        """Take what the answer to a frame says of the report about that frame, which may come with a later answer.

        air_start: of the frame; chance: of the answer, as `ReportBias.learn` takes it.
        """
        self._unreported[air_start] = chance
        if len(self._unreported) > MOST_UNREPORTED:
            del self._unreported[next(iter(self._unreported))]
        if result.snr_inst_db is not None and (chance_then := self._unreported.pop(result.air_start, None)) is not None:
            self._bias.learn(result, chance_then)

    def should_wait(self, air_start: int, now_ns: int) -> bool:
        """Whether a new image had better wait for the answers that are due: nothing is known of the channel, and they
        may bring a report."""
        return self._blind < MOST_BLIND and self._fresh(air_start, now_ns) is None

    def decide(self, air_start: int, now_ns: int, truth: Report | None = None) -> Decision:
        """For a new image whose frame begins at `air_start`. truth: what to know in the place of the report, for
        experiments."""
        known = truth or self._fresh(air_start, now_ns)
        self._blind = self._blind + 1 if known is None else 0
        off_db = self._bias.off_db if truth is None else None
        rates = self._layout.rates
        decision = decide(self.policy, known, air_start, rates, self._table, self._last, self._sharing, off_db)
        self._last = decision.rate
        return decision

    def _fresh(self, air_start: int, now_ns: int) -> Report | None:
        """The report, unless it is too old."""
        report = self.report
        stale = report is not None and is_stale(report, air_start, now_ns, self._layout.slot)
        return None if stale else report
