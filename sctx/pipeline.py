"""The transmitter's chain, image to frame; this diagram is the whole system, in order, one file per noun.

    TRANSMITTER                                                       RECEIVER
    capture/source.py   image + capture time                          link.py              ROUTER, the only socket
         | uint8 [B, H, W, C]                                              | complex64 [P + n]
    encoder.py          X0 = R_alpha(image)                           sessions/table.py    whose frame it is
         | float32 [B, 2 S]                                                |
      its adaptive      X = Phi_theta(X0, snr) * X0  <-- snr_db --+   demodulation/        pilots -> h^, N0, SNR
         | float32 [B, 2 S]                                       |        |
    modulate.py         QAM, unit power per increment             |        |               MMSE -> x^, gamma per symbol
         | complex64 [B, S]                                       |        | complex64 [B, S], float32 [B, S]
    frame()             pilots + increments start..rate           |   decoding/decoder.py  embedding and heads
         | complex64 [P + n]                                      |        |
    session.py          sequence, credit, deadline                +-- feedback.py          answer, SNR, credit
         |
    link.py             DEALER --> common/channel (noise, fading) --> link.py

Knows nothing about sockets, sessions or which rate to choose.
"""

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError, ModelError
from common.pair.manifest import Manifest
from sctx.encoder import FeatureSender
from sctx.modulate import modulate

Snr = float | NDArray[np.float32] | None
"""Reported SNR in dB, for all images or one each; None (or NaN) = no report."""
POWER_ERROR = 0.01


class TransmitChain:
    """Encoder, channel-adaptive module and modulator of one pair. device: "auto", "cpu" or "cuda[:N]"."""

    def __init__(self, manifest: Manifest, device: str = "cpu") -> None:
        self.manifest = manifest
        self._networks = FeatureSender(manifest, device)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """images: uint8 [B, H, W, C] as the manifest says -> features float32 [B, 2 S]."""
        image = self.manifest.preprocess
        expected = (image.height, image.width, image.channels)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise DataError(
                f"images must be uint8 [B, {expected[0]}, {expected[1]}, {expected[2]}], not {images.dtype} "
                f"{list(images.shape)}; common.images.photo.fit_image makes one of any photograph"
            )
        return self._networks.encode(images)

    def modulate(self, features: NDArray[np.float32], snr_db: Snr) -> NDArray[np.complex64]:
        """features: float32 [B, 2 S] -> the full ladder, complex64 [B, S], unit mean power per increment."""
        told = np.full(len(features), np.nan if snr_db is None else snr_db, np.float32)
        return modulate(self._networks.adapt(features, told), self.manifest.layout, self.manifest.order)

    def frame(self, symbols: NDArray[np.complex64], start: int, rate: int) -> NDArray[np.complex64]:
        """symbols: one image's full ladder, complex64 [S] -> pilots and increments start..rate, complex64 [P + n].

        Raises ModelError where they break the power constraint: more power would beat the channel.
        """
        sent = self.manifest.layout.frame(symbols, start, rate)
        power = float(np.vdot(sent, sent).real) / sent.size
        if not abs(power - 1.0) <= POWER_ERROR:  # not a number as well
            raise ModelError(f"pair {self.manifest.name}: symbols of mean power {power:g} instead of 1 were not sent; "
                             "its encoder gives no usable features, so train it again")  # fmt: skip
        return sent
