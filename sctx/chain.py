"""The transmitter's steps between which the rate is decided: image -> encoded -> symbols -> frame. numpy only.

Knows nothing about networks: those of a pair are in `pipeline.py`. An encoder from elsewhere stands here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError, ModelError
from common.pair.agreement import Agreement
from common.pair.networks import Backend
from common.phy.words import Words
from sctx.rate.distortion import Distortion

Encode = Callable[[NDArray[np.uint8], float], NDArray[np.complexfloating[Any]]]
"""images: uint8 [B, H, W, C] as agreed, and the SNR that was reported, in dB (NaN: none) -> complex [B, S], the full
ladder, unit mean power for each image: what any encoder is to a transmitter."""
Snr = float | NDArray[np.float32] | None
"""Reported SNR in dB, for all images or one each; None (or NaN) = no report."""
Count = int | NDArray[np.int64] | None
"""How many symbols of the ladder are the word's, for all images or one each; None: all of them."""
POWER_ERROR = 0.01


class Chain(ABC):
    """What a transmitter sends of an image by what it agreed on with the receiver."""

    backend: Backend | None = None
    """What runs the networks; None: they are not those of a pair."""
    words: Words | None = None
    """What decisions are sent as, where what `encode` gives begins with a decision; None: it does not."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement

    def distortion(self) -> Distortion | None:
        """What is missed of the features that symbols carry; None: they carry none that are known."""
        return None

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """images: uint8 [B, H, W, C] as agreed -> what of them does not depend on the SNR, [B, ...]."""

    @abstractmethod
    def modulate(self, encoded: NDArray[Any], snr_db: Snr = None, words: Count = None) -> NDArray[np.complex64]:
        """What `encode` gave -> the full ladder, complex64 [B, S], unit mean power per increment.

        words: how many of its symbols say the decision; the others say features.
        """

    def frame(self, symbols: NDArray[np.complex64], start: int, rate: int) -> NDArray[np.complex64]:
        """symbols: one image's full ladder, complex64 [S] -> pilots and increments start..rate, complex64 [P + n].

        Raises ModelError where they break the power constraint: more power would beat the channel.
        """
        sent = self.agreement.layout.frame(symbols, start, rate)
        power = float(np.vdot(sent, sent).real) / sent.size
        if not abs(power - 1.0) <= POWER_ERROR:  # not a number as well
            raise ModelError(f"pair {self.agreement.name}: symbols of mean power {power:g} instead of 1 were not sent; "
                             "its encoder gives no usable features, so train it again")  # fmt: skip
        return sent

    def _check(self, images: NDArray[np.uint8]) -> None:
        image = self.agreement.preprocess
        expected = (image.height, image.width, image.channels)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise DataError(
                f"images must be uint8 [B, {expected[0]}, {expected[1]}, {expected[2]}], not {images.dtype} "
                f"{list(images.shape)}; common.images.photo.fit_image makes one of any photograph"
            )


class GivenChain(Chain):
    """An encoder that somebody brought. What it sends may depend on the SNR, so `modulate` does it all."""

    def __init__(self, agreement: Agreement, encoder: Encode) -> None:
        super().__init__(agreement)
        self._encoder = encoder

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """images: uint8 [B, H, W, C] as agreed, and so they come back."""
        self._check(images)
        return images

    def modulate(self, encoded: NDArray[Any], snr_db: Snr = None, words: Count = None) -> NDArray[np.complex64]:
        """See `Chain`. snr_db: one for all; words: nothing to an encoder from elsewhere.

        ModelError where what the encoder gives is not complex [B, S].
        """
        given = np.asarray(self._encoder(encoded, np.nan if snr_db is None else float(snr_db)))
        expected = (len(encoded), self.agreement.layout.max_symbols)
        if given.dtype.kind != "c" or given.shape != expected:
            raise ModelError(
                f"the encoder of {self.agreement.name} gave {given.dtype} {list(given.shape)}, "
                f"and complex {list(expected)} is what was agreed on"
            )
        return given.astype(np.complex64)
