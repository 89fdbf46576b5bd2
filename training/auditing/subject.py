"""What is audited: a codec that can be made anew, images, and the way over which its symbols are heard.

Knows nothing about what is checked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrx.demodulation.demodulate import SoftBatch
from training.systems import carry
from training.systems.carry import Way
from training.systems.codec import Codec
from training.systems.system import Place

Hear = Callable[[Way, NDArray[np.complex64], Place, int, int], SoftBatch]
"""way, symbols, place, stream, seed -> what a decoder is given: `carry.hear`, or what is held to it."""
CLEAR_DB, MIDDLE_DB, NOTHING_DB = 20.0, 3.0, -60.0


@dataclass(frozen=True)
class Subject:
    """A codec and how it is used.

    make: a codec that has seen nothing yet; it crosses to another process where `elsewhere` is true. images: uint8
    [N, H, W, C]; labels: int64 [N], which no codec is given. pilots: of its way, where the channel is estimated.
    """

    name: str
    make: Callable[[], Codec]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pilots: int = 0
    csi: str = "perfect"
    hear: Hear = field(default=carry.hear)
    told_db: float = 10.0
    elsewhere: bool = False

    @cached_property
    def codec(self) -> Codec:
        """The one that is asked most."""
        return self.make()

    @cached_property
    def symbols(self) -> NDArray[np.complex64]:
        """What it sends for all images in one batch: complex64 [N, S]."""
        return self.encode(self.images)

    @cached_property
    def received(self) -> SoftBatch:
        """The same at 3 dB, where some answers are wrong and none is far from it."""
        return self.over(self.symbols, MIDDLE_DB)

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """What it answers to that in one batch: int64 [N]."""
        return self.decode(self.received)

    def place(self, symbols: int, snr_db: float, channel: str = "awgn") -> Place:
        """Where it sends so many symbols."""
        return Place(channel, self.csi, symbols + (self.pilots if self.csi == "estimated" else 0), snr_db)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """By the codec that is asked most, told `told_db`; of a copy, whatever it does to it."""
        return np.asarray(self.codec.encode_told(images.copy(), self.told_db)).astype(np.complex64)

    def decode(self, soft: SoftBatch, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.int64]:
        """Its answers to a copy of some rows, of a transmitter that was told `told_db`."""
        return self.answers_of(self.codec, soft, rows).astype(np.int64)

    def answers_of(self, codec: Codec, soft: SoftBatch, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[Any]:
        """The same of any codec, as it gives them."""
        return np.asarray(codec.decode_told(soft.symbols[rows].copy(), soft.gamma[rows].copy(), self.told_db))

    def over(self, symbols: NDArray[np.complex64], snr_db: float, channel: str = "awgn", seed: int = 0) -> SoftBatch:
        """Symbols, complex64 [N, S], as its receiver has them at a place."""
        place = self.place(self.codec.symbols, snr_db, channel)
        return self.hear(Way(self.codec, self.pilots), symbols, place, 0, seed)

    def out_of_noise(self, channel: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Answers where nothing can be heard, and the labels of what was sent: three samples."""
        for seed in range(3):
            yield self.decode(self.over(self.symbols, NOTHING_DB, channel, seed)), self.labels
