"""What a head says of a received picture: the nearest class, how sure that is, or that it is none of them.

Knows nothing about sockets, sessions or files. The mathematics is that of `space.py`.
"""

import numpy as np
from numpy.typing import NDArray

from common.record import record
from scrx.heads.head import Head
from scrx.heads.space import Floats, Space

NEAREST = 3
"""Stored pictures that an answer names."""


@record
class Scores:
    """Of B pictures among C classes. likely: log p(u | class), float64 [B, C]; stranger: the same of a class that
    nobody enrolled, float64 [B]; bins: int64 [B]; whitened: float32 [B, E]."""

    likely: NDArray[np.float64]
    stranger: NDArray[np.float64]
    bins: NDArray[np.int64]
    whitened: Floats


class Judge:
    """A head with all that does not depend on the picture computed. Never changed: another head is another judge."""

    def __init__(self, head: Head, space: Space, unknown: float) -> None:
        """unknown: share of the pictures of enrolled classes that may be called unknown, 0 to 1; 0: none ever is."""
        self.head, self._space, self._unknown = head, space, unknown
        bins, self._counts = space.bins(head.bits), head.counts
        self._stored, self._noise = space.whiten(head.embedding, bins), space.noise[bins]
        self._owner = np.repeat(np.arange(len(self._counts)), self._counts)
        self._means = means_of(self._stored, self._noise, self._owner, len(self._counts))
        self._shift = own_shift(space, self._stored, bins, self._owner, self._counts, unknown) if unknown else 0.0
        groups = [one.group for one in head.classes]
        self._groups = list(dict.fromkeys(group for group in groups if group))
        self._member = np.array([[group == one for one in self._groups] for group in groups], np.float64)

    def scores(self, embedding: Floats, bits: Floats) -> Scores:
        """embedding: float32 [B, E]; bits: float32 [B], as of `bits_of`."""
        bins = self._space.bins(bits)
        u = self._space.whiten(embedding, bins)
        likely, stranger = log_likelihoods(u, self._means, self._space.noise[bins], self._space.tail[bins])
        return Scores(likely, stranger, bins, u)

    def answers(self, embedding: Floats, bits: Floats) -> list[dict[str, object]]:
        """An answer for each row, as JSON has it; embedding, bits: as of `scores`.

        name: None where it is unknown; likeliest: the class that is nearest all the same; confidence: chance of that;
        group, group_confidence: the same among groups, where there are any; nearest: stored pictures, the nearest
        first, whose distance is 1 where it is that of two pictures of one class in the mean.
        """
        scores = self.scores(embedding, bits)
        best = scores.likely.argmax(1)
        rows = np.arange(len(best))
        chances = posterior(scores.likely, scores.stranger, self._space.temperature[scores.bins])
        unknown = np.zeros(len(best), np.bool_)
        if self._unknown:
            least = self._space.limit(scores.bins, self._counts[best], self._unknown) + self._shift
            unknown = scores.likely[rows, best] - scores.stranger < least
        near = self._nearest(scores)
        return [self._told(int(best[row]), chances[row], bool(unknown[row]), near[row]) for row in rows]

    def _told(
        self, best: int, chances: NDArray[np.float64], unknown: bool, near: list[dict[str, object]]
    ) -> dict[str, object]:
        name = self.head.classes[best].name
        told: dict[str, object] = {
            "name": None if unknown else name, "likeliest": name, "confidence": round(float(chances[best]), 4),
        }  # fmt: skip
        if self._groups:
            shares = chances[:-1] @ self._member
            top = int(shares.argmax())
            told |= {"group": None if unknown else self._groups[top], "group_confidence": round(float(shares[top]), 4)}
        return told | {"nearest": near}

    def _nearest(self, scores: Scores) -> list[list[dict[str, object]]]:
        """The nearest stored pictures of each row."""
        u = scores.whitened
        squares = (self._stored**2).sum(1) - 2.0 * (u @ self._stored.T) + (u**2).sum(1)[:, None]
        apart = squares / (self._space.wide * (self._noise + self._space.noise[scores.bins][:, None]))
        order = np.argsort(apart, axis=1, kind="stable")[:, :NEAREST].tolist()
        return [[self._picture(one, float(apart[row, one])) for one in chosen] for row, chosen in enumerate(order)]

    def _picture(self, row: int, square: float) -> dict[str, object]:
        about = self.head.about
        return {
            "name": self.head.classes[int(self._owner[row])].name, "session": about.sessions[row],
            "seq": about.seqs[row], "distance": round(max(square, 0.0) ** 0.5, 3),
        }  # fmt: skip


