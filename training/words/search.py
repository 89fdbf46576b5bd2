"""Search for words of which every prefix is a good code. Knows nothing about features or channels."""

import numpy as np
from numpy.typing import NDArray

from common.phy.words import CORNERS

SWEEPS = 4


def search_words(classes: int, symbols: int, seed: int = 0, tries: int = 64) -> NDArray[np.uint8]:
    """Corners, uint8 [C, S], symbol by symbol: each is the one that takes most off the union bound of the prefix.

    The bound, the sum over pairs of exp(-E d^2 / 4) with d^2 of a word of unit energy, is taken at E = 8 + 2 ln C, the
    energy over N0 at which so many words begin to be told apart. For each symbol the best of `tries` starts, each of
    which is improved class by class.
    """
    rng = np.random.default_rng(seed)
    apart = np.abs(CORNERS[:, None] - CORNERS[None]).astype(np.float64) ** 2
    distance = np.zeros((classes, classes))
    found = np.zeros((classes, symbols), np.uint8)
    for s in range(symbols):
        energy = (8 + 2 * np.log(classes)) / (s + 1)
        weight, kept = np.exp(-distance * energy / 4), np.exp(-apart * energy / 4)
        np.fill_diagonal(weight, 0.0)
        best = np.inf
        for _ in range(tries):
            chosen = rng.permutation(np.arange(classes) % len(CORNERS))
            for c in rng.permutation(np.tile(np.arange(classes), SWEEPS)).tolist():
                chosen[c] = (weight[c] @ kept[chosen]).argmin()
            bound = float((weight * kept[chosen][:, chosen]).sum())
            if bound < best:
                best, found[:, s] = bound, chosen
        distance += apart[found[:, s]][:, found[:, s]]
    return found
