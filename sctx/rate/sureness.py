"""What the answer to a word says of the SNR at which the word arrived: the chance of just such an answer at each SNR.

    wrong     the answer is another than the word stands for
    sure      it is that one, and the receiver gave the word less than 0.5; or 0.5 to 0.9; and so on, by SURE

Transmitter and receiver know the same words, so these chances follow from drawing noise, once for each length. Whether
the answer is the word's is what acknowledgements tell an outer loop (Sampath, Kumar and Holtzman, VTC 1997); how sure
the receiver was tells more, and before anything goes wrong. Knows nothing about reports.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.phy.words import Words

Doubles = NDArray[np.float64]
GRID_DB = np.arange(-20.0, 31.0, 2.0)
SURE = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
DRAWS, MOST, FEWEST = 500, 100_000, 50
"""Words that are drawn at each SNR; fewer where that makes more than MOST posteriors, but FEWEST at least."""
ODD = 0.01
"""Share of answers that may say anything, so that no answer rules out an SNR."""


class Sureness:
    """Of one pair. words: what its decisions are sent as; shares: P(class | decision), float32 [C, C], by which the
    receiver answers, None where they are not known; pilots: of a frame."""

    def __init__(self, words: Words, shares: NDArray[np.float32] | None, pilots: int) -> None:
        self._words, self._pilots = words, pilots
        self._answers = np.arange(len(words.corners)) if shares is None else shares.argmax(-1)
        self._most = None if shares is None else shares.max(-1)
        self._known: dict[int, Doubles] = {}

    def chance(self, said: int, count: int, output: Any) -> Doubles | None:
        """Of this answer at each SNR of GRID_DB, float64 [2, G]: to be right, or wrong, as it is; and then of the
        receiver to be as sure as it is, 1 where it is wrong or says nothing of that. None where it names no class.

        said: the decision; count: symbols of its word that were sent; output: what `classify` answered, from outside.
        """
        index = output.get("index") if isinstance(output, dict) else None
        if type(index) is not int:
            return None
        chances, confidence = self.chances(count), output.get("confidence")
        wrong, none = chances[0], np.ones(len(GRID_DB))
        if index != self._answers[said]:
            return np.stack((wrong, none))
        if self._most is None or not isinstance(confidence, float) or math.isnan(confidence):
            return np.stack((1.0 - wrong, none))
        kind = 1 + int(np.searchsorted(SURE, min(max(confidence, 0.0), 1.0) / self._most[said], side="right"))
        return np.stack((1.0 - wrong, chances[kind] / (1.0 - wrong)))

    def chances(self, count: int) -> Doubles:
        """Of wrong and each kind of sure, ascending, on words of `count` symbols: float64 [2 + len(SURE), G]."""
        if count not in self._known:
            corners = np.ascontiguousarray(self._words.corners[:, :count])
            self._known[count] = draw(corners.tobytes(), corners.shape, self._pilots)
        return self._known[count]


@lru_cache(maxsize=128)
def draw(corners: bytes, shape: tuple[int, int], pilots: int) -> Doubles:
    """The chances of words of these corners, uint8 of this shape, not to be written to: h = 1, and h^ = h + e with
    Var(e) = N0/P; heard as a receiver hears it. Kept, for whoever opens several transmitters of one pair."""
    words, (classes, count) = Words(np.frombuffer(corners, np.uint8).reshape(shape)), shape
    rng = np.random.default_rng(count)
    draws = min(max(MOST // classes, FEWEST), DRAWS)
    said = rng.integers(0, classes, draws)
    drawn = rng.standard_normal((draws, 2 * (1 + count)), np.float32).view(np.complex64) * np.float32(0.5**0.5)
    known, came = np.full(draws, pilots, np.float32), np.ones((draws, count), np.bool_)
    found = np.zeros((2 + len(SURE), len(GRID_DB)))
    for g, n0 in enumerate((10 ** (-GRID_DB / 10)).astype(np.float32)):
        noise = np.sqrt(n0) * drawn
        gain = 1 + noise[:, :1] / np.float32(math.sqrt(pilots))
        gamma = np.repeat(np.abs(gain) ** 2 / (n0 * np.float32(1 + 1 / pilots)), count, axis=1)
        heard = (words.points[said] + noise[:, 1:]) / gain / (1 + 1 / gamma)
        log = words.likelihood(heard, gamma, came, known)
        sure = 1 / np.exp(log - log.max(-1, keepdims=True)).sum(-1)
        kind = np.where(log.argmax(-1) == said, 1 + np.searchsorted(SURE, sure, side="right"), 0)
        found[:, g] = np.bincount(kind, minlength=len(found))
    found += 0.5
    chances: Doubles = (1 - ODD) * found / found.sum(0) + ODD / len(found)
    chances.setflags(write=False)
    return chances
