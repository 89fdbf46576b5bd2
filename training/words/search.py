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
    every = np.arange(tries)
    for s in range(symbols):
        energy = (8 + 2 * np.log(classes)) / (s + 1)
        weight, kept = np.exp(-distance * energy / 4), np.exp(-apart * energy / 4)
        np.fill_diagonal(weight, 0.0)
        chosen, order = np.empty((tries, classes), np.int64), np.empty((tries, classes * SWEEPS), np.int64)
        for one in range(tries):
            chosen[one] = rng.permutation(np.arange(classes) % len(CORNERS))
            order[one] = rng.permutation(np.tile(np.arange(classes), SWEEPS))
        for c in order.T:  # one class of each start at a time: none of them sees the others
            chosen[every, c] = (weight[c][:, None] @ kept[chosen])[:, 0].argmin(-1)
        bounds = [float((weight * kept[one][:, one]).sum()) for one in chosen]
        found[:, s] = chosen[int(np.argmin(bounds))]
        distance += apart[found[:, s]][:, found[:, s]]
    return found