@record
class Means:
    """What examples say of C classes. mean: float64 [C, E]; spread: float64 [C], variance of each number of it."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def means_of(u: Floats, noise: Floats, owner: NDArray[np.int64], classes: int) -> Means:
    """u: of the examples, float32 [N, E]; noise: of their bins, float32 [N]; owner: class of each, int64 [N]."""
    precision = 1.0 / noise.astype(np.float64)
    total, sums = np.ones(classes), np.zeros((classes, u.shape[1]))
    np.add.at(total, owner, precision)
    np.add.at(sums, owner, precision[:, None] * u)
    return Means(sums / total[:, None], 1.0 / total)


def own_shift(
    space: Space, u: Floats, bins: NDArray[np.int64], owner: NDArray[np.int64], counts: NDArray[np.int64], rate: float
) -> float:
    """How far a space's limits lie from those of these classes, by their own examples, each judged without itself.

    u: of the examples, float32 [N, E]; bins, owner: of each, int64 [N]; counts: examples of each class, int64 [C].
    Conformal prediction (Vovk et al. 2005): from 1/rate examples on a share `rate` of further pictures is below, for
    any classes, also those that differ more than the ones that the encoder was trained on; with fewer examples limits
    only fall. Where no class has two, nothing is known of that: -inf, and nothing is unknown.
    """
    noise = space.noise[bins].astype(np.float64)
    all_of = means_of(u, space.noise[bins], owner, len(counts))
    likely, stranger = log_likelihoods(u, all_of, space.noise[bins], space.tail[bins])
    rows = np.arange(len(u))
    left = 1.0 / all_of.spread[owner] - 1.0 / noise
    alone = Means((all_of.mean[owner] / all_of.spread[owner][:, None] - u / noise[:, None]) / left[:, None], 1.0 / left)
    squares = ((u - alone.mean) ** 2).sum(1)
    likely[rows, owner] = _log_t(squares, noise + alone.spread, space.tail[bins].astype(np.float64), u.shape[1])
    others = counts[owner] > 1
    if not others.any():
        return -np.inf
    best = likely.argmax(1)
    found = np.sort((likely[rows, best] - stranger - space.limit(bins, counts[best], rate))[others])
    place = int(rate * (len(found) + 1))
    return float(found[place - 1]) if place else min(float(found[0]), 0.0)


def log_likelihoods(
    u: Floats, means: Means, noise: Floats, tail: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """u: float32 [B, E]; noise, tail: of their bins, float32 [B].

    log p(u | class), float64 [B, C], and that of a class that nobody enrolled, float64 [B]; both but for a constant.
    """
    u, row, dof = u.astype(np.float64), noise.astype(np.float64)[:, None], tail.astype(np.float64)[:, None]
    power = (u**2).sum(1)[:, None]
    squares = power - 2.0 * (u @ means.mean.T) + (means.mean**2).sum(1)
    likely = _log_t(np.maximum(squares, 0.0), row + means.spread, dof, u.shape[1])
    return likely, _log_t(power, row + 1.0, dof, u.shape[1])[:, 0]


def _log_t(
    squares: NDArray[np.float64], scale: NDArray[np.float64], dof: NDArray[np.float64], wide: int
) -> NDArray[np.float64]:
    """Student's density of `wide` numbers, but for what `dof` and `wide` alone decide."""
    found: NDArray[np.float64] = -0.5 * (dof + wide) * np.log1p(squares / (dof * scale)) - 0.5 * wide * np.log(scale)
    return found


def posterior(likely: NDArray[np.float64], stranger: NDArray[np.float64], temperature: Floats) -> NDArray[np.float64]:
    """likely: float64 [B, C]; stranger: float64 [B]; temperature: float32 [B] -> chances of the C classes and, last, of
    none of them, float64 [B, C + 1]: all as likely before."""
    scaled = np.column_stack((likely, stranger)) / temperature[:, None]
    chances = np.exp(scaled - scaled.max(1, keepdims=True))
    shares: NDArray[np.float64] = chances / chances.sum(1, keepdims=True)
    return shares
