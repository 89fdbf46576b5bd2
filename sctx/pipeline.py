"""The transmitter's chain, image to frame; this diagram is the whole system, in order, one file per noun.

    TRANSMITTER                                                       RECEIVER
    capture/source.py   image + capture time                          link.py              ROUTER, the only socket
         | uint8 [B, H, W, C]                                              | complex64 [P + n]
    encoder.py          X0 = R_alpha(image) and its decision          sessions/table.py    whose frame it is
         | float32 [B, 1 + F]                                              |
    rate/               how many symbols, and how many                demodulation/        pilots -> h^, N0, SNR
         | of them the word's   <---------------- SNR ------------+        |
    speech              the word, then features refined, QAM      |        |               MMSE -> x^, gamma per symbol
         | complex64 [B, S]                                       |        | complex64 [B, S], float32 [B, S]
    chain.py            pilots + increments start..rate           |   decoding/            words -> posterior, features
         | complex64 [P + n]                                      |        |
    session.py          sequence, credit, deadline                +-- feedback.py          answer, SNR, credit
         |
    link.py             DEALER --> common/channel (noise, fading) --> link.py

What symbols say is in `common/pair/speech.py`. Knows nothing about sockets, sessions or which rate to choose.
"""

import numpy as np
from numpy.typing import NDArray

from common.pair.backend import open_networks
from common.pair.manifest import Manifest
from common.pair.networks import Modules, Networks, Signature
from common.pair.speech import load_speech
from sctx.chain import Chain, Count, Snr
from sctx.rate.distortion import Distortion, distortion_of


def networks_of(manifest: Manifest) -> Networks:
    """The transmitter's one network, `encoder`.

    images, uint8 [B, H, W, C] as the manifest says -> features, float32 [B, F], and logits, float32 [B, classes].
    """
    image = manifest.preprocess
    pixels = {"images": ("uint8", (image.height, image.width, image.channels))}
    made = {"features": (manifest.features,), "logits": (len(manifest.labels),)}
    return Networks(manifest, "encoder", {"encoder": Signature(pixels, made)}, _modules, many=True)


def _modules(manifest: Manifest) -> Modules:
    from sctx.encoder import modules

    return modules(manifest)


class TransmitChain(Chain):
    """Encoder of one pair, and what it says on the air. device, backend: as of `open_networks`."""

    def __init__(self, manifest: Manifest, device: str = "cpu", backend: str = "torch") -> None:
        super().__init__(manifest)
        self.manifest = manifest
        self.networks = open_networks(networks_of(manifest), backend, device)
        self._speech = load_speech(manifest, "encoder")
        self.backend, self.words = self.networks.backend, self._speech.words

    def distortion(self) -> Distortion:
        """See `Chain`."""
        return distortion_of(self._speech)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """images: uint8 [B, H, W, C] as the manifest says -> float32 [B, 1 + F]: the decision, then coordinates."""
        self._check(images)
        features, logits = self.networks.run("encoder", images)
        decided = logits.argmax(-1)
        return np.column_stack((decided, self._speech.coordinates(decided, features))).astype(np.float32)

    def features(self, encoded: NDArray[np.float32]) -> NDArray[np.float32]:
        """encoded: float32 [B, 1 + F] -> the features that it was made of, float32 [B, F]."""
        return self._speech.features(encoded[:, 0].astype(np.int64), encoded[:, 1:])

    def modulate(self, encoded: NDArray[np.float32], snr_db: Snr = None, words: Count = None) -> NDArray[np.complex64]:
        """See `Chain`. encoded: float32 [B, 1 + F]; snr_db is not looked at, for `words` says all that it would."""
        decided, coordinates = encoded[:, 0].astype(np.int64), encoded[:, 1:]
        symbols = self._speech.symbols
        count = np.broadcast_to(symbols if words is None else words, len(encoded))
        sent = np.empty((len(encoded), symbols), np.complex64)
        for one in np.unique(count).tolist():
            rows = count == one
            sent[rows] = self._speech.say(decided[rows], coordinates[rows], one)
        return sent
