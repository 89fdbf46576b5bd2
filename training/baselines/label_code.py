"""The label sent in the best words there are for it: the transmitter classifies, and a word says the class.

Knows nothing about how the classes are told. What the transmitter decides is the pair's own decision without noise, so
the pair's decoder is a part of its transmitter and counts there. Words: `words.py`.

    perfect     the receiver knows h: coherent, all uses for the word
    estimated   the better of two: non-coherent words, told by their energy; or a word in fewer uses beside P pilots

The better one, and P, are chosen for each n, SNR and channel on random words (`drawn_right` of `words.py`); no image is
looked at. Non-coherent words have won wherever it was tried: pilots with a word behind them are one such set of words,
and not the best.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.baselines.label_words import Words, decide, drawn_right, words_for
from training.baselines.remembered import Remembered
from training.systems import bounds
from training.systems.bench import Bench
from training.systems.carried import Carried
from training.systems.carry import Way
from training.systems.codec import Codec
from training.systems.system import Place, System

NAMES = ("label-code",)
PILOTS = (2, 3, 4, 6, 8, 12, 16)
"""How many are tried."""


Own = Callable[[NDArray[np.uint8]], NDArray[np.int64]]
"""Images, uint8 [B, H, W, C] -> the transmitter's own decisions, int64 [B]."""


class LabelCodec(Codec):
    """A word for each class."""

    def __init__(
        self, words: Words, own: Own, coherent: bool, parameters: int | None = None, macs: int | None = None
    ) -> None:
        """words: complex128 [C, n]; parameters, macs: of `own`."""
        self.symbols = words.shape[1]
        self.parameters, self.macs = parameters, macs
        self._words, self._own, self._coherent = words, own, coherent

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex128]:
        """See `Codec`."""
        return np.asarray(self._words[self._own(images)])

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        """See `Codec`. Equalised symbols weigh 1 + snr: that is the matched filter, over N0, of what was received."""
        heard = symbols.astype(np.complex128)
        return decide(self._words, heard * (1.0 + snr.astype(np.float64)) if self._coherent else heard, self._coherent)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The words: what both ends must hold."""
        return {"words": self._words}


def told_right(snr_db: float, uses: int, labels: int = 10) -> float:
    """Probability (0..1) that maximum likelihood finds the word of a simplex that was sent: coherent, AWGN.

    snr_db: Es/N0; uses: complex channel uses n. ValueError where the words do not fit into so many.
    """
    if 2 * uses < labels - 1:
        raise ValueError(f"{labels} labels need {labels - 1} real dimensions, and {uses} uses have {2 * uses}")
    return bounds.told_right(snr_db, uses, labels)


@cache
def best_pilots(labels: int, uses: int, channel: str, snr_db: float) -> int:
    """With estimated channels: the number of pilots at which most words are told right, 0: non-coherent words."""
    right = {0: drawn_right(words_for(labels, uses, coherent=False), channel, snr_db, None)}
    for pilots in PILOTS:
        if pilots < uses:
            right[pilots] = drawn_right(words_for(labels, uses - pilots, coherent=True), channel, snr_db, pilots)
    return max(right, key=lambda pilots: right[pilots])


class LabelCode(Carried):
    """The label in the best words, as each place asks for."""

    name = "label-code"

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._own = Remembered(bench.decide)

    def way(self, place: Place) -> Way:
        """See `Carried`."""
        labels, coherent, pilots = len(self.bench.classes), True, 0
        if place.csi == "estimated":
            pilots = best_pilots(labels, place.n, place.channel, place.snr_db)
            coherent = pilots > 0
        words = words_for(labels, place.n - pilots, coherent)
        return Way(LabelCodec(words, self._own, coherent, *self.bench.encoder_cost), pilots)

    @property
    def tx_accuracy(self) -> float:
        """See `System`."""
        return self.bench.tx_accuracy

    @property
    def macs(self) -> float:
        """See `System`: of the pair's encoder and decoder."""
        return float(self.bench.encoder_cost[1])

    @property
    def about(self) -> dict[str, Any]:
        """See `System`."""
        grid = ", ".join(map(str, PILOTS))
        return {
            "parameters": self.bench.encoder_cost[0],
            "sends": "the pair's own decision without noise, as a word",
            "tuning": f"with estimated channels {grid} pilots or none, for each n, SNR and channel, on random words",
            "held_to": "the integral of a simplex, the closed form of orthogonal words",
        }


def systems(bench: Bench) -> list[System]:
    """What this module compares with a pair."""
    return [LabelCode(bench)]
