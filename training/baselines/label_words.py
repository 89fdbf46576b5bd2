"""Words for labels: as far from each other as so many complex channel uses allow. Knows nothing about images.

Every word has unit mean power. Coherent reception (the phase is known) tells two words apart by 1 - Re<x, x'>/n,
non-coherent reception by 1 - |<x, x'>|^2/n^2. Where they fit, the first take a simplex (2n >= C - 1), the second an
orthogonal set (n >= C); no better ones are known. Elsewhere words are searched for by gradient: the least union bound,
in its Chernoff form, at the energy at which that of a simplex or an orthogonal set is 5 %. The words of the suites'
places are kept in `shipped/words.safetensors`, since a search ends elsewhere on another processor:
`python -m training.baseline --system label-code` makes the file again, in minutes.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.phy.decibel import from_db

Words = NDArray[np.complex128]
SHIPPED = Path(__file__).parent / "shipped" / "words.safetensors"
PLACES = (
    (10, (1, 2, 3, 4), True),
    (10, tuple(range(2, 10)), False),
    (100, (8, 16, 32), True),
    (100, (8, 16, 32, 64), False),
)
"""Classes, uses and whether coherent, of the words that are kept."""
STARTS = 4
LIMITS = {"ftol": 1e-13, "gtol": 1e-10}
SOON, LONG = 200, 3000
"""Steps of a search, while somebody waits and of words that are kept."""


@cache
def words_for(labels: int, uses: int, coherent: bool) -> Words:
    """The best words known: complex128 [C, n], unit mean power each, which nobody may write to."""
    if coherent and 2 * uses >= labels - 1:
        found = simplex(labels, uses)
    elif not coherent and uses >= labels:
        found = orthogonal(labels, uses)
    else:
        found = kept(labels, uses, coherent)
    found.flags.writeable = False
    return found


def simplex(labels: int, uses: int) -> Words:
    """C words of correlation -1/(C - 1), turned in all 2n real dimensions; nothing limits the peak of a symbol."""
    place = np.arange(labels)
    vertices = np.zeros((labels, 2 * uses))
    vertices[:, : labels - 1] = np.cos(np.pi * np.outer(2 * place + 1, place[1:]) / (2 * labels))
    dimension = np.arange(2 * uses)
    spread = np.cos(np.pi * np.outer(dimension, 2 * dimension + 1) / (4 * uses))  # orthogonal but for its first row
    spread[0] /= math.sqrt(2.0)
    return powered(vertices @ spread)


def orthogonal(labels: int, uses: int) -> Words:
    """C words of no correlation: tones of constant power."""
    return np.asarray(np.exp(2j * np.pi * np.outer(np.arange(labels), np.arange(uses)) / uses))


def kept(labels: int, uses: int, coherent: bool) -> Words:
    """Words that were searched for before, or are now."""
    from safetensors.numpy import load_file

    found = load_file(SHIPPED).get(key(labels, uses, coherent)) if SHIPPED.is_file() else None
    return search(labels, uses, coherent) if found is None else powered(found.astype(np.float64))


def keep(folder: Path) -> Path:
    """Search for the words of PLACES and write them: float32 [C, 2n] each, real and imaginary parts in turn."""
    from safetensors.numpy import save

    from common.files import write_atomic

    found = {}
    for labels, sizes, coherent in PLACES:
        for uses in sizes:
            words = search(labels, uses, coherent, LONG)
            flat = np.stack((words.real, words.imag), -1).reshape(labels, -1)
            found[key(labels, uses, coherent)] = flat.astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / SHIPPED.name, save(found))
    return folder / SHIPPED.name


def key(labels: int, uses: int, coherent: bool) -> str:
    """The name of a set of words in the file of those that were searched for."""
    return f"{'coherent' if coherent else 'non-coherent'}.{labels}.{uses}"


def powered(real: NDArray[np.float64]) -> Words:
    """Real and imaginary parts in turn, float64 [C, 2n], of any power -> words of unit mean power."""
    words = real[:, 0::2] + 1j * real[:, 1::2]
    return np.asarray(words / np.sqrt(np.mean(np.abs(words) ** 2, 1, keepdims=True)))


def search(labels: int, uses: int, coherent: bool, steps: int = SOON) -> Words:
    """The least union bound of STARTS random starts and, coherent, of a biorthogonal one where it fits."""
    rng = np.random.default_rng([labels, uses])
    starts = [rng.normal(size=(labels, 2 * uses)) for _ in range(STARTS)]
    if coherent and labels <= 4 * uses:
        axes = np.eye(2 * uses)
        starts.append(np.concatenate((axes, -axes))[:labels] + 1e-3 * starts[0])
    steepness = _energy(labels, coherent) / 2
    found = [_descend(start, coherent, steepness, steps) for start in starts]
    return powered(min(found, key=lambda one: one[0])[1])


def _energy(labels: int, coherent: bool) -> float:
    """E/N0 at which the union bound of a simplex, or of orthogonal words, is 5 %: (C - 1) exp(-E (1 - r)/2)."""
    apart = labels / (labels - 1) if coherent else 1.0
    return 2.0 * math.log((labels - 1) / 0.05) / apart


def _descend(
    start: NDArray[np.float64], coherent: bool, steepness: float, steps: int
) -> tuple[float, NDArray[np.float64]]:
    """L-BFGS on log sum exp(steepness * closeness) over all pairs: the least value, and the words, float64 [C, 2n]."""
    from scipy.optimize import minimize

    shape, alone = start.shape, np.eye(len(start)) * 1e9

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        words = flat.reshape(shape)
        norms = np.linalg.norm(words, axis=1, keepdims=True)
        unit = words / norms
        inner = (unit[:, 0::2] + 1j * unit[:, 1::2]) @ (unit[:, 0::2] - 1j * unit[:, 1::2]).T
        exponent = steepness * (inner.real if coherent else np.abs(inner) ** 2) - alone
        top = exponent.max()
        share = np.exp(exponent - top)
        total = share.sum()
        pull = (2.0 * steepness / total) * share * (1.0 if coherent else 2.0 * inner)
        towards = pull @ (unit[:, 0::2] + 1j * unit[:, 1::2])
        slope = np.stack((towards.real, towards.imag), -1).reshape(shape)
        slope -= (slope * unit).sum(1, keepdims=True) * unit
        return float(top + np.log(total)), (slope / norms).ravel()

    options = {**LIMITS, "maxiter": steps, "maxfun": 2 * steps}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), found.x.reshape(shape)


def drawn_right(
    words: Words, channel: str, snr_db: float, pilots: int | None, draws: int = 10_000, seed: int = 0
) -> float:
    """Share of words (0..1) that are told right, drawn: maximum likelihood, h unknown. No images are looked at.

    channel: awgn or block-rayleigh; pilots: P of the estimate h^ = h + CN(0, N0/P), None: non-coherent.
    """
    rng = np.random.default_rng(seed)
    labels, uses = words.shape
    sent = rng.integers(0, labels, draws)
    unit = rng.normal(size=(draws, uses + 2, 2)) @ np.array([1.0, 1j]) * math.sqrt(0.5)  # CN(0, 1)
    n0 = from_db(-snr_db)
    h = unit[:, 0] if channel == "block-rayleigh" else np.ones(draws)
    y = h[:, None] * words[sent] + math.sqrt(n0) * unit[:, 2:]
    if pilots is None:
        return float(np.mean(decide(words, y, False) == sent))
    estimate = h + math.sqrt(n0 / pilots) * unit[:, 1]
    return float(np.mean(decide(words, estimate.conj()[:, None] * y, True) == sent))


def decide(words: Words, heard: NDArray[np.complexfloating], coherent: bool) -> NDArray[np.int64]:
    """The likeliest word for each row heard, complex [B, n]: of equal energy, so the one of the largest correlation."""
    correlation = heard @ words.conj().T
    return np.asarray((correlation.real if coherent else np.abs(correlation)).argmax(1))
