"""How often words arrive, and what an arrived word is worth: by drawing noise, on validation images. numpy only.

Knows nothing about networks, features or files.
"""

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from common.pair.shapes import Accuracy, WordTable
from common.phy.decibel import from_db
from common.phy.layout import Layout
from common.phy.words import Words

GRID_DB = tuple(float(snr) for snr in range(-20, 31, 2))
DRAWS, PART = 20_000, 500
"""Images whose word is sent at each SNR; so many at a time."""
STRENGTH = 10.0
"""Images that the common share of right decisions counts as beside a class's own."""
Doubles = NDArray[np.float64]


def class_shares(decided: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """P(class | decision), float32 [C, C]: of validation images, drawn towards the share that is right over all.

    By it a receiver answers with a confidence that is right as often as it says.
    """
    right = float((decided == labels).mean())
    common = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(common, right)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (decided, labels), 1)
    shares = counts + STRENGTH * common
    made: NDArray[np.float32] = (shares / shares.sum(1, keepdims=True)).astype(np.float32)
    return made


def tables(
    words: Words, layout: Layout, decided: NDArray[np.int64], labels: NDArray[np.int64], shares: NDArray[np.float32],
    seed: int,
) -> tuple[WordTable, Accuracy]:  # fmt: skip
    """P(word right) for each length, and accuracy of each rate where all symbols are the word's; estimated CSI.

    h^ is off by N0/P, once for all of a frame, and heard as a receiver hears it (`Words.likelihood`). A fixed
    instantaneous SNR is all that tables need: under fading the controller averages over it.
    """
    rng, answer = np.random.default_rng(seed), shares.argmax(1)
    points, symbols = words.points, layout.max_symbols
    right, hits = np.zeros((len(GRID_DB), symbols)), np.zeros((len(GRID_DB), symbols))
    for row, snr_db in enumerate(GRID_DB):
        deviation = np.sqrt(0.5 / from_db(snr_db))
        for _ in range(DRAWS // PART):
            drawn = rng.integers(0, len(decided), PART)
            noise = deviation * (rng.standard_normal((PART, 1 + symbols, 2)) @ (1, 1j))
            gain = 1 + noise[:, :1] / np.sqrt(layout.pilots)
            heard = (points[decided[drawn]] + noise[:, 1:]) / gain
            guessed = np.stack([metric.argmax(-1) for metric in _metrics(heard, points, layout.pilots)], -1)
            right[row] += (guessed == decided[drawn][:, None]).sum(0)
            hits[row] += (answer[guessed] == labels[drawn][:, None]).sum(0)
    drawn_all = DRAWS // PART * PART
    table = WordTable(GRID_DB, tuple(monotone(column) for column in (right / drawn_all).T))
    rates = np.array(layout.rates) - 1
    clean = round(float((answer[decided] == labels).mean()), 5)
    return table, Accuracy(GRID_DB, tuple(monotone(column) for column in (hits / drawn_all).T[rates]), clean)


def _metrics(heard: NDArray[np.complex128], points: NDArray[np.complex64], pilots: int) -> Iterator[Doubles]:
    """Of every word after each symbol, but for a factor: S arrays, float64 [B, C]. heard: y / h^, [B, S]."""
    steps = (heard[:, s, None] * points[:, s].conj() for s in range(heard.shape[1]))
    for count, s in enumerate(accumulate(steps), 1):
        yield 2 * s.real + np.abs(s - count) ** 2 / (pilots + count)


def monotone(column: Doubles) -> tuple[float, ...]:
    """What chance makes fall with SNR does not: the running maximum."""
    return tuple(round(float(value), 5) for value in np.maximum.accumulate(column))
