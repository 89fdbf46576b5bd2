"""The entrance for any encoder and decoder: images -> symbols, symbols -> answers. Knows nothing about channels.

Whoever has a method writes one class, and all that is done to ours can be done to it: every suite, the audit, the link.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Codec(ABC):
    """One way to say what an image is in `symbols` complex channel uses.

    Each image is sent by itself: what is sent for it, and what is answered, must not depend on the others of its batch.
    """

    symbols: int
    """Complex symbols per image, S; pilots are not among them."""
    macs: float | None = None
    """Multiply-accumulates of `encode` for one image; None: not counted."""
    parameters: int | None = None
    """Numbers that `encode` has learnt; None: not counted."""

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complexfloating[Any]]:
        """images: uint8 [B, H, W, C] -> complex [B, S], of unit mean power for each image."""

    @abstractmethod
    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.integer[Any]]:
        """symbols: complex64 [B, S], equalised; snr: float32 [B, S], linear -> the class of each image, int [B].

        An equalised symbol is x snr/(1 + snr) plus noise: the linear estimate of least mean square error of a symbol of
        unit power. Without pilots (`pilots=0` of a way) it is what came off the air, at any phase, and snr is 1.
        """

    def encode_told(self, images: NDArray[np.uint8], told_db: float) -> NDArray[np.complexfloating[Any]]:
        """As `encode`, for a transmitter that was told the average SNR, Es/N0 in dB; NaN: nothing was reported."""
        return self.encode(images)

    def decode_told(
        self, symbols: NDArray[np.complex64], snr: NDArray[np.float32], told_db: float
    ) -> NDArray[np.integer[Any]]:
        """As `decode`, for a receiver that knows by the header what the transmitter was told."""
        return self.decode(symbols, snr)

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """What it has learnt, by name: where these are the same, both ends of a link hold the same codec."""
        return {}
