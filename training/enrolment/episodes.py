"""How often classes that are enrolled from a few pictures are told apart, over draws of those pictures.

Knows nothing about where embeddings come from: a link, or a transmitter's own features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from scrx.heads.judging import Means, log_likelihoods, means_of, own_shift, posterior
from scrx.heads.space import Space
from training.enrolment.heard import Heard
from training.enrolment.whitening import draw_examples


@dataclass(frozen=True, slots=True)
class Told:
    """Over draws of examples: mean accuracy, 0 to 1, and the ends of what 95 of 100 draws have."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Strangers:
    """Half of the classes are enrolled, the other half are strangers. Shares, 0 to 1.

    stated, unknown: of the pictures of enrolled classes that are called unknown, as said and as measured; found: of the
    strangers' pictures; sure, right: mean confidence of the likeliest class over all pictures, and how often it is
    the right one.
    """

    stated: float
    unknown: float
    found: float
    sure: float
    right: float


class Episodes:
    """Examples are drawn of `shown`, and pictures of `asked` are asked about: other pictures of the same classes."""

    def __init__(self, space: Space, shown: Heard, asked: Heard, draws: int, seed: int) -> None:
        self._space, self._draws, self._seed = space, draws, seed
        self.classes = np.unique(asked.label)
        self._pools = [np.flatnonzero(shown.label == one) for one in self.classes]
        if len(self.classes) < 2 or min(map(len, self._pools)) < 1:
            raise DataError("two classes, each with a picture to enrol it from, are the least")
        self._label = np.searchsorted(self.classes, asked.label)
        bins = space.bins(asked.bits)
        self._bins, self._u = bins, space.whiten(asked.embedding, bins)
        self._noise, self._tail = space.noise[bins], space.tail[bins]
        self._shown_bins = space.bins(shown.bits)
        self._shown = space.whiten(shown.embedding, self._shown_bins)

    def accuracy(self, count: int) -> Told:
        """All classes enrolled from `count` pictures each, all pictures asked about."""
        random, right = np.random.default_rng(self._seed), []
        for _ in range(self._draws):
            means, _ = self._enrolled(list(range(len(self.classes))), count, random, 0.0)
            likely, _ = log_likelihoods(self._u, means, self._noise, self._tail)
            right.append(float((likely.argmax(1) == self._label).mean()))
        low, high = np.quantile(right, (0.025, 0.975))
        return Told(float(np.mean(right)), float(low), float(high))

    def strangers(self, count: int, stated: float) -> Strangers:
        """Half of the classes, drawn anew each time, are enrolled from `count` pictures each."""
        random, rows = np.random.default_rng(self._seed), []
        for _ in range(self._draws):
            known = random.permutation(len(self.classes))[: len(self.classes) // 2].tolist()
            means, shift = self._enrolled(known, count, random, stated)
            likely, stranger = log_likelihoods(self._u, means, self._noise, self._tail)
            best = likely.argmax(1)
            limit = self._space.limit(self._bins, np.full(len(best), count), stated) + shift
            unknown = likely[np.arange(len(best)), best] - stranger < limit
            chances = posterior(likely, stranger, self._space.temperature[self._bins])[np.arange(len(best)), best]
            ours = np.isin(self._label, known)
            right = np.array(known)[best] == self._label
            rows.append((unknown[ours].mean(), unknown[~ours].mean(), chances.mean(), right.mean()))
        found = np.mean(rows, 0).tolist()
        return Strangers(stated, found[0], found[1], found[2], found[3])

    def _enrolled(
        self, known: list[int], count: int, random: np.random.Generator, stated: float
    ) -> tuple[Means, float]:
        drawn = [draw_examples(self._pools[one], count, random) for one in known]
        counts = np.array([len(one) for one in drawn])
        owner, rows = np.repeat(np.arange(len(known)), counts), np.concatenate(drawn)
        u, bins = self._shown[rows], self._shown_bins[rows]
        shift = own_shift(self._space, u, bins, owner, counts, stated) if stated else 0.0
        return means_of(u, self._space.noise[bins], owner, len(known)), shift


def rows_of(embedding: NDArray[np.float32], label: NDArray[np.int64]) -> Heard:
    """What needs no channel: every row as good as the other."""
    return Heard(embedding, np.zeros(len(label), np.float32), np.arange(len(label)), label)
