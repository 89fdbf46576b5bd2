"""A few bits in a few channel uses: the short code that a separate design would take. Knows nothing about images.

Every code is binary and sent as Gray-mapped QPSK, two code bits a use: BPSK would leave half of the dimensions without
power. Up to 12 bits the code is a linear one that is searched (`linear_code.py`) and decoded by maximum likelihood;
beyond, a polar code with list decoding (`polar_code.py`).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.baselines.linear_code import LinearCode
from training.baselines.polar_code import PolarCode

MOST_BITS, MOST_USES = 64, 64
LIKELIEST = 12
"""Bits up to which all words are compared with what was received."""


class ShortCode:
    """`bits` bits in `uses` complex channel uses, for one thread. ValueError where they do not fit.

    An error is an error: a decoder always answers with some bits.
    """

    def __init__(self, bits: int, uses: int) -> None:
        if not 1 <= bits <= min(MOST_BITS, 2 * uses) or uses > MOST_USES:
            limits = f"1 to {MOST_BITS} bits, two a use at most, and {MOST_USES} uses at most"
            raise ValueError(f"a short code has {limits}; not {bits} bits in {uses} uses")
        self.bits, self.uses = bits, uses
        self._code = code_of(bits, 2 * uses)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """bits: uint8 [B, k], 0 or 1 -> symbols, complex64 [B, n], |x| = 1 each."""
        signs = 1.0 - 2.0 * self._code.encode(bits)
        return np.asarray((signs[:, 0::2] + 1j * signs[:, 1::2]) / np.sqrt(2.0), np.complex64)

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.uint8]:
        """As `Codec.decode` has them: symbols, complex64 [B, n], and snr, float32 [B, n] -> bits, uint8 [B, k]."""
        return self._code.decode(likelihoods(symbols, snr))


@cache
def code_of(bits: int, length: int) -> LinearCode | PolarCode:
    """The binary code of so many bits and code bits; searched or set up once."""
    return LinearCode(bits, length) if bits <= LIKELIEST else PolarCode(bits, length)


def likelihoods(symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.float64]:
    """log p(0)/p(1) of the code bits of QPSK symbols: complex64 [B, n], float32 [B, n] -> float64 [B, 2 n].

    An equalised symbol is y = x g/(1 + g) + noise with g = snr, so x + noise of variance 1/g is y (1 + g)/g, and with
    amplitudes of sqrt(1/2) the ratio is 4 sqrt(1/2) g times it.
    """
    matched = np.sqrt(8.0) * (1.0 + snr.astype(np.float64)) * symbols
    return np.stack([matched.real, matched.imag], -1).reshape(len(symbols), 2 * symbols.shape[1])
