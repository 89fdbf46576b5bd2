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
SHRINK = 0.3
"""Of 0.01 to 1 this and 0.2 told most pictures apart whose classes `cifar10` had never seen."""
TAILS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 1000.0)
"""Degrees of freedom that are tried; the last are as good as a normal distribution."""
ROUNDS = 30


def fit_space(
    heard: Heard, clean: Heard, model: str, pair: str, made_of: str, bins: int = BINS, seed: int = 0,
    calibrated: bool = True,
) -> Space:  # fmt: skip
    """The space of received pictures that nobody was trained on; bins of about equally many.

    clean: features of such pictures without a channel. By them alone it is known what matters: over a channel the word
    makes all pictures of a class that was trained alike, which those of a new class are not. DataError where pictures
    are too few: four classes, and in each bin more of them than an embedding has numbers, is the least.
    """
    classes, wide = np.unique(heard.label), heard.embedding.shape[1]
    if len(classes) < 4 or len(heard.bits) < bins * (wide + len(classes)):
        raise DataError(
            f"{len(heard.bits)} received pictures of {len(classes)} classes are too few to know an embedding of {wide} "
            f"by, in {bins} bins: give more images"
        )
    edges = _edges(heard.bits.astype(np.float64), bins)
    about = About(FORMAT, model, pair, made_of, tuple(float(np.float32(one)) for one in edges), COUNTS, RATES)
    count = len(edges) + 1
    ones = [np.ones(count, np.float32) for _ in range(3)]
    limits = np.zeros((count, len(COUNTS), len(RATES)), np.float32)
    mean, white = np.zeros((count, wide), np.float32), np.zeros((count, wide, wide), np.float32)
    space = Space(about, mean, white, ones[0], ones[1], ones[2], limits)
    where, common = space.bins(heard.bits), whitening(clean.embedding, clean.label)
    for one in range(count):
        rows = where == one
        space.mean[one], scale, space.noise[one], space.tail[one] = scales(
            heard.embedding[rows].astype(np.float64), heard.label[rows], common
        )
        space.white[one] = common * scale
    if calibrated:
        _calibrate(space, heard, where, np.random.default_rng(seed))
    return space


def _edges(bits: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Between bins, ascending; what brought no features has one for itself."""
    some = bits[bits > 0]
    least = [float(some.min())] if 0 < len(some) < len(bits) else []
    between = np.quantile(some, np.arange(1, bins - len(least)) / (bins - len(least))) if len(some) else np.zeros(0)
    return np.unique(np.concatenate((least, between)))


def whitening(features: Floats, label: NDArray[np.int64]) -> NDArray[np.float64]:
    """features: float32 [N, E]; label: int64 [N] -> W, float64 [E, E], by which they are round within a class.

    The covariance is drawn towards a round one by SHRINK: along what hardly differs within classes that an encoder was
    trained on, others differ more.
    """
    residual, _ = _apart(features.astype(np.float64), label)
    covariance = residual.T @ residual / len(residual)
    covariance += SHRINK * (np.eye(len(covariance)) * np.trace(covariance) / len(covariance) - covariance)
    variances, axes = np.linalg.eigh(covariance)
    floor = max(float(variances[-1]), 1e-12) * 1e-6  # an embedding that never changes at all
    white: NDArray[np.float64] = (axes / np.sqrt(np.maximum(variances, floor))) @ axes.T
    return white


def scales(
    z: NDArray[np.float64], label: NDArray[np.int64], white: NDArray[np.float64]
) -> tuple[Floats, float, float, float]:
    """z: float64 [R, E]; label: int64 [R]; white: as of `whitening` -> mean [E], the factor by which classes' means get
    unit variance, and noise and tail of a bin, as of `Space`."""
    residual, means = _apart(z, label)
    counts = np.unique(label, return_counts=True)[1]
    mean = means.mean(0)
    between = ((means - mean) @ white) ** 2
    squares = ((residual @ white) ** 2).sum(1)
    within = float(squares.mean()) / z.shape[1] * len(z) / max(len(z) - len(counts), 1)
    psi = max(float(between.sum() / (len(means) - 1) / z.shape[1] - within * (1.0 / counts).mean()), LEAST_PSI)
    scale, tail = student(squares, z.shape[1])
    return mean.astype(np.float32), 1.0 / np.sqrt(psi), scale / psi, tail


def _apart(z: NDArray[np.float64], label: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What differs from the class's mean, float64 [R, E], and these means, float64 [C, E]."""
    classes, place, counts = np.unique(label, return_inverse=True, return_counts=True)
    means = np.zeros((len(classes), z.shape[1]))
    np.add.at(means, place, z)
    means /= counts[:, None]
    return z - means[place], means


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
