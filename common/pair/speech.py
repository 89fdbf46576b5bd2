"""What the symbols of a pair say: the word of the transmitter's decision, then what the decision leaves of the features.

Knows nothing about networks, pilots or frames. numpy only; each half of a pair holds it, and both must agree.

    image -> decision c, features x          u = (x - means[c]) @ into,     x = means[c] + u @ back
    symbol s < words                         corner s of word c
    symbol s >= words                        two real dimensions of u, those that come at place s - words

How many symbols are the word's is control information: it depends on the reported SNR alone and travels in the header.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phy.layout import Layout
from common.phy.refinement import Floats, Refinement
from common.phy.words import Words

WORD, ABSENT = -1, -2
"""In the place of a symbol's number among those that carry features: it is a word's; it has not come."""


def places(symbols: int, words: int) -> NDArray[np.int16]:
    """What each symbol of the ladder is, where the first `words` are the word's: int16 [S]."""
    found = np.arange(symbols, dtype=np.int16) - np.int16(min(words, symbols))
    return np.maximum(found, WORD)


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """means: float32 [C, F]; into, back: float32 [F, F]; jitter: float32 [S], relative variance of a symbol's amplitude,
    since each increment is brought to unit power."""

    words: Words
    refinement: Refinement
    means: Floats
    into: Floats
    back: Floats
    jitter: Floats

    @property
    def symbols(self) -> int:
        """Of the whole ladder, S."""
        return int(self.words.corners.shape[1])

    def coordinates(self, decided: NDArray[np.int64], features: Floats) -> Floats:
        """decided: int64 [B]; features: float32 [B, F] -> what the decision leaves of them, float32 [B, F]."""
        return (features - self.means[decided]) @ self.into

    def say(self, decided: NDArray[np.int64], coordinates: Floats, words: int, layout: Layout) -> NDArray[np.complex64]:
        """The full ladder, complex64 [B, S], unit mean power per image and increment."""
        words = min(words, self.symbols)
        sent = np.empty((len(decided), self.symbols), np.complex64)
        sent[:, :words] = self.words.points[decided, :words]
        amplitude = self.refinement.steps[self.refinement.levels(coordinates, self.symbols - words)]
        sent[:, words:].real, sent[:, words:].imag = amplitude[:, 0::2], amplitude[:, 1::2]
        counts = np.array(layout.increments)
        power = np.add.reduceat(sent.real**2 + sent.imag**2, np.cumsum(counts) - counts, axis=1) / counts
        return (sent / np.repeat(np.sqrt(power), counts, axis=1)).astype(np.complex64)

    def hear(
        self, symbols: NDArray[np.complex64], gamma: Floats, place: NDArray[np.int16]
    ) -> tuple[Floats, Floats]:
        """Posterior of the words, float32 [B, C], and mean of the features, float32 [B, F].

        symbols: complex64 [B, S], MMSE-equalised; gamma: float32 [B, S], linear SNR, 0 where nothing came; place: int16
        [B, S], what each symbol is (`places`).
        """
        came = gamma > 0
        log = self.words.likelihood(symbols, gamma, came & (place == WORD))
        posterior = np.exp(log - log.max(-1, keepdims=True))
        posterior /= posterior.sum(-1, keepdims=True)
        evidence = self._evidence(symbols, gamma, np.where(came, place, ABSENT))
        u = self.refinement.estimate(evidence, self.means.shape[1])
        return posterior, posterior @ self.means + u @ self.back

    def _evidence(self, symbols: NDArray[np.complex64], gamma: Floats, place: NDArray[np.int16]) -> Floats:
        """Log-likelihood of every level of every dimension: float32 [B, 2 n, M], n symbols carry features."""
        steps = self.refinement.steps
        row, s = np.nonzero(place >= 0)
        count = int(place.max(initial=-1)) + 1
        found = np.zeros((len(symbols), count, 2, len(steps)), np.float32)
        g, x = gamma[row, s], symbols[row, s]
        x = x * (1 + 1 / g)
        variance = 0.5 / g[:, None] + self.jitter[s][:, None] * steps**2
        parts = np.stack((x.real, x.imag), -1)[..., None]
        log = -((parts - steps) ** 2) / (2 * variance[:, None]) - 0.5 * np.log(variance)[:, None]
        np.add.at(found, (row, place[row, s]), log.astype(np.float32))
        return found.reshape(len(symbols), 2 * count, len(steps))
