"""What a receiver misses of the features: by how many symbols carry them, and by the SNR. Pure; from formulas alone.

A layer's level is heard in real noise of variance 1/(2 g), its centre taken as the posterior mean; so its error is an
integral over that noise, and errors of a coordinate's layers add, each as much smaller as the layers before it left.
Unit power of each increment is taken for that of each symbol. A word that does not arrive puts the features about the
mean of another class, which is as far from its own as two classes are.
"""

import numpy as np
from numpy.typing import NDArray

from common.pair.speech import Speech
from common.phy.refinement import LEAST, Refinement
from common.record import record

Doubles = NDArray[np.float64]
GRID_DB = np.arange(-12.0, 32.1, 2.0)
NODES = 48
"""Of Gauss and Hermite's rule."""


@record
class Distortion:
    """missed: share of the features' variance where the word and the first n symbols of features are heard, n = 0 .. S,
    at each SNR of GRID_DB; float64 [S + 1, G]; astray: share that is missed beside it where the word is not."""

    missed: Doubles
    astray: float

    def expected(self, symbols: int, belief: Doubles) -> float:
        """Over equally likely linear SNRs, float64 [N]; 0 to 1."""
        snr_db = 10.0 * np.log10(np.maximum(belief, 1e-6))
        return float(np.interp(snr_db, GRID_DB, self.missed[symbols]).mean())


def distortion_of(speech: Speech) -> Distortion:
    """Of a pair's symbols; classes count alike."""
    told = np.square(speech.means - speech.means.mean(0)).sum(1).mean()
    weights = np.square(speech.back.astype(np.float64)).sum(1)
    refinement = speech.refinement
    errors = layer_errors(refinement, 10.0 ** (GRID_DB / 10.0), float(speech.jitter.mean()))
    left = np.square(refinement.spread.astype(np.float64))
    missed, scale = np.tile(weights[:, None], len(GRID_DB)), np.ones(len(weights))
    rows = [missed.sum(0)]
    for at in range(0, 2 * speech.symbols, 2):
        for i, layer in refinement.carried[at : at + 2].tolist():
            missed[i] += weights[i] * scale[i] * (errors[layer] + left[layer] - 1.0)
            scale[i] *= left[layer]
        rows.append(missed.sum(0))
    power, classes = weights.sum() + told, len(speech.means)
    apart = 2.0 * told * classes / max(classes - 1, 1)  # squared, of two classes in the mean
    return Distortion(np.minimum.accumulate(np.stack(rows)) / power, float(apart / power))


def layer_errors(refinement: Refinement, snr: Doubles, jitter: float) -> Doubles:
    """snr: linear, of a symbol, float64 [G]; jitter: relative variance of its amplitude -> mean squared error of each
    layer's centre as it is heard, float64 [L, G], in units of what the layer refines."""
    at, weight = np.polynomial.hermite.hermgauss(NODES)
    steps = refinement.steps.astype(np.float64)
    variance = 0.5 / snr[:, None] + jitter * np.square(steps)  # [G, M]
    heard = steps[:, None] + np.sqrt(2.0 * variance)[..., None] * at  # [G, M, K]: the level that was sent, in noise
    apart = np.square(heard[..., None] - steps) / (2.0 * variance[:, None, None])
    log = -apart - 0.5 * np.log(variance)[:, None, None]  # [G, M, K, M]
    found = np.empty((len(refinement.prior), len(snr)))
    for layer, (prior, centres) in enumerate(zip(refinement.prior.astype(np.float64), refinement.centres, strict=True)):
        share = log + np.log(np.maximum(prior, LEAST))
        share = np.exp(share - share.max(-1, keepdims=True))
        mean = (share @ centres) / share.sum(-1)
        error = np.square(centres[:, None] - mean) @ (weight / np.sqrt(np.pi))  # [G, M]
        found[layer] = error @ prior
    return found
