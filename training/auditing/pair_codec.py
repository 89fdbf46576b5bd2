"""A pair as a codec: the same two chains as of the link, for those who take any codec.

Knows nothing about channels.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.pair.manifest import find_pair
from common.phy.words import places
from scrx.decoding.answerer import Answerer
from scrx.demodulation.demodulate import SoftBatch
from sctx.pipeline import TransmitChain
from sctx.rate.decision import words_told
from sctx.settings import Settings
from training.systems.codec import Codec


class PairCodec(Codec):
    """A prefix of a pair's symbols. name: shipped, or a folder; symbols: one of its rates, None: all."""

    def __init__(self, name: str | Path, symbols: int | None = None, device: str = "cpu") -> None:
        self.manifest = find_pair(name)
        self.symbols = symbols or self.manifest.layout.max_symbols
        self.chain, self._answerer = TransmitChain(self.manifest, device), Answerer(self.manifest)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """See `Codec`; without a report."""
        return self.encode_told(images, math.nan)

    def encode_told(self, images: NDArray[np.uint8], told_db: float) -> NDArray[np.complex64]:
        """See `Codec`."""
        return self.chain.modulate(self.chain.encode(images), told_db, self._words(told_db))[:, : self.symbols]

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        """See `Codec`; of a transmitter without a report."""
        return self.decode_told(symbols, snr, math.nan)

    def decode_told(
        self, symbols: NDArray[np.complex64], snr: NDArray[np.float32], told_db: float
    ) -> NDArray[np.int64]:
        """See `Codec`."""
        decided: NDArray[np.int64] = self.logits(symbols, snr, told_db).argmax(-1)
        return decided

    def logits(
        self, symbols: NDArray[np.complex64], snr: NDArray[np.float32], told_db: float = math.nan
    ) -> NDArray[np.float32]:
        """float32 [B, C]; what was not sent is 0, as it is to the receiver."""
        whole, more = self.manifest.layout.max_symbols, ((0, 0), (0, self.manifest.layout.max_symbols - self.symbols))
        words = self._words(told_db)
        place = np.broadcast_to(places(whole, whole if words is None else words), (len(symbols), whole))
        return self._answerer.logits(SoftBatch(np.pad(symbols, more), np.pad(snr, more), place, ()))

    def _words(self, told_db: float) -> int | None:
        return words_told(self.manifest, told_db, Settings().features, fading=False)
