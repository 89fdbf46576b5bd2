"""Binary linear codes of at most 12 bits: searched column by column, decoded by maximum likelihood. numpy only.

Knows nothing about symbols or channels. A column c of the generator matrix gives word m the code bit <m, c>. Each step
takes the column that leaves the least union bound, sum over m of z^weight(m); all 2^k columns are weighed at once by a
Walsh-Hadamard transform. Then each column in turn is exchanged while that helps (the method of conditional expectations
behind the Gilbert-Varshamov bound). First-order Reed-Muller codes, k bits of length 2^(k-1), are what it finds there.
"""

import numpy as np
from numpy.typing import NDArray

DESIGN_DB = (-9.0, -6.0, -3.0, 0.0, 3.0, 6.0)
"""SNRs of a code bit at which codes are searched; the one that needs the least for TARGET is taken."""
TARGET = 0.01
"""Union bound on the share of wrong words at which codes are compared."""
ROUNDS = 8
DECODED = 2048
"""Words that are decoded at a time, so that they fit into memory."""


class LinearCode:
    """k bits in `length` code bits. weights: how many words have each Hamming weight, int64 [length + 1]."""

    def __init__(self, bits: int, length: int) -> None:
        self.columns = search(bits, length)
        words = _parities(np.arange(2**bits)[:, None] & self.columns)
        self.weights = np.bincount(words.sum(1), minlength=length + 1)
        self._words = words
        self._signs = (1.0 - 2.0 * words).T.copy()
        self._place = 1 << np.arange(bits)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """bits: uint8 [B, k], 0 or 1 -> code bits, uint8 [B, length]."""
        return self._words[bits @ self._place]

    def decode(self, likelihoods: NDArray[np.float64]) -> NDArray[np.uint8]:
        """log p(0)/p(1) of each code bit, float64 [B, length] -> the likeliest bits, uint8 [B, k]."""
        parts = range(0, len(likelihoods), DECODED)
        found = [(likelihoods[at : at + DECODED] @ self._signs).argmax(1) for at in parts]
        message = np.concatenate(found) if found else np.zeros(0, np.int64)
        return ((message[:, None] & self._place) > 0).astype(np.uint8)


def search(bits: int, length: int) -> NDArray[np.int64]:
    """Columns of the best code found: int64 [length], each a number whose binary digits are its entries."""
    found = [_search(bits, length, np.exp(-(10.0 ** (db / 10.0)))) for db in DESIGN_DB]
    spectra = [np.bincount(_weights(bits, columns), minlength=length + 1) for columns in found]
    return found[int(np.argmin([needed_db(spectrum) for spectrum in spectra]))]


def union_bound(weights: NDArray[np.int64], snr: float) -> float:
    """Sum over weights w of A_w Q(sqrt(2 w snr)), at least the share of errors. snr: Es/N0 of a code bit, linear."""
    from scipy.special import erfc

    w = np.arange(1, len(weights))
    return float(weights[1:] @ (erfc(np.sqrt(w * snr)) / 2))


def needed_db(weights: NDArray[np.int64]) -> float:
    """SNR of a code bit in dB at which the union bound is TARGET."""
    low, high = -30.0, 30.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if union_bound(weights, 10.0 ** (middle / 10.0)) > TARGET else (low, middle)
    return round(high, 6)


def _search(bits: int, length: int, z: float) -> NDArray[np.int64]:
    powers = np.concatenate(([1.0], np.full(length, z))).cumprod().astype(np.float64)
    columns = np.zeros(length, np.int64)
    weights = np.zeros(2**bits, np.int64)
    for at in range(length):
        columns[at] = _best(powers[weights])
        weights += _parities(np.arange(2**bits) & columns[at])
    for _ in range(ROUNDS):
        before = columns.copy()
        for at in range(length):
            weights -= _parities(np.arange(2**bits) & columns[at])
            columns[at] = _best(powers[weights])
            weights += _parities(np.arange(2**bits) & columns[at])
        if (before == columns).all():
            break
    return columns


def _best(terms: NDArray[np.float64]) -> int:
    """The column that takes most off the union bound whose terms by word are `terms`, float64 [2^k]."""
    transform = terms
    for _ in range(len(terms).bit_length() - 1):  # each step takes the last binary digit of an index to its front
        even, odd = transform[0::2], transform[1::2]
        transform = np.concatenate((even + odd, even - odd))
    return int(transform.argmin())


def _weights(bits: int, columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hamming weight of every word, int64 [2^k]."""
    weights: NDArray[np.int64] = _parities(np.arange(2**bits)[:, None] & columns).sum(1, dtype=np.int64)
    return weights


def _parities(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """1 where a number has an odd count of ones in binary: uint8, as `numbers`."""
    return (np.bitwise_count(numbers) & 1).astype(np.uint8)
