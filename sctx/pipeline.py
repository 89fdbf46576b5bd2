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

from common.pair.backend import open_networks
from common.pair.manifest import Manifest
from common.pair.networks import Modules, Networks, Signature
from sctx.chain import Chain, Snr
from sctx.modulate import modulate


def networks_of(manifest: Manifest) -> Networks:
    """The transmitter's networks: `encoder`, and `adapt` where the pair has a channel-adaptive module.

    encoder: images, uint8 [B, H, W, C] as the manifest says -> features, float32 [B, 2 S].
    adapt: features, and snr_db, float32 [B], NaN = no report -> adapted, float32 [B, 2 S], for that SNR.
    """
    image, wide = manifest.preprocess, (2 * manifest.layout.max_symbols,)
    pixels = {"images": ("uint8", (image.height, image.width, image.channels))}
    signatures = {"encoder": Signature(pixels, {"features": wide})}
    if manifest.encoder.adaptive:
        given = {"features": ("float32", wide), "snr_db": ("float32", ())}
        signatures["adapt"] = Signature(given, {"adapted": wide})
    return Networks(manifest, "encoder", signatures, _modules, many=True)


def _modules(manifest: Manifest) -> Modules:
    from sctx.encoder import modules

    return modules(manifest)


class TransmitChain(Chain):
    """Encoder, channel-adaptive module and modulator of one pair. device, backend: as of `open_networks`."""

    def __init__(self, manifest: Manifest, device: str = "cpu", backend: str = "torch") -> None:
        super().__init__(manifest)
        self.manifest = manifest
        self._networks = open_networks(networks_of(manifest), backend, device)
        self.backend = self._networks.backend

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """images: uint8 [B, H, W, C] as the manifest says -> features float32 [B, 2 S]."""
        self._check(images)
        return self._networks.run("encoder", images)[0]

    def modulate(self, encoded: NDArray[np.float32], snr_db: Snr) -> NDArray[np.complex64]:
        """encoded: features, float32 [B, 2 S] -> the full ladder, complex64 [B, S], unit mean power per increment."""
        return modulate(self.adapt(encoded, snr_db), self.agreement.layout, self.manifest.order)

    def adapt(self, features: NDArray[np.float32], snr_db: Snr) -> NDArray[np.float32]:
        """features: float32 [B, 2 S] -> the same for that SNR, where the pair has a channel-adaptive module."""
        if not self.manifest.encoder.adaptive:
            return features
        told = np.full(len(features), np.nan if snr_db is None else snr_db, np.float32)
        return self._networks.run("adapt", features, told)[0]
