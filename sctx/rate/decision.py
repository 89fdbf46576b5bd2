"""Belief about the SNR, tables and policy -> how many increments to send, and how many symbols of them are the word's.

Pure: knows nothing about images, sockets or torch. Without a report the most robust rate is sent, and all of it is the
word's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.check import whole
from common.pair.agreement import Agreement
from common.pair.manifest import Manifest
from common.pair.shapes import Accuracy, WordTable
from common.phy.decibel import from_db, to_db
from common.record import record
from sctx.rate.belief import Report, believe, rayleigh
from sctx.rate.distortion import Distortion
from sctx.rate.policy import RULES, Goal, RatePolicy

HYSTERESIS = 0.2
"""Points of accuracy that a rate must clear its goal by before the transmitter moves down to it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The last increment to send, the SNR in dB to adapt to (None: not known), symbols of the word (None: all).

    told_snr_db: the mean of what the report leaves open, moved by the middle of what reports may be wrong by, and not
    by its mean: a small chance of being wrong by 15 dB would move that by a decibel.
    missed: share of the features' variance that a receiver is expected to miss; None where nobody asks for it, and as
    long as the Doppler is not known, when any channel is taken for one that fades.
    """

    rate: int
    told_snr_db: float | None
    words: int | None = None
    missed: float | None = None


@record
class Sharing:
    """How symbols are shared out between word and features.

    words: of the pair; spare: points that the decision may lose to the features, 0: it has all symbols. distortion:
    what is missed of the features, and `most` of it, 0 to 1: the rate rises until no more is expected to be.
    """

    words: WordTable
    spare: float
    distortion: Distortion | None = None
    most: float = 1.0

    def word(self, belief: NDArray[np.float64]) -> int | None:
        """Symbols of the word; None: all. belief: equally likely linear SNRs, float [N]."""
        return word_symbols(self.words, belief, self.spare) if self.spare else None

    def least(
        self, rate: int, rates: tuple[int, ...], word: int, belief: NDArray[np.float64]
    ) -> tuple[int, float | None]:
        """The lowest rate from this one on whose features are near enough, the highest where none is; and what is
        missed then, 0 to 1."""
        if self.distortion is None:
            return rate, None
        for k in range(rate, len(rates)):
            missed = self._missed(rates[k], word, belief, self.distortion)
            if missed <= self.most:
                break
        return k, missed

    def _missed(self, symbols: int, word: int, belief: NDArray[np.float64], distortion: Distortion) -> float:
        """Of `symbols`, the first of which are the word's."""
        arrives = _mean(self.words.right[min(word, symbols) - 1], shares(self.words.snr_db, belief))
        return distortion.expected(max(symbols - word, 0), belief) + (1.0 - arrives) * distortion.astray


def decide(
    policy: RatePolicy,
    report: Report | None,
    air_now: int,
    rates: tuple[int, ...],
    table: Accuracy | None,
    last: int | None = None,
    sharing: Sharing | None = None,
    off_db: NDArray[np.float64] | None = None,
) -> Decision:
    """The decision for a frame at air sample `air_now`.

    off_db: what to add to the report, equally likely values, float [N]; None: it is believed.
    report: None where there is none or it is stale; rates: payload symbols of each rate; last: the rate before.
    sharing: None where symbols are no words.
    """
    full = len(rates) - 1
    belief = None if report is None else believe(report, air_now, average_only=policy.kind == "average")
    told = None if belief is None else to_db(float(belief.mean()))
    if belief is not None and told is not None and off_db is not None:
        belief, told = belief * 10 ** (off_db / 10), told + float(np.median(off_db))
    count = None if belief is None or sharing is None else sharing.word(belief)
    if policy.kind == "fixed":
        return Decision(rates.index(policy.symbols), told, count)
    if policy.kind == "robust":
        return Decision(full, None)
    if (rule := RULES.get(policy.kind)) is not None:
        return Decision(
            whole(f"the rate of policy {policy}", rule(belief, rates, policy.goal, last), 0, full), told, count
        )
    if belief is None or table is None:
        return Decision(_affordable(policy.goal, rates)[-1], told, count)
    rate = _fewest(policy.goal, table, belief, rates, last)
    if sharing is not None and count is not None:
        rate, missed = sharing.least(rate, rates[: len(_affordable(policy.goal, rates))], count, belief)
        return Decision(rate, told, count, missed if report is not None and report.fd is not None else None)
    return Decision(rate, told, count)


