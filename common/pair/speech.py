"""What the symbols of a pair say: the word of the transmitter's decision, then what that leaves of the features.

Knows nothing about networks, pilots or frames. numpy only; each half of a pair holds it, and both must agree.

    image -> decision c, features x          u = (x - means[c]) @ into,     x = means[c] + u @ back
    symbol s < words                         corner s of word c
    symbol s >= words                        two real dimensions of u, those that come at place s - words

How many symbols are the word's is control information: it depends on the reported SNR alone and travels in the header.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.pair.manifest import Half, Manifest
from common.pair.tensors import SPEECH, Tensors, below, checked, load_half
from common.phy.layout import Layout
from common.phy.refinement import Floats, Refinement
from common.phy.words import ABSENT, WORD, Words

REFINED = ("carried", "edges", "centres", "prior", "spread")


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """means: float32 [C, F]; into, back: float32 [F, F]; jitter: float32 [S], relative variance of a symbol's amplitude
    that comes of bringing each increment to unit power."""

    layout: Layout
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
        left: Floats = ((features - self.means[decided]) @ self.into).astype(np.float32)
        return left

    def features(self, decided: NDArray[np.int64], coordinates: Floats) -> Floats:
        """The reverse of `coordinates`: float32 [B, F]."""
        made: Floats = (self.means[decided] + coordinates @ self.back).astype(np.float32)
        return made

    def say(self, decided: NDArray[np.int64], coordinates: Floats, words: int) -> NDArray[np.complex64]:
        """The full ladder, complex64 [B, S], unit mean power per image and increment; its first `words` are the word's.

        Amplitudes are small sums of a few levels: every processor computes the same bits but for those of the scale.
        """
        words = min(words, self.symbols)
        sent = np.empty((len(decided), self.symbols), np.complex64)
        sent[:, :words] = self.words.points[decided, :words]
        amplitude = self.refinement.steps[self.refinement.levels(coordinates, self.symbols - words)]
        sent[:, words:].real, sent[:, words:].imag = amplitude[:, 0::2], amplitude[:, 1::2]
        scaled: NDArray[np.complex64] = (sent / np.sqrt(self._mean(sent.real**2 + sent.imag**2))).astype(np.complex64)
        return scaled

    def hear(
        self, symbols: NDArray[np.complex64], gamma: Floats, place: NDArray[np.int16], pilots: Floats
    ) -> tuple[Floats, Floats]:
        """Posterior of the words, float32 [B, C], and mean of the features, float32 [B, F].

        symbols: complex64 [B, S], MMSE-equalised; gamma: float32 [B, S], linear SNR, 0 where nothing came; place: int16
        [B, S], what each symbol is (`places`); pilots: float32 [B], as of `Words.likelihood`.
        """
        came = gamma > 0
        log = self.words.likelihood(symbols, gamma, came & (place == WORD), pilots)
        posterior = np.exp(log - log.max(-1, keepdims=True))
        posterior /= posterior.sum(-1, keepdims=True)
        evidence = self._evidence(symbols, gamma, np.where(came, place, ABSENT))
        u = self.refinement.estimate(evidence, self.means.shape[1])
        return posterior, posterior @ self.means + u @ self.back

    def _evidence(self, symbols: NDArray[np.complex64], gamma: Floats, place: NDArray[np.int16]) -> Floats:
        """Log-likelihood of every level of every dimension: float32 [B, 2 n, M], n symbols carry features."""
        row, s = np.nonzero(place >= 0)
        count = int(place.max(initial=-1)) + 1
        found = np.zeros((len(symbols), count, 2, self.refinement.steps.size), np.float32)
        g, x = gamma[row, s], symbols[row, s]
        x = x * (1 + 1 / g)
        # An increment was brought to unit power; by how much, its layers say but for chance, which is the jitter.
        power = np.concatenate(([1.0], self.refinement.power)).astype(np.float32)[np.maximum(place, WORD) + 1]
        steps = self.refinement.steps / np.sqrt(self._mean(power))[row, s][:, None]
        variance = 0.5 / g[:, None] + self.jitter[s][:, None] * steps**2
        parts = np.stack((x.real, x.imag), -1)[..., None]
        log = -((parts - steps[:, None]) ** 2) / (2 * variance[:, None]) - 0.5 * np.log(variance)[:, None]
        np.add.at(found, (row, place[row, s]), log.astype(np.float32))
        return found.reshape(len(symbols), 2 * count, self.refinement.steps.size)

    def _mean(self, power: Floats) -> Floats:
        """Mean over the increment that each symbol is of: float32 [B, S] -> [B, S]."""
        counts = np.array(self.layout.increments)
        mean = np.add.reduceat(power, np.cumsum(counts) - counts, axis=1) / counts
        spread: Floats = np.repeat(mean, counts, axis=1)
        return spread


def load_speech(manifest: Manifest, half: Half) -> Speech:
    """What a half of a pair holds of it; ModelError as of `speech_from`."""
    where = str(manifest.path / f"{half}.safetensors")
    return speech_from(below(load_half(manifest, half), SPEECH), manifest, where)


def tensors_of(speech: Speech) -> dict[str, NDArray[Any]]:
    """As a half's file holds it."""
    return {
        "corners": speech.words.corners, "means": speech.means, "into": speech.into, "back": speech.back,
        "jitter": speech.jitter, **{name: getattr(speech.refinement, name) for name in REFINED},
    }  # fmt: skip


def speech_from(tensors: Tensors, manifest: Manifest, where: str) -> Speech:
    """What `tensors_of` made. ModelError where it is none for this manifest. where: what to call it."""
    symbols, wide, classes = manifest.layout.max_symbols, manifest.features, len(manifest.labels)
    levels = int(manifest.order**0.5)
    shapes: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "corners": ("uint8", (classes, symbols)), "means": ("float32", (classes, wide)),
        "into": ("float32", (wide, wide)), "back": ("float32", (wide, wide)), "jitter": ("float32", (symbols,)),
        "carried": ("int16", (2 * symbols, 2)), "edges": ("float32", (None, levels - 1)),
        "centres": ("float32", (None, levels)), "prior": ("float32", (None, levels)), "spread": ("float32", (None,)),
    }  # fmt: skip
    checked(tensors, shapes, where)
    layers = {len(tensors[name]) for name in ("edges", "centres", "prior", "spread")}
    coordinate, layer = tensors["carried"].T
    order = np.argsort(coordinate, kind="stable")
    again = np.diff(coordinate[order]) == 0
    sound = (
        len(layers) == 1 and tensors["corners"].max() < 4 and coordinate.min() >= 0 and coordinate.max() < wide
        and layer.min() >= 0 and layer.max() < min(layers) and (np.diff(layer[order])[again] > 0).all()
        and (tensors["spread"] > 0).all() and (tensors["prior"] >= 0).all() and tensors["prior"][0].sum() > 0
        and (tensors["jitter"] >= 0).all() and (np.diff(tensors["edges"], axis=1) >= 0).all()
    )  # fmt: skip
    if not sound:
        raise ModelError(f"{where}: what it says symbols mean contradicts itself; restore or train the pair again")
    refinement = Refinement(**{name: tensors[name] for name in REFINED})
    means, into, back, jitter = (tensors[name] for name in ("means", "into", "back", "jitter"))
    return Speech(manifest.layout, Words(tensors["corners"]), refinement, means, into, back, jitter)
