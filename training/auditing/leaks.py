"""Whether answers come by the symbols alone: nothing of the label in their power, in memory, in the image's bytes.

Knows nothing about networks.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.auditing.finding import Finding, at_most, by_chance, thirds
from training.auditing.subject import CLEAR_DB, NOTHING_DB, Subject

POWER_ERROR = 0.01
"""As the transmitter's own limit (`sctx/pipeline.py`)."""
SILENT = 1e-6
GREY_SHARE = 0.02
TOLD_DB = (math.nan, -10.0, 20.0)
"""What a transmitter may hear: nothing, and the ends of the range."""


def power(subject: Subject) -> Iterator[Finding]:
    """Unit mean power of each image's symbols by itself, and nothing told by what is left of its variation."""
    farthest = 0.0
    for told_db in TOLD_DB:
        sent = np.asarray(subject.codec.encode_told(subject.images.copy(), told_db))
        farthest = max(farthest, float(np.abs(_squares(sent).mean(-1) - 1.0).max()))
    squares = _squares(subject.symbols)
    mean = squares.mean(-1)
    farthest = max(farthest, float(np.abs(mean - 1.0).max()))
    yield at_most("power of each image", farthest, POWER_ERROR, "the farthest from 1, whatever SNR is told")
    silent = (squares < SILENT).sum(-1)
    peak = 10.0 * np.log10(max(float(squares.max()), 1e-30))
    yield Finding("peak power", True, peak, "told only", "dB above the mean, of the strongest symbol")
    yield by_chance("label by power", thirds(np.round(mean, 4), subject.labels), "powers")
    yield by_chance("label by silence", thirds(silent, subject.labels), "numbers of silent symbols")


def by_symbols_alone(subject: Subject) -> Iterator[Finding]:
    """Answers follow symbols, not images: other symbols are other answers, noise is chance, a grey level is nothing."""
    orders = [np.random.default_rng(seed).permutation(len(subject.labels)) for seed in range(3)]
    subject.encode(subject.images)  # so that whoever remembers, remembers these
    swapped = ((subject.decode(subject.received, order), subject.labels) for order in orders)
    yield by_chance("label of the image before", swapped, "answers to the symbols of other images")
    subject.encode(subject.images)
    yield by_chance("label out of noise", subject.out_of_noise("awgn"), f"answers at {NOTHING_DB:g} dB")
    yield _by_one_grey_level(subject)


def _by_one_grey_level(subject: Subject) -> Finding:
    """An image that nobody has seen before, although any eye would say so, is answered as well as one of the test."""
    random, images = np.random.default_rng(4), subject.images.copy()
    flat = images.reshape(len(images), -1)
    rows, places = np.arange(len(images)), random.integers(0, flat.shape[1], len(images))
    flat[rows, places] ^= 1
    right = [
        subject.decode(subject.over(subject.encode(one), CLEAR_DB)) == subject.labels
        for one in (subject.images, images)
    ]
    lost = right[0].astype(float) - right[1]
    allowed = GREY_SHARE + 3.0 * float(lost.std()) / np.sqrt(len(lost))
    return at_most(
        "unseen images", float(lost.mean()), round(allowed, 4), "accuracy lost by one grey level in one pixel"
    )


def _squares(symbols: NDArray[Any]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.square(np.abs(symbols.astype(np.complex128)))
    return squares
