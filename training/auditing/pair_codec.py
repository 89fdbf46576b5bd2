"""A pair as a codec: the same two chains as of the link, for those who take any codec.

Knows nothing about channels.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.pair.manifest import find_pair
from scrx.decoding.answerer import Answerer
from sctx.pipeline import TransmitChain
from training.systems.codec import Codec


class PairCodec(Codec):
    """A prefix of a pair's symbols. name: shipped, or a folder; symbols: one of its rates, None: all."""

    def __init__(self, name: str | Path, symbols: int | None = None, device: str = "cpu") -> None:
        self.manifest = find_pair(name)
        self.symbols = symbols or self.manifest.layout.max_symbols
        self.chain, self._answerer = TransmitChain(self.manifest, device), Answerer(self.manifest, device)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """See `Codec`; without a report."""
        return self.encode_told(images, math.nan)

    def encode_told(self, images: NDArray[np.uint8], told_db: float) -> NDArray[np.complex64]:
        """See `Codec`."""
        return self.chain.modulate(self.chain.encode(images), told_db)[:, : self.symbols]

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        """See `Codec`."""
        decided: NDArray[np.int64] = self.logits(symbols, snr).argmax(-1)
        return decided

    def logits(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [B, C]; what was not sent is 0, as it is to the receiver."""
        more = (0, 0), (0, self.manifest.layout.max_symbols - self.symbols)
        return self._answerer.logits(np.pad(symbols, more), np.pad(snr, more))