def word_symbols(table: WordTable, belief: NDArray[np.float64], spare: float) -> int:
    """The channel-adaptive module: fewest symbols whose word is right as often as the ladder's, to `spare` points.

    belief: equally likely linear SNRs, float [N]. The share does not depend on the image.
    """
    share = shares(table.snr_db, belief)
    wanted = _mean(table.right[-1], share) - spare / 100.0
    few, enough = 0, len(table.right)  # it rises with the count
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if _mean(table.right[middle - 1], share) >= wanted else (middle, enough)
    return enough


def words_told(pair: Agreement, snr_db: float, spare: float, fading: bool) -> int | None:
    """`word_symbols` for who is told the average SNR in dB; None: all, or it has no words. fading: it is Rayleigh about
    that."""
    if not isinstance(pair, Manifest) or math.isnan(snr_db) or not spare:
        return None
    return word_symbols(pair.words, rayleigh(snr_db) if fading else np.array([from_db(snr_db)]), spare)


def shares(grid_db: tuple[float, ...], belief: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of a belief each SNR of a table stands for, float [G], 1 in all: the mean over a belief of what a table
    gives between its SNRs is that of its entries by these. grid_db: ascending, G >= 2; belief: linear SNRs, float [N].
    """
    at = np.interp(_in_db(belief), grid_db, _PLACES[: len(grid_db)])
    low = np.minimum(at.astype(np.int64), len(grid_db) - 2)
    upper = at - low
    found = np.bincount(low, 1.0 - upper, len(grid_db)) + np.bincount(low + 1, upper, len(grid_db))
    return found / len(belief)


_PLACES = np.arange(1000.0)
"""A table has no more SNRs."""


def _in_db(belief: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 10.0 * np.log10(np.maximum(belief, 1e-6))
    return found


def _mean(row: tuple[float, ...], share: NDArray[np.float64]) -> float:
    """Of a row of a table over a belief, by `shares`."""
    return float(np.dot(row, share))


def _accuracies(table: Accuracy, belief: NDArray[np.float64]) -> NDArray[np.float64]:
    """acc_k at each believed SNR: float [K, N]."""
    snr_db = _in_db(belief)
    return np.stack([np.interp(snr_db, table.snr_db, row) for row in table.acc])


def _affordable(goal: Goal, rates: tuple[int, ...]) -> Sequence[int]:
    return [k for k, symbols in enumerate(rates) if goal.kind != "budget" or symbols <= goal.value]


def _fewest(goal: Goal, table: Accuracy, belief: NDArray[np.float64], rates: tuple[int, ...], last: int | None) -> int:
    share = shares(table.snr_db, belief)
    expected = [_mean(row, share) for row in table.acc]
    if goal.kind == "budget":
        return max(_affordable(goal, rates), key=lambda k: (expected[k], -k))
    full = len(rates) - 1
    if goal.kind == "price":  # which says what a symbol must be worth: nothing more to wait for
        return max(range(full + 1), key=lambda k: (expected[k] - goal.value * rates[k], -k))
    accuracies = _accuracies(table, belief) if goal.kind == "outage" else None
    margins = [HYSTERESIS / 100.0 if last is not None and k < last else 0.0 for k in range(full + 1)]
    for k, margin in enumerate(margins[:full]):
        if goal.kind == "within" and expected[k] - margin >= expected[full] - goal.value / 100.0:
            return k
        if goal.kind == "target" and expected[k] - margin >= goal.value:
            return k
        if accuracies is not None and np.mean(accuracies[k] - margin < accuracies[full] - 0.01) <= goal.value:
            return k
    return full
