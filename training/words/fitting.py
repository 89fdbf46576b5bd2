"""Fit what a pair's symbols say to the features of training images. Knows nothing about channels or networks."""

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.pair.speech import Speech
from common.phy.layout import Layout
from common.phy.refinement import Refinement
from common.phy.words import Words
from training.words.search import search_words

LAYERS = 6
"""Times that a coordinate may be refined."""
ROWS, COORDINATES = 20_000, 32
"""Of which quantisers are fitted: so many images, and so many of the largest coordinates, all as one."""
TURNS, NOTHING = 60, 1e-6
ALIKE = "the features of all images that are decided alike are the same: use more images that differ, or more passes"
Doubles = NDArray[np.float64]


def fit_speech(decided: NDArray[np.int64], features: NDArray[np.float32], classes: int, layout: Layout, order: int,
               metric: NDArray[np.float64] | None = None) -> Speech:  # fmt: skip
    """decided: int64 [N], the transmitter's decisions; features: float32 [N, F].

    metric: float64 [G, F], what of the features counts: the error of metric @ x; None: all of them alike. ModelError
    where features are no numbers, or do not differ among images that are decided alike.
    """
    if not np.isfinite(features).all():
        raise ModelError("the encoder gives what is no number: its training ran away; set a lower lr in the recipe")
    mean = features.mean(0, dtype=np.float64)
    means = np.stack([features[decided == c].mean(0, dtype=np.float64) if (decided == c).any() else mean
                      for c in range(classes)])  # fmt: skip
    rest = features - means[decided]
    if np.abs(rest).max() <= NOTHING * np.abs(features).max():
        raise ModelError(ALIKE)
    variance, into, back = principal(rest, metric)
    u = (rest[:: max(1, len(rest) // ROWS)] @ into)[:, :COORDINATES].ravel()
    edges, centres, prior, spread = [], [], [], []
    for _ in range(LAYERS):
        edge, centre = lloyd_max(u, int(order**0.5))
        level = np.searchsorted(edge, u, side="right")
        left = u - centre[level]
        edges.append(edge)
        centres.append(centre)
        prior.append(np.bincount(level, minlength=len(centre)) / len(level))
        spread.append(float(left.std()))
        if spread[-1] <= NOTHING:
            raise ModelError(ALIKE)
        u = left / spread[-1]
    carried = water_filling(variance, 2 * layout.max_symbols, np.square(spread))
    refinement = Refinement(carried, *(np.asarray(one, np.float32) for one in (edges, centres, prior, spread)))
    means32, into32, back32 = (np.asarray(one, np.float32) for one in (means, into, back))
    words = Words(search_words(classes, layout.max_symbols))
    return Speech(layout, words, refinement, means32, into32, back32, jitter_of(refinement, layout))


def principal(rest: Doubles, metric: Doubles | None) -> tuple[Doubles, Doubles, Doubles]:
    """Variances that descend, float64 [F]; x -> coordinates of unit variance and back, float64 [F, F] each.

    With a metric G they are those of G x: coordinates are ordered by what they add to |G x|^2.
    """
    covariance = np.cov(rest.T)
    scale, turn = np.linalg.eigh(covariance)
    scale = np.sqrt(np.maximum(scale, 1e-9 * scale.max()))
    white = turn / scale  # x @ white: uncorrelated, of unit variance
    heard = np.eye(len(scale)) if metric is None else metric
    weights, axes = np.linalg.eigh((turn * scale).T @ heard.T @ heard @ (turn * scale))
    axes = axes[:, ::-1]
    return np.maximum(weights[::-1], 0.0), white @ axes, axes.T @ (turn * scale).T


def lloyd_max(values: Doubles, count: int) -> tuple[Doubles, Doubles]:
    """Edges [count - 1] and centres [count] of the scalar quantiser of least squared error for these (Lloyd 1982)."""
    centres = np.quantile(values, (np.arange(count) + 0.5) / count)
    for _ in range(TURNS):
        level = np.searchsorted((centres[1:] + centres[:-1]) / 2, values, side="right")
        total = np.bincount(level, minlength=count)
        moved = np.where(total > 0, np.bincount(level, values, count) / np.maximum(total, 1), centres)
        if (moved == centres).all():
            break  # as it would be after every further turn
        centres = moved
    return (centres[1:] + centres[:-1]) / 2, centres


def water_filling(variance: Doubles, count: int, left: Doubles) -> NDArray[np.int16]:
    """(coordinate, layer) of each real dimension, int16 [count, 2]: always what has the largest variance left.

    variance: float64 [F]; left: float64 [L], the share of its variance that each layer leaves.
    """
    now, layer, found = variance.astype(np.float64).copy(), np.zeros(len(variance), np.int64), []
    for _ in range(count):
        i = int(np.where(layer < len(left), now, -1.0).argmax())
        found.append((i, min(int(layer[i]), len(left) - 1)))
        now[i] *= left[min(int(layer[i]), len(left) - 1)]
        layer[i] += 1
    return np.array(found, np.int16)


def jitter_of(refinement: Refinement, layout: Layout, draws: int = 4096) -> NDArray[np.float32]:
    """Relative variance of the amplitude of each symbol, float32 [S], where its whole increment carries features."""
    rng, steps = np.random.default_rng(0), refinement.steps.astype(np.float64)
    shares = refinement.prior[0].astype(np.float64)
    found = []
    for count in layout.increments:
        power = np.square(rng.choice(steps, (draws, 2 * count), p=shares / shares.sum())).sum(1) / count
        found += [float(np.std(1 / np.sqrt(power)) / np.mean(1 / np.sqrt(power))) ** 2] * count
    return np.array(found, np.float32)
