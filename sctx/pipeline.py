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
    chain.py            pilots + increments start..rate           |   decoding/decoder.py  embedding and heads
         | complex64 [P + n]                                      |        |
    session.py          sequence, credit, deadline                +-- feedback.py          answer, SNR, credit
         |
    link.py             DEALER --> common/channel (noise, fading) --> link.py

Knows nothing about sockets, sessions or which rate to choose.
"""

import numpy as np
from numpy.typing import NDArray

from common.pair.manifest import Manifest
from sctx.chain import Chain, Snr
from sctx.encoder import FeatureSender
from sctx.modulate import modulate


class TransmitChain(Chain):
    """Encoder, channel-adaptive module and modulator of one pair. device: "auto", "cpu" or "cuda[:N]"."""

    def __init__(self, manifest: Manifest, device: str = "cpu") -> None:
        super().__init__(manifest)
        self.manifest = manifest
        self._networks = FeatureSender(manifest, device)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """images: uint8 [B, H, W, C] as the manifest says -> features float32 [B, 2 S]."""
        self._check(images)
        return self._networks.encode(images)

    def modulate(self, encoded: NDArray[np.float32], snr_db: Snr) -> NDArray[np.complex64]:
        """encoded: features, float32 [B, 2 S] -> the full ladder, complex64 [B, S], unit mean power per increment."""
        told = np.full(len(encoded), np.nan if snr_db is None else snr_db, np.float32)
        return modulate(self._networks.adapt(encoded, told), self.agreement.layout, self.manifest.order)
