"""Curves that need no transmission: what the label in a simplex reaches, and what no system can pass (Fano).

Knows nothing about networks. Convention: Es/N0 per complex use, N0/2 per real dimension, n uses, C classes.

Simplex. C words of correlation -1/(C-1) are told right as often as C orthogonal ones of C/(C-1) times the energy
(Proakis, Digital Communications, 5th ed., 4.4); with E = n Es/N0 of that and s = sqrt(2 E),

    P = integral of phi(x - s) Phi(x)^(C-1) dx

They fit where 2 n >= C - 1; below that no code is known that attains it.

Fano. Of a label of H bits, n uses let through at most I = n log2(1 + Es/N0) bits, so the share e of errors has
h(e) + e log2(C - 1) >= H - I (Cover and Thomas, Elements of Information Theory, 2nd ed., 2.10 and 7.9).

Over block Rayleigh fading both are averaged over |h|^2 ~ Exp(1), which the receiver knows for nothing: with estimated
channels they are the same bounds, and less close.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import simpson
from scipy.stats import norm

from common.phy.decibel import from_db
from training.systems.bench import Bench
from training.systems.system import Measured, Place, System

Floats = NDArray[np.float64]

REACH, STEP = 9.0, 0.05
"""Of the integral over x: so many deviations to either side, in such steps (its error is below 1e-12)."""
SURE_SHIFT = 24.0
"""s from which on words are told right with all digits of a float."""


def told_right_at(shift: Floats, labels: int) -> Floats:
    """P for each s, float64 [K] -> 0..1 [K]."""
    around = np.arange(-REACH, REACH + STEP / 2, STEP)
    below = norm.cdf(around + shift[:, None]) ** (labels - 1)
    found: Floats = (norm.pdf(around) * below).sum(-1) * STEP
    return np.minimum(found, 1.0)


def told_right(snr_db: float, uses: int, labels: int) -> float:
    """P (0..1) of maximum likelihood on AWGN, coherent; whether or not the words fit into `uses`."""
    return float(told_right_at(np.array([_shift(snr_db, uses, labels)]), labels)[0])


def told_right_faded(snr_db: float, uses: int, labels: int) -> float:
    """The same averaged over |h|^2 ~ Exp(1): with r = s |h|, 1 - P is the integral of 2 r/s^2 exp(-r^2/s^2) (1 - P(r)).

    1 - P(r) is 0 to all digits from SURE_SHIFT on.
    """
    shift = _shift(snr_db, uses, labels)
    r = np.linspace(0.0, SURE_SHIFT, 2401)
    wrong = 2.0 * r / shift**2 * np.exp(-((r / shift) ** 2)) * (1.0 - told_right_at(r, labels))
    return 1.0 - float(simpson(wrong, x=r))


def most_right(bits: Floats, entropy: float, labels: int) -> Floats:
    """Fano: the largest share of right answers that so many bits about the label allow, float64 [K] -> [K]."""
    low, high = np.zeros_like(bits), np.full_like(bits, 1.0 - 1.0 / labels)
    for _ in range(60):
        middle = (low + high) / 2
        enough = _confusion(middle, labels) >= entropy - bits
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(bits >= entropy, 1.0, 1.0 - high)


def most_right_faded(snr_db: float, uses: int, entropy: float, labels: int) -> float:
    """The same for n uses, averaged over |h|^2 ~ Exp(1): from some gain on everything gets through."""
    snr = from_db(snr_db)
    enough = (2.0 ** (entropy / uses) - 1.0) / snr
    gain = np.linspace(0.0, min(enough, 40.0), 2001)
    share = most_right(uses * np.log2(1.0 + gain * snr), entropy, labels)
    return float(simpson(np.exp(-gain) * share, x=gain) + np.exp(-gain[-1]))


def _shift(snr_db: float, uses: int, labels: int) -> float:
    return float(np.sqrt(2.0 * uses * from_db(snr_db) * labels / (labels - 1)))


def _confusion(wrong: Floats, labels: int) -> Floats:
    """h(e) + e log2(C - 1), in bits."""
    e = np.clip(wrong, 1e-300, 1.0 - 1e-16)
    found: Floats = -e * np.log2(e) - (1 - e) * np.log2(1 - e) + e * np.log2(labels - 1)
    return found


class SimplexBound(System):
    """The transmitter's own decision in a simplex, all uses for the word; where it was wrong, errors may set it right.

    right: for each image the probability, so nothing is drawn.
    """

    name = "simplex-bound"

    def __init__(self, bench: Bench, name: str = name) -> None:
        self.bench, self.name = bench, name

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """See `System`."""
        labels = len(self.bench.classes)
        told = {"awgn": told_right, "block-rayleigh": told_right_faded}[place.channel](place.snr_db, place.n, labels)
        own = self.bench.tx_decided() == self.bench.labels
        return Measured(np.where(own, told, (1.0 - told) / (labels - 1)), float(place.n))

    @property
    def tx_accuracy(self) -> float:
        """See `System`."""
        return self.bench.tx_accuracy

    @property
    def macs(self) -> float:
        """See `System`."""
        return float(self.bench.encoder_cost[1])

    @property
    def about(self) -> dict[str, Any]:
        """See `System`."""
        return {"assumes": "channel known for nothing, no pilots; a bound where 2 n < C - 1", "tuning": "none"}


class FanoBound(System):
    """What no system can pass, whatever it knows at the transmitter: nobody's accuracy without noise is in it."""

    name = "fano-bound"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """See `System`."""
        count = len(self.bench.classes)
        share = np.bincount(self.bench.labels, minlength=count) / len(self.bench.labels)
        entropy = float(-(share[share > 0] * np.log2(share[share > 0])).sum())
        if place.channel == "awgn":
            bits = place.n * np.log2(1.0 + np.array([from_db(place.snr_db)]))
            right = float(most_right(bits, entropy, count)[0])
        else:
            right = most_right_faded(place.snr_db, place.n, entropy, count)
        return Measured(np.full(len(self.bench.labels), right), float(place.n))

    @property
    def about(self) -> dict[str, Any]:
        """See `System`."""
        return {"assumes": "a classifier that is always right, codes of any length, channel known", "tuning": "none"}
