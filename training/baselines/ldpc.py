"""Bits in 5G LDPC words on square QAM: the air interface that pictures are sent with. Knows nothing about pictures.

Sionna does the work (Apache-2.0): LDPC of 3GPP TS 38.212 with its rate matching and bit interleaver, 20 iterations of
belief propagation; QAM of TS 38.211 with exact bit likelihoods. Each word is scaled to unit mean power, as all that is
sent here. QPSK is so already; the scale of 16-QAM and 64-QAM, sqrt(mean |q|^2) of the points q of a word, is told by
the receiver from what it hears: the likeliest of a few, whose prior is a normal one of variance (E|q|^4 - 1)/(4 n).
"""

import numpy as np
from numpy.typing import NDArray

from common.phy.constellation import levels

CPU = "cpu"
"""Where Sionna's blocks run, whatever else there is: what they are given comes from numpy."""
LOWEST_RATE, HIGHEST_RATE = 0.2, 0.925
"""Of information to code bits, as the standard has them: 1/5 of base graph 2, 948/1024 of its highest rate."""
DECODED = 256
"""Words that are decoded at a time, so that they fit into memory."""
SCALES = np.linspace(-2.5, 2.5, 11)
"""Deviations from 1 that are tried, in standard deviations."""
QUIET, SURE = 1e-3, 1e4
"""Limits of the linear SNR of a symbol."""


def fits(bits: int, uses: int, order_bits: int) -> bool:
    """Whether the standard has a rate for so many bits in so many uses with so many code bits each."""
    return LOWEST_RATE <= bits / (uses * order_bits) <= HIGHEST_RATE and bits >= 12


class LdpcQam:
    """`bits` bits in `uses` complex uses, `order_bits` code bits each (2, 4, 6). Sionna is imported here."""

    def __init__(self, bits: int, uses: int, order_bits: int) -> None:
        from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
        from sionna.phy.mapping import Demapper, Mapper

        if not fits(bits, uses, order_bits):
            raise ValueError(f"5G LDPC has no rate for {bits} bits in {uses} uses of {order_bits} code bits")
        self.bits, self.uses, self.order_bits = bits, uses, order_bits
        self._encoder = LDPC5GEncoder(bits, uses * order_bits, num_bits_per_symbol=order_bits, device=CPU)
        self._decoder = LDPC5GDecoder(self._encoder, device=CPU)
        self._levels = levels(2**order_bits).astype(np.float64)
        self._mapper = Mapper("qam", order_bits, device=CPU)
        self._demapper = Demapper("app", "qam", order_bits, device=CPU)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """bits: uint8 [B, k], 0 or 1 -> symbols, complex64 [B, n], unit mean power each."""
        import torch

        with torch.inference_mode():
            symbols = self._mapper(self._encoder(torch.from_numpy(bits.astype(np.float32)))).numpy()
        return np.asarray(symbols / np.sqrt(np.mean(np.abs(symbols) ** 2, 1, keepdims=True)), np.complex64)

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.uint8]:
        """As `Codec.decode` has them: symbols, complex64 [B, n], and snr, float32 [B, n] -> bits, uint8 [B, k]."""
        parts = range(0, len(symbols), DECODED)
        found = [self._decode(symbols[at : at + DECODED], snr[at : at + DECODED]) for at in parts]
        return np.concatenate(found) if found else np.zeros((0, self.bits), np.uint8)

    def _decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.uint8]:
        import torch

        known = np.clip(snr, QUIET, SURE)
        heard = (symbols * (1.0 + known) / known).astype(np.complex64)
        scale = self._scales(heard, known)[:, None]
        heard, known = heard * scale, known / scale**2
        with torch.inference_mode():
            ratios = self._demapper(torch.from_numpy(heard), torch.from_numpy(1.0 / known))
            return np.asarray(self._decoder(ratios).numpy(), np.uint8)

    def _scales(self, heard: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.float32]:
        """sqrt(mean |q|^2) of each word, most likely: symbols plus noise, complex64 [B, n] -> float32 [B]."""
        if len(self._levels) == 2:
            return np.ones(len(heard), np.float32)
        fourth = 2.0 * (self._levels**4).mean() + 0.5  # E|q|^4, as E|q|^2 = 1
        scales = 1.0 + SCALES * np.sqrt((fourth - 1.0) / (4.0 * self.uses))
        points = self._levels / scales[:, None]
        parts = np.concatenate((heard.real, heard.imag), 1)[:, :, None, None]
        exponent = -np.concatenate((snr, snr), 1)[:, :, None, None] * (parts - points) ** 2
        likelihood = np.logaddexp.reduce(exponent, -1).sum(1) - SCALES**2 / 2
        return np.asarray(scales[likelihood.argmax(1)], np.float32)
