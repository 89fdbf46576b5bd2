"""Whether the channel is the one that the numbers name: noise as defined, a gain for each packet, nothing renormalised.

Knows nothing about codecs but how many symbols they send. With a channel that is known, an equalised symbol is
x g/(1 + g) plus noise of variance g/(1 + g)^2, where g = |h|^2/N0; so g and the noise can be told apart.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.phy.decibel import from_db
from scrx.demodulation.demodulate import SoftBatch
from training.auditing.chance import KOLMOGOROV, distance
from training.auditing.finding import Finding, at_most, by_chance, near
from training.auditing.subject import NOTHING_DB, Subject
from training.systems.carry import Way
from training.systems.system import Place

FRAMES = 512
SNRS_DB = (-6.0, 0.0, 10.0)
STEPS_DB = (20.0, 8.0, 2.0, -4.0, -10.0)
ESTIMATE_DB, ESTIMATE_SHARE = 2.0, 0.25
SIGMAS = 4.0
"""Standard errors within which chance keeps, one time in sixteen thousand apart."""


def noise(subject: Subject) -> Iterator[Finding]:
    """N0 = 1/SNR for symbols of unit power, whatever is sent."""
    x = _symbols(subject, 0)
    sigma = SIGMAS / np.sqrt(x.size)
    for snr_db in SNRS_DB:
        soft = _heard(subject, x, "awgn", snr_db)
        g = soft.gamma.astype(np.float64) * from_db(-snr_db)
        yield at_most(f"SNR told, {snr_db:g} dB", float(np.abs(g - 1.0).max()), 1e-3, "the receiver's, less 1/N0")
        power = np.square(np.abs(_noise_of(soft, x)))
        yield near(f"noise power, {snr_db:g} dB", float(power.mean()), 1.0, sigma, "measured, in units of N0")
    yield from _gaussian(_noise_of(soft, x), sigma)
    other = _symbols(subject, 1)
    heard = [_heard(subject, one, "block-rayleigh", 0.0) for one in (x, 2.0 * other)]
    g0 = heard[0].gamma
    apart = heard[0].symbols - heard[1].symbols - (x - 2.0 * other) * g0 / (1 + g0)
    yield at_most("linear", float(np.abs(apart).max()), 1e-3, "what another signal does to gain and noise")
    few = _heard(subject, x[: FRAMES // 4], "block-rayleigh", 0.0)
    later = np.abs(few.symbols - heard[0].symbols[: FRAMES // 4]).max()
    yield at_most("causal", float(later), 1e-6, "what frames that come later change")


def _gaussian(noise: NDArray[np.complex128], sigma: float) -> Iterator[Finding]:
    """Noise in units of sqrt(N0), complex128 [N, S]: its power is exponential, and no part of it is like another."""
    power = np.sort(np.square(np.abs(noise)).ravel())
    fit = distance(power, 1.0 - np.exp(-power))
    yield at_most("noise is Gaussian", fit, KOLMOGOROV, "distance of its power from its distribution, exponential")
    pairs = {"frame": (noise[1:], noise[:-1].conj()), "symbol": (noise[:, 1:], noise[:, :-1].conj())}
    alike = max([abs(np.mean(one * other)) for one, other in pairs.values() if one.size] + [abs(np.mean(noise**2))])
    yield at_most(
        "noise of its own", float(alike), sigma, "correlation with the next frame's, symbol's, or its conjugate"
    )


def fades(subject: Subject) -> Iterator[Finding]:
    """Block Rayleigh: each frame has an h of its own with E|h|^2 = 1, and fades are not made good again."""
    x, snr_db = _symbols(subject, 2), 10.0
    soft = _heard(subject, x, "block-rayleigh", snr_db)
    within = float((soft.gamma.max(-1) / soft.gamma.min(-1)).max()) - 1.0
    yield at_most("one h in a frame", within, 1e-3, "by how much the SNR changes within one, by its least")
    g = soft.gamma[:, 0].astype(np.float64)
    gain = np.sort(g * from_db(-snr_db))
    fit = distance(gain, 1.0 - np.exp(-gain))
    yield at_most(
        "received power fades", fit, KOLMOGOROV, "distance of |h|^2 from its distribution, exponential of mean 1"
    )
    yield near("mean gain", float(gain.mean()), 1.0, SIGMAS / np.sqrt(len(g)), "E|h|^2")
    near_by = float(np.corrcoef(g[1:], g[:-1])[0, 1]) if g.std() > 1e-6 * g.mean() else 1.0
    yield at_most(
        "h for each frame", abs(near_by), SIGMAS / np.sqrt(len(g)), "correlation of |h|^2 with the next frame's"
    )
    left, order = np.square(np.abs(_noise_of(soft, x))).mean(-1), np.argsort(g, kind="stable")
    for name, rows in (("faded", order[: len(g) // 2]), ("strong", order[len(g) // 2 :])):
        sigma = SIGMAS / np.sqrt(len(rows) * x.shape[1])
        yield near(f"noise of {name} frames", float(left[rows].mean()), 1.0, sigma, "measured, in units of N0")


def falls(subject: Subject) -> Iterator[Finding]:
    """Answers get no better as SNR falls, and know nothing where there is nothing but noise."""
    right = [
        (subject.decode(subject.over(subject.symbols, snr_db)) == subject.labels).astype(float) for snr_db in STEPS_DB
    ]
    worst, allowed = 0.0, 0.0
    for higher, lower in pairwise(right):
        gained = lower - higher
        error = SIGMAS * float(gained.std()) / np.sqrt(len(gained))
        if gained.mean() - error > worst - allowed:
            worst, allowed = float(gained.mean()), error
    yield at_most(
        "accuracy falls with SNR",
        worst,
        round(allowed, 4),
        f"gained at a step down, {STEPS_DB[0]:g} to {STEPS_DB[-1]:g} dB",
    )
    yield by_chance("fades tell nothing", subject.out_of_noise("block-rayleigh"), f"answers at {NOTHING_DB:g} dB")


def estimates(subject: Subject) -> Iterator[Finding]:
    """The receiver's SNR of each frame from pilots follows that of the frame, and not another's."""
    if not subject.pilots:
        return
    x, snr_db = _symbols(subject, 3), 10.0
    way, n = Way(subject.codec, subject.pilots), subject.codec.symbols + subject.pilots
    true, soft = (
        subject.hear(way, x, Place("block-rayleigh", csi, n, snr_db), 0, 0) for csi in ("perfect", "estimated")
    )
    clear, g = true.gamma[:, 0] > 1.0, soft.gamma[:, 0].astype(np.float64)
    apart = np.abs(10.0 * np.log10(g[clear] / true.gamma[clear, 0]))
    yield at_most(
        "SNR estimated", float(np.median(apart)), ESTIMATE_DB, "dB from the truth, half of the frames above 0 dB"
    )
    error = np.square(np.abs(soft.symbols - x)).mean(-1) * (1.0 + g)
    weak = float(error[np.argsort(g, kind="stable")[: len(g) // 2]].mean())
    yield near("error of faded frames", weak, 1.0, ESTIMATE_SHARE, "of equalised symbols, in units of 1/(1 + SNR)")


def _symbols(subject: Subject, seed: int) -> NDArray[np.complex64]:
    """QPSK of unit power: complex64 [FRAMES, S]."""
    turns = np.random.default_rng(seed).integers(0, 4, (FRAMES, subject.codec.symbols))
    made: NDArray[np.complex64] = np.exp(0.5j * np.pi * (turns + 0.5)).astype(np.complex64)
    return made


def _heard(subject: Subject, x: NDArray[np.complex64], channel: str, snr_db: float) -> SoftBatch:
    place = Place(channel, "perfect", subject.codec.symbols, snr_db)
    return subject.hear(Way(subject.codec, 0), x, place, 0, 0)


def _noise_of(soft: SoftBatch, x: NDArray[np.complex64]) -> NDArray[np.complex128]:
    """Noise over sqrt(N0), complex128 [N, S]: what is left of x^ without x g/(1 + g), over sqrt(g)/(1 + g)."""
    g = soft.gamma.astype(np.float64)
    left = soft.symbols.astype(np.complex128) * (1 + g) - x * g
    noise: NDArray[Any] = left / np.sqrt(np.maximum(g, 1e-30))
    return noise
