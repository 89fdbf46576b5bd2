"""Received pictures of known classes -> the space in which classes are told apart that nobody trained.

Knows nothing about pairs or channels. Pictures of classes that are known stand for those that are not: half of them are
enrolled from some of the pictures, the other half are strangers, and what that gives says how far an answer goes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from scrx.heads.judging import log_likelihoods, means_of, posterior
from scrx.heads.space import FORMAT, About, Floats, Space
from training.enrolment.heard import Heard

BINS = 8
COUNTS, RATES = (1.0, 2.0, 5.0, 10.0, 20.0), (0.01, 0.02, 0.05, 0.1, 0.2)
DRAWS, ASKED, JUDGED = 12, 600, 150
"""Episodes for each bin and number of examples; pictures that are asked about in one, and those used for chances."""
TEMPERATURES = np.round(2.0 ** (np.arange(-5, 36) / 5), 4)
"""1/2 to 128 in steps of 15 %."""
LEAST_PSI = 1e-3
TAILS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 1000.0)
"""Degrees of freedom that are tried; the last are as good as a normal distribution."""
ROUNDS = 30


def fit_space(
    heard: Heard, model: str, pair: str, made_of: str, bins: int = BINS, seed: int = 0, calibrated: bool = True
) -> Space:
    """The space of received pictures that nobody was trained on; bins of equally many. DataError where they are too
    few: four classes, and in each bin more pictures than an embedding has numbers, is the least."""
    classes, wide = np.unique(heard.label), heard.embedding.shape[1]
    if len(classes) < 4 or len(heard.bits) < bins * (wide + len(classes)):
        raise DataError(
            f"{len(heard.bits)} received pictures of {len(classes)} classes are too few to know an embedding of {wide} "
            f"by, in {bins} bins: give more images"
        )
    edges = np.unique(np.quantile(heard.bits.astype(np.float64), np.arange(1, bins) / bins))
    about = About(FORMAT, model, pair, made_of, tuple(float(np.float32(one)) for one in edges), COUNTS, RATES)
    count = len(edges) + 1
    ones = [np.ones(count, np.float32) for _ in range(3)]
    limits = np.zeros((count, len(COUNTS), len(RATES)), np.float32)
    mean, white = np.zeros((count, wide), np.float32), np.zeros((count, wide, wide), np.float32)
    space = Space(about, mean, white, ones[0], ones[1], ones[2], limits)
    where = space.bins(heard.bits)
    for one in range(count):
        rows = where == one
        space.mean[one], space.white[one], space.noise[one], space.tail[one] = whitening(
            heard.embedding[rows], heard.label[rows]
        )
    if calibrated:
        _calibrate(space, heard, where, np.random.default_rng(seed))
    return space


def whitening(embedding: Floats, label: NDArray[np.int64]) -> tuple[Floats, Floats, float, float]:
    """embedding: float32 [R, E]; label: int64 [R] -> mean [E], W [E, E], noise and tail of a bin, as of `Space`.

    The covariance within a class is shrunk towards a round one (Ledoit and Wolf 2004).
    """
    from sklearn.covariance import ledoit_wolf

    z = embedding.astype(np.float64)
    classes, place, counts = np.unique(label, return_inverse=True, return_counts=True)
    means = np.zeros((len(classes), z.shape[1]))
    np.add.at(means, place, z)
    means /= counts[:, None]
    covariance, _ = ledoit_wolf(z - means[place], assume_centered=True)
    covariance *= len(z) / max(len(z) - len(classes), 1)
    variances, axes = np.linalg.eigh(covariance)
    floor = max(float(variances[-1]), 1e-12) * 1e-6  # an embedding that never changes in some direction
    white = (axes / np.sqrt(np.maximum(variances, floor))) @ axes.T
    mean = means.mean(0)
    between = ((means - mean) @ white) ** 2
    psi = max(float(between.sum() / (len(classes) - 1) / z.shape[1] - (1.0 / counts).mean()), LEAST_PSI)
    scale, tail = student((((z - means[place]) @ white) ** 2).sum(1), z.shape[1])
    return mean.astype(np.float32), (white / np.sqrt(psi)).astype(np.float32), scale / psi, tail


def student(squares: NDArray[np.float64], wide: int) -> tuple[float, float]:
    """Squared lengths of `wide` numbers each, float64 [R] -> scale (a variance) and degrees of freedom of the likeliest
    of Student's distributions, the scale by expectation and maximisation (Lange et al. 1989)."""
    from math import lgamma

    found = []
    for dof in TAILS:
        scale = float(squares.mean()) / wide
        for _ in range(ROUNDS):
            weights = (dof + wide) / (dof + squares / scale)  # over their sum: the same end, sooner (Kent et al. 1994)
            scale = max(float((weights * squares).sum() / weights.sum()) / wide, 1e-12)
        constant = lgamma((dof + wide) / 2) - lgamma(dof / 2) - wide / 2 * np.log(dof * scale)
        found.append((constant - (dof + wide) / 2 * float(np.log1p(squares / (dof * scale)).mean()), scale, dof))
    _, scale, tail = max(found)
    return scale, tail


