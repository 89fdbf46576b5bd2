"""What a pair's symbols say: a word for the decision first, then the features' coordinates, refined step by step.

Knows nothing about networks, channels or frames. numpy only; both halves of a pair hold one of these.

    image -> decision c and features x          x = means[c] + u @ back,     u: uncorrelated, unit variance
    symbol s < words      corner words[c, s] of the constellation: any prefix of a word is a code by itself
    the others, in order  two real dimensions each, which carry (coordinate, layer): level of a scalar quantiser of the
                          constellation's own levels; layer l + 1 quantises what layer l left, made as large again

The order of (coordinate, layer) is reverse water-filling: whatever is largest of what the word does not explain comes
next (Cover and Thomas, Elements of Information Theory, 10.3; successive refinement: Equitz and Cover 1991). How many
symbols the word has is control information: it depends on the reported SNR alone, and travels in the header.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phy.constellation import levels
from common.phy.layout import Layout

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """words: uint8 [C, S], corners 0..3; means: float32 [C, F]; into, back: float32 [F, F]; carried: int16 [2 S, 2];
    edges: float32 [L, levels - 1], centres: float32 [L, levels], spread: float32 [L], of each layer; prior: float32
    [L, levels]; jitter: float32 [], relative variance of a level's power."""

    words: NDArray[np.uint8]
    means: Floats
    into: Floats
    back: Floats
    carried: NDArray[np.int16]
    edges: Floats
    centres: Floats
    spread: Floats
    prior: Floats

    @property
    def classes(self) -> int:
        return len(self.words)

    @property
    def symbols(self) -> int:
        """Symbols of the whole ladder, S."""
        return self.words.shape[1]

    def coordinates(self, decided: NDArray[np.int64], features: Floats) -> Floats:
        """decided: int64 [B]; features: float32 [B, F] -> what the decision does not explain, float32 [B, F]."""
        return (features - self.means[decided]) @ self.into

    def say(self, decided: NDArray[np.int64], coordinates: Floats, words: int, layout: Layout) -> NDArray[np.complex64]:
        """The full ladder, complex64 [B, S], unit mean power per increment; its first `words` symbols are the word's."""
        side = self.centres.shape[1]
        sent = np.empty((len(decided), self.symbols), np.complex64)
        corner = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], np.complex64)
        sent[:, :words] = corner[self.words[decided, :words]] * np.float32(np.sqrt(self._power() / 2))
        left = coordinates
        level: dict[tuple[int, int], NDArray[np.int64]] = {}
        rest: dict[int, Floats] = {}
        pairs = self.carried[: 2 * (self.symbols - words)]
        odd = np.empty((len(decided), len(pairs)), np.float32)
        for d, (i, layer) in enumerate(pairs.tolist()):
            value = rest.get(i, left[:, i])
            k = np.searchsorted(self.edges[layer], value, side="right")
            rest[i] = (value - self.centres[layer][k]) / self.spread[layer]
            level[i, layer] = k
            odd[:, d] = 2 * k - (side - 1)
        sent.real[:, words:], sent.imag[:, words:] = odd[:, 0::2], odd[:, 1::2]
        counts = np.array(layout.increments)
        energy = np.add.reduceat(np.square(sent.real) + np.square(sent.imag), np.cumsum(counts) - counts, axis=1)
        scale = np.repeat(np.sqrt(energy / counts.astype(np.float32)), counts, axis=1)
        return (sent / scale).astype(np.complex64)

    def likelihood(self, symbols: NDArray[np.complex64], gamma: Floats, words: NDArray[np.bool_]) -> Floats:
        """Log-likelihood of each word but for a constant, float32 [B, C]. symbols: MMSE-equalised; words: which are."""
        corner = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], np.complex64) / np.float32(np.sqrt(2))
        soft = np.where(words, 2 * (1 + gamma) * symbols, 0)
        points = corner[self.words]
        return (soft.real @ points.real.T + soft.imag @ points.imag.T).astype(np.float32)

    def features(
        self, posterior: Floats, symbols: NDArray[np.complex64], gamma: Floats, words: NDArray[np.int64], jitter: Floats
    ) -> Floats:
        """Mean of the features given what was received, float32 [B, F]. posterior: float32 [B, C]; words: [B]."""
        side = self.centres.shape[1]
        power = self._power()
        lv = (2 * np.arange(side) - (side - 1)) / np.sqrt(power)
        u = np.zeros((len(symbols), self.means.shape[1]), np.float32)
        for count in np.unique(words):
            rows = np.flatnonzero(words == count)
            z, g = symbols[rows, count:], gamma[rows, count:]
            got = g > 0
            safe = np.where(got, g, 1.0)
            z = z * (1 + 1 / safe)
            parts = np.stack((z.real, z.imag), -1).reshape(len(rows), -1)
            snr, came = np.repeat(safe, 2, 1), np.repeat(got, 2, 1)
            sure, scale = np.ones((len(rows), u.shape[1]), np.float32), np.ones(u.shape[1], np.float32)
            est = np.zeros((len(rows), u.shape[1]), np.float32)
            for d, (i, layer) in enumerate(self.carried[: parts.shape[1]].tolist()):
                v = 0.5 / snr[:, d, None] + jitter * lv**2
                log = -((parts[:, d, None] - lv) ** 2) / (2 * v) - 0.5 * np.log(v) + np.log(self.prior[layer])
                p = np.exp(log - log.max(1, keepdims=True))
                p /= p.sum(1, keepdims=True)
                step = sure[:, i] * scale[i] * (p @ self.centres[layer])
                est[:, i] += np.where(came[:, d], step, 0)
                sure[:, i] = np.where(came[:, d], sure[:, i] * p.max(1) ** 2, 0)
                scale[i] *= self.spread[layer]
            u[rows] = est
        return (posterior @ self.means + u @ self.back).astype(np.float32)

    def _power(self) -> float:
        """Mean of what the levels' squares add up to in a symbol, odd whole numbers."""
        side = self.centres.shape[1]
        odd = 2 * np.arange(side) - (side - 1)
        return float(2 * (self.prior[0] * odd**2).sum())
