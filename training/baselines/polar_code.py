"""Polar codes of 13 to 64 bits, decoded by successive cancellation with a list. Knows nothing about symbols.

Sionna does the work (Apache-2.0; Tal and Vardy 2015; the order of reliability is that of 3GPP TS 38.212, table
5.3.1.2-1). The mother code has the next power of two of code bits; those too many are punctured where less than 7/16
of the code bits are information, and shortened where more (as in TS 38.212, 5.4.1.1, but at the ends). At
these lengths 6 bits of CRC pay from 48 code bits on, and the 11 of the standard nowhere: a test holds the code to be
better than the standard's own.
"""

import math

import numpy as np
from numpy.typing import NDArray

LIST = 32
CRC, CRC_BITS = "CRC6", 6
CRC_FROM = 48
"""Code bits from which a CRC chooses among the list, where it leaves a tenth of them for parity."""
LEAST_MOTHER = 32
"""Code bits of the shortest code whose order of reliability is in the standard."""
PUNCTURED = 7 / 16
CPU = "cpu"
"""Where Sionna's blocks run, whatever else there is: what they are given comes from numpy."""
CERTAIN = 100.0
"""Log-likelihood of a code bit that was shortened."""
DECODED = 1024
"""Words that are decoded at a time, so that they fit into memory."""


class PolarCode:
    """k bits in `length` code bits, k <= length; Sionna, which takes seconds to import, is imported here."""

    def __init__(self, bits: int, length: int) -> None:
        from sionna.phy.fec.crc import CRCEncoder
        from sionna.phy.fec.polar import PolarEncoder, PolarSCLDecoder
        from sionna.phy.fec.polar.utils import generate_5g_ranking

        crc = length >= CRC_FROM and bits + CRC_BITS <= 0.9 * length
        coded = bits + CRC_BITS * crc
        mother = max(1 << math.ceil(math.log2(length)), LEAST_MOTHER)
        shortened = coded / length > PUNCTURED
        self._sent = slice(0, length) if shortened else slice(mother - length, mother)
        self._unsent = CERTAIN if shortened else 0.0
        order = generate_5g_ranking(0, mother, sort=False)[0]
        free = [at for at in order if self._sent.start <= at < self._sent.stop]
        frozen = np.setdiff1d(np.arange(mother), free[-coded:])
        self._bits, self._mother = bits, mother
        self._crc = CRCEncoder(CRC, k=bits, device=CPU) if crc else None
        self._encoder = PolarEncoder(frozen, mother, device=CPU)
        degree = CRC if crc else None
        self._decoder = PolarSCLDecoder(frozen, mother, list_size=LIST, crc_degree=degree, device=CPU)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """bits: uint8 [B, k], 0 or 1 -> code bits, uint8 [B, length]."""
        import torch

        with torch.inference_mode():
            information = torch.from_numpy(bits.astype(np.float32))
            words = self._encoder(self._crc(information) if self._crc else information)
        return np.asarray(words.numpy()[:, self._sent], np.uint8)

    def decode(self, likelihoods: NDArray[np.float64]) -> NDArray[np.uint8]:
        """log p(0)/p(1) of each code bit, float64 [B, length] -> bits, uint8 [B, k]."""
        parts = range(0, len(likelihoods), DECODED)
        found = [self._decode(likelihoods[at : at + DECODED]) for at in parts]
        return np.concatenate(found) if found else np.zeros((0, self._bits), np.uint8)

    def _decode(self, likelihoods: NDArray[np.float64]) -> NDArray[np.uint8]:
        import torch

        heard = np.full((len(likelihoods), self._mother), self._unsent, np.float32)
        heard[:, self._sent] = np.clip(likelihoods, -CERTAIN, CERTAIN)
        with torch.inference_mode():
            found = self._decoder(torch.from_numpy(-heard))  # Sionna's ratios are log p(1)/p(0)
        return np.asarray(found.numpy()[:, : self._bits], np.uint8)