def _calibrate(space: Space, heard: Heard, where: NDArray[np.int64], random: np.random.Generator) -> None:
    """Fill in temperatures and limits. Images that are asked about are none of those that were enrolled from."""
    u = space.whiten(heard.embedding, where)
    for_examples = random.permutation(heard.image.max() + 1)[heard.image] % 2 == 0
    pools = {one: np.flatnonzero(for_examples & (heard.label == one)) for one in np.unique(heard.label).tolist()}
    for one in range(len(space.noise)):
        asked, seen = np.flatnonzero(~for_examples & (where == one)), []
        for k, count in enumerate(COUNTS):
            episodes = [
                _episode(space, u, heard, where, pools, random.permutation(asked)[:ASKED], int(count), random)
                for _ in range(DRAWS)
            ]
            ratios = [found[right < found.shape[1] - 1] for found, right in episodes]
            ours = np.concatenate([found[:, :-1].max(1) - found[:, -1] for found in ratios])
            space.limits[one, k] = np.quantile(ours, RATES) if len(ours) else 0.0
            seen += [(found[:JUDGED], right[:JUDGED]) for found, right in episodes]
        space.temperature[one] = _temperature(*(np.concatenate(part) for part in zip(*seen, strict=True)))


def _temperature(likely: NDArray[np.float64], right: NDArray[np.int64]) -> float:
    """Of TEMPERATURES the one by which the chances make what is right likeliest: the loss is convex in 1/T.

    likely: float64 [R, C + 1], the last of none of the classes; right: int64 [R].
    """
    rows = np.arange(len(right))

    def loss(place: int) -> float:
        chances = posterior(likely[:, :-1], likely[:, -1], np.full(len(rows), TEMPERATURES[place], np.float32))
        return float(-np.log(np.maximum(chances[rows, right], 1e-12)).mean())

    low, high = 0, len(TEMPERATURES) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if loss(middle) <= loss(middle + 1) else (middle + 1, high)
    return float(TEMPERATURES[low])


def _episode(
    space: Space, u: Floats, heard: Heard, where: NDArray[np.int64], pools: dict[int, NDArray[np.int64]],
    rows: NDArray[np.int64], count: int, random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # fmt: skip
    """Half of the classes are enrolled from `count` pictures each, and the pictures of `rows` asked about.

    Returns their log-likelihoods, float64 [R, C + 1], the last that of none of these classes, and which is right.
    """
    known = random.permutation(list(pools))[: max(len(pools) // 2, 1)].tolist()
    examples = [draw_examples(pools[one], count, random) for one in known]
    owner, drawn = np.repeat(np.arange(len(known)), [len(one) for one in examples]), np.concatenate(examples)
    means = means_of(u[drawn], space.noise[where[drawn]], owner, len(known))
    likely, stranger = log_likelihoods(u[rows], means, space.noise[where[rows]], space.tail[where[rows]])
    right = np.full(len(rows), len(known))
    for place, one in enumerate(known):
        right[heard.label[rows] == one] = place
    return np.column_stack((likely, stranger)), right


def draw_examples(
    pool: Sequence[int] | NDArray[np.int64], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """So many of a class's rows, or all that there are, each once."""
    chosen: NDArray[np.int64] = random.choice(np.asarray(pool), min(count, len(pool)), replace=False)
    return chosen
