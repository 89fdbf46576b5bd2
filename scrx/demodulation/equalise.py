"""Equaliser: received symbols -> estimates of what was sent, with the SNR that the decoder may believe.

Knows nothing about pilots or models. Works on numpy arrays and torch tensors alike (see `estimate.py`).
"""

from scrx.demodulation.estimate import Array


def equalise(symbols: Array, gain: Array, noise: Array) -> Array:
    """x^ = h^* y / (|h^|^2 + N0), the linear MMSE estimate for unit-power symbols.

    symbols: complex [..., S]; gain: complex [...]; noise: N0 > 0, float [...]. Returns complex [..., S].
    """
    return symbols * weight(gain, noise)[..., None]


def weight(gain: Array, noise: Array) -> Array:
    """h^* / (|h^|^2 + N0), by which `equalise` multiplies. gain, noise: as there. Returns complex [...]."""
    return gain.conj() / (abs(gain) ** 2 + noise)


def effective_snr(gain: Array, noise: Array, pilots: int) -> Array:
    """gamma = |h^|^2 / (N0 + N0/P): the linear SNR after equalising with an h^ from P pilots, float [...]."""
    return abs(gain) ** 2 / (noise * (1.0 + 1.0 / pilots))


def one_tap(gain: complex, noise: float, pilots: int) -> tuple[complex, float]:
    """`weight` and `effective_snr` of one frame, in plain numbers: the same formulas in a fraction of the time."""
    power = abs(gain) ** 2
    return gain.conjugate() / (power + noise), power / (noise * (1.0 + 1.0 / pilots))


def non_coherent(symbols: Array) -> tuple[Array, Array]:
    """Without pilots neither h nor N0 is known: the decoder gets y itself, and gamma = 1 for "received, SNR unknown".

    symbols: complex [..., S]. Returns complex [..., S] and float [..., S]. The decoder has learned to bear any phase.
    """
    return symbols, abs(symbols) * 0.0 + 1.0
