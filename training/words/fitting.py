"""Fit a ladder to features: search words, find means, coordinates and quantisers. Knows nothing about channels."""

import numpy as np
from numpy.typing import NDArray

from common.phy.ladder import Ladder

LAYERS = 6


def search_words(classes: int, symbols: int, seed: int = 0, tries: int = 64) -> NDArray[np.uint8]:
    """Corners, uint8 [C, S], symbol by symbol: each adds what takes most off the union bound at a reference energy.

    The reference is E/N0 = 8 + 2 ln C over the symbols so far, where words begin to be told apart.
    """
    rng = np.random.default_rng(seed)
    corner = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) / np.sqrt(2)
    apart = np.abs(corner[:, None] - corner[None]) ** 2
    distance = np.zeros((classes, classes))
    found = np.zeros((classes, symbols), np.uint8)
    for s in range(symbols):
        energy = (8 + 2 * np.log(classes)) / (s + 1)
        weight, gain = np.exp(-distance * energy / 4), np.exp(-apart * energy / 4)
        np.fill_diagonal(weight, 0)
        best = (np.inf, None)
        for _ in range(tries):
            chosen = rng.permutation(np.arange(classes) % 4)
            for c in rng.permutation(np.tile(np.arange(classes), 4)):
                chosen[c] = (weight[c] @ gain[chosen]).argmin()
            cost = (weight * gain[chosen][:, chosen]).sum()
            if cost < best[0]:
                best = (cost, chosen.copy())
        found[:, s] = best[1]
        distance += apart[best[1]][:, best[1]]
    return found


def fit_ladder(
    decided: NDArray[np.int64], features: NDArray[np.float32], classes: int, symbols: int, order: int
) -> Ladder:
    """decided: int64 [N]; features: float32 [N, F] -> a ladder of so many symbols."""
    mean = features.mean(0, dtype=np.float64)
    means = np.stack([features[decided == c].mean(0, dtype=np.float64) if (decided == c).any() else mean
                      for c in range(classes)])  # fmt: skip
    rest = features - means[decided]
    variance, basis = np.linalg.eigh(np.cov(rest.T))
    variance, basis = np.maximum(variance[::-1], 1e-12), basis[:, ::-1]
    deviation = np.sqrt(variance)
    into, back = basis / deviation, (basis * deviation).T
    side = int(order**0.5)
    u = (rest @ into)[:: max(1, len(rest) // 20_000)]
    left, edges, centres, spread, prior = u[:, : min(32, u.shape[1])].ravel(), [], [], [], []
    for _ in range(LAYERS):
        e, c = lloyd_max(left, side)
        k = np.searchsorted(e, left, side="right")
        edges.append(e), centres.append(c), prior.append(np.bincount(k, minlength=side) / len(k))
        error = left - c[k]
        spread.append(error.std())
        left = error / error.std()
    carried = order_of(variance, 2 * symbols, np.cumprod(np.square(spread)))
    as32 = [np.asarray(one, np.float32) for one in (means, into, back)]
    return Ladder(search_words(classes, symbols), *as32, carried,
                  *(np.asarray(one, np.float32) for one in (edges, centres, spread, prior)))  # fmt: skip


def lloyd_max(values: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges and centres of the scalar quantiser of least squared error (Lloyd 1982) for these values."""
    centres = np.quantile(values, (np.arange(count) + 0.5) / count)
    for _ in range(60):
        edges = (centres[1:] + centres[:-1]) / 2
        k = np.searchsorted(edges, values, side="right")
        centres = np.array([values[k == j].mean() if (k == j).any() else centres[j] for j in range(count)])
    return (centres[1:] + centres[:-1]) / 2, centres


def order_of(variance: NDArray[np.float64], count: int, shrink: NDArray[np.float64]) -> NDArray[np.int16]:
    """Reverse water-filling: (coordinate, layer) of each real dimension, int16 [count, 2]."""
    left, layer, found = variance.copy(), np.zeros(len(variance), int), []
    for _ in range(count):
        i = int(np.where(layer < len(shrink), left, -1).argmax())
        found.append((i, layer[i]))
        left[i] = variance[i] * shrink[layer[i]]
        layer[i] += 1
    return np.array(found, np.int16)
