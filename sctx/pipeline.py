"""The transmitter's chain, image to frame; this diagram is the whole system, in order, one file per noun.

    TRANSMITTER                                                       RECEIVER
    capture/source.py   image + capture time                          link.py              ROUTER, the only socket
         | uint8 [B, H, W, C]                                              | complex64 [P + n]
    encoder.py          X0 = R_alpha(image)                           sessions/table.py    whose frame it is
         | float [B, 2 S]                                                  |
    adapt.py            X = Phi_theta(X0, snr) * X0  <-- snr_db --+   demodulation/        pilots -> h^, N0, SNR
         | float [B, 2 S]                                         |        |
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
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import DataError, ModelError
from common.pair.device import one_thread
from common.pair.manifest import Manifest, built, load_half
from common.phy.layout import pilot_sequence
from common.text import safe
from sctx.adapt import ChannelAdaptive
from sctx.encoder import Encoder
from sctx.modulate import modulate

Snr = float | NDArray[np.float32] | None
"""Reported SNR in dB, for all images or one each; None (or NaN) = no report."""
POWER_ERROR = 0.01


class TransmitChain:
    """Encoder, channel-adaptive module and modulator of one pair, in evaluation mode."""

    def __init__(self, manifest: Manifest, device: torch.device | str = "cpu") -> None:
        layout, image = manifest.layout, manifest.preprocess
        width = 2 * layout.max_symbols
        weights = load_half(manifest, "encoder")
        self.manifest = manifest
        self.device = torch.device(device)
        shape, symbols, where = manifest.encoder, layout.max_symbols, str(manifest.path / "encoder.safetensors")
        parts, least = _parts(manifest, weights), shape.weights(symbols)
        encoder = built(lambda: Encoder(shape, image.channels, symbols), least, parts["encoder"], where)
        self.encoder, self.adapt = encoder.to(self.device), None
        if shape.adaptive:
            self.adapt = built(lambda: ChannelAdaptive(width), 2 * width, parts["adapt"], where).to(self.device)
        self._pilots = pilot_sequence(layout.pilots)

    @torch.inference_mode()
    def encode(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] as the manifest says -> features float [B, 2 S]."""
        image = self.manifest.preprocess
        expected = (image.height, image.width, image.channels)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise DataError(
                f"images must be uint8 [B, {expected[0]}, {expected[1]}, {expected[2]}], not {images.dtype} "
                f"{list(images.shape)}; common.images.photo.fit_image makes one of any photograph"
            )
        with one_thread(self.device, len(images)):
            features: Tensor = self.encoder(normalise(torch.from_numpy(images).to(self.device), image.mean, image.std))
        return features

    @torch.inference_mode()
    def modulate(self, features: Tensor, snr_db: Snr) -> NDArray[np.complex64]:
        """features: float [B, 2 S] -> the full ladder, complex64 [B, S], unit mean power per increment."""
        with one_thread(self.device, len(features)):
            if self.adapt is not None:
                told = np.full(len(features), np.nan, np.float32)
                if snr_db is not None:
                    told[:] = snr_db
                features = self.adapt(features, torch.from_numpy(told).to(self.device))
            sent = modulate(features, self.manifest.layout, self.manifest.order).symbols
        symbols: NDArray[np.complex64] = sent.cpu().numpy()
        return symbols

    def frame(self, symbols: NDArray[np.complex64], start: int, rate: int) -> NDArray[np.complex64]:
        """symbols: one image's full ladder, complex64 [S] -> pilots and increments start..rate, complex64 [P + n].

        Raises ModelError where they break the power constraint: more power would beat the channel.
        """
        sent = np.concatenate((self._pilots, symbols[self.manifest.layout.span(start, rate)]))
        power = float(np.vdot(sent, sent).real) / sent.size
        if not abs(power - 1.0) <= POWER_ERROR:  # not a number as well
            raise ModelError(f"pair {self.manifest.name}: symbols of mean power {power:g} instead of 1 were not sent; "
                             "its encoder gives no usable features, so train it again")  # fmt: skip
        return sent


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """images: uint8 [B, H, W, C] -> float [B, C, H, W], (pixel/255 - mean)/std per channel."""
    scaled = images.float() / 255.0
    return ((scaled - scaled.new_tensor(mean)) / scaled.new_tensor(std)).permute(0, 3, 1, 2)


def _parts(manifest: Manifest, weights: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The encoder's file by networks: those that the manifest says it has, and nothing beside them."""
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "adapt": {}}
    has = {"encoder": True, "adapt": manifest.encoder.adaptive}
    for name, tensor in weights.items():
        part, _, rest = name.partition(".")
        if not has.get(part):
            raise ModelError(f"{manifest.path / 'encoder.safetensors'} has a strange tensor '{safe(name)}'")
        parts[part][rest] = tensor
    return parts
