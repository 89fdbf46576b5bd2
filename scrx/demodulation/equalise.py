"""Equaliser: received symbols -> estimates of what was sent, with the SNR that the decoder may believe.

Knows nothing about pilots or models. Works on plain numbers, numpy arrays and torch tensors alike (see `estimate.py`).
"""

from scrx.demodulation.estimate import Array


def mmse_tap(conjugate: Array, power: Array, noise: Array) -> Array:
    """h^* / (|h^|^2 + N0): times y, the linear MMSE estimate x^ for unit-power symbols.

    conjugate: h^*, complex [...]; power: |h^|^2, float [...]; noise: N0 > 0, float [...]. Returns complex [...].
    """
    return conjugate / (power + noise)


def effective_snr(power: Array, noise: Array, pilots: float) -> Array:
    """gamma = |h^|^2 / (N0 + N0/P): the linear SNR after equalising with an h^ from P pilots (infinity: the true h).

    power, noise: as of `mmse_tap`. Returns float [...].
    """
    return power / (noise * (1.0 + 1.0 / pilots))


def one_tap(gain: complex, noise: float, pilots: float) -> tuple[complex, float]:
    """`mmse_tap` and `effective_snr` of one frame, in plain numbers, which take a fraction of the time of arrays."""
    power = abs(gain) ** 2
    return mmse_tap(gain.conjugate(), power, noise), effective_snr(power, noise, pilots)


def non_coherent(symbols: Array) -> tuple[Array, Array]:
    """Without pilots neither h nor N0 is known: the decoder gets y itself, and gamma = 1 for "received, SNR unknown".

    symbols: complex [..., S]. Returns complex [..., S] and float [..., S]. The decoder has learned to bear any phase.
    """
    return symbols, abs(symbols) * 0.0 + 1.0
