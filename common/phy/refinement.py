"""Features on the constellation: coordinates quantised level by level, the largest of what is left always next.

Knows nothing about words, networks or frames. numpy only. How one is fitted: `training/words/fitting.py`.

    u            uncorrelated coordinates of unit variance, float32 [B, F]
    layer 0      a scalar quantiser of as many levels as the constellation has in one real dimension
    layer l + 1  the same for what layer l left, made as large again
    carried      (coordinate, layer) of each real dimension in the order in which they are sent: reverse water-filling
                 (Cover and Thomas, Elements of Information Theory, 10.3) by successive refinement (Equitz and Cover
                 1991), so any prefix is the best use of so many dimensions
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LEAST = 1e-6
"""Smallest probability that a level is given."""


@dataclass(frozen=True, eq=False)
class Refinement:
    """carried: int16 [D, 2], of each coordinate ascending layers; edges: float32 [L, M - 1]; centres, prior: float32
    [L, M]; spread: float32 [L], deviation of what a layer leaves. M: levels of a real dimension."""

    carried: NDArray[np.int16]
    edges: Floats
    centres: Floats
    prior: Floats
    spread: Floats

    @property
    def symbols(self) -> int:
        """Symbols that carry features where all do."""
        return len(self.carried) // 2

    @cached_property
    def steps(self) -> Floats:
        """Levels of a real dimension as they are sent, for a mean power of 1 a symbol: float32 [M]."""
        wide = self.centres.shape[1]
        odd = (2 * np.arange(wide) - (wide - 1)).astype(np.float32)
        steps: Floats = odd / np.sqrt(2 * np.float32(self.prior[0] @ (odd * odd)))
        return steps

    @cached_property
    def power(self) -> Floats:
        """Mean power of each symbol that carries features, in order: float32 [n]; 1 where both its dimensions are of
        layer 0."""
        of_layer = 2 * self.prior @ np.square(self.steps)
        both = of_layer[self.carried[: 2 * self.symbols, 1]].reshape(-1, 2)
        mean: Floats = both.mean(1)
        return mean

    def levels(self, coordinates: Floats, symbols: int) -> NDArray[np.uint8]:
        """coordinates: float32 [B, F] -> which level each real dimension of the first `symbols` is, uint8 [B, 2 n]."""
        rest, (i, of) = coordinates, self.carried[: 2 * symbols].T
        found, last = np.empty((len(rest), len(i)), np.uint8), int(of.max(initial=-1))
        for layer in range(last + 1):  # of a coordinate a later layer is sent later
            d = np.flatnonzero(of == layer)
            sent = rest[:, i[d]]
            found[:, d] = level = np.searchsorted(self.edges[layer], sent, side="right")
            if layer < last:
                rest = rest.copy()
                rest[:, i[d]] = (sent - self.centres[layer][level]) / self.spread[layer]
        return found

    def estimate(self, evidence: Floats, width: int) -> Floats:
        """Mean of the coordinates, float32 [B, width], given what was heard of each level.

        evidence: float32 [B, D, M], log-likelihood of each level of each real dimension, all 0 where nothing came. A
        coordinate is the sum of its layers' centres, whatever is known of each: so its mean is that of their means.
        """
        mean, scale = np.zeros((len(evidence), width), np.float32), np.ones(width, np.float32)
        came = (evidence != 0).any(-1)
        for d, (i, layer) in enumerate(self.carried[: evidence.shape[1]].tolist()):
            log = evidence[:, d] + np.log(np.maximum(self.prior[layer], LEAST))
            share = np.exp(log - log.max(-1, keepdims=True))
            share /= share.sum(-1, keepdims=True)
            mean[:, i] += np.where(came[:, d], scale[i] * (share @ self.centres[layer]), 0)
            scale[i] *= self.spread[layer]
        return mean
