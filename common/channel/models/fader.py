"""Correlated complex Gaussian processes with any Doppler spectrum. Knows nothing about samples, rates or SNR.

Time is counted in Doppler cycles, c = integral of fd dt, so a change of speed is only another step: h stays continuous.

    keyed white noise -> x sqrt(S) -> IFFT (periodic, 128 cycles) -> sine window, 50 % overlap-add
                      -> grid of 16 points per cycle -> cubic interpolation at the cycles asked for

Two neighbouring IFFT blocks g_b meet with weights cos and sin, whose squares add to one: h is exactly Gaussian with
unit power everywhere, and its autocorrelation is the spectrum's, times cos(pi tau / 128 cycles). A sum of sinusoids is
neither: with 8 of them the fourth moment is 1.89 instead of 2. Cubic interpolation errs by -65 dB at fd.
"""

import numpy as np
from numpy.typing import NDArray

from common.channel.models.noise import KeyedBits

PER_CYCLE = 16
"""Grid points per Doppler cycle; the spectrum must lie within +-8 fd."""

POINTS = 2048
"""Points of one IFFT block: 128 Doppler cycles."""

_HALF = POINTS // 2
_WEIGHTS = np.sin(np.pi * np.arange(_HALF) / POINTS).astype(np.float32)
_FADE_OUT = np.cos(np.pi * np.arange(_HALF) / POINTS).astype(np.float32)


class Fader:
    """`paths` independent processes h_p(c), E|h|^2 = 1, a function of (key, path, c) only; c >= -1 in cycles."""

    def __init__(self, key: tuple[int, ...], bin_powers: NDArray[np.float64], paths: int = 1) -> None:
        """bin_powers: spectrum in FFT order over +-8 fd, float64 [POINTS], sum 1 (`doppler.bin_powers`)."""
        self._keys = [(*key, p) for p in range(paths)]
        self._bits = KeyedBits()
        amplitude = np.sqrt(bin_powers).astype(np.float32)
        self._bins = np.flatnonzero(amplitude)
        self._amplitude = amplitude[self._bins]
        self._periodic: dict[int, NDArray[np.complex64]] = {}
        self._grid: dict[int, NDArray[np.complex64]] = {}

    def at(self, cycle: float, step: float, count: int) -> NDArray[np.complex64]:
        """h at c = cycle + step * (0..count-1): complex64 [paths, count]; cycle >= -1, step >= 0."""
        place = (cycle + step * np.arange(count)) * PER_CYCLE + (PER_CYCLE + 1)  # the cubic looks one point back
        index = place.astype(np.intp)
        t = (place - index).astype(np.complex64)
        first = int(index[0]) - 1
        index -= first + 1
        before, here, after, beyond = _neighbours(self._points(first, first + int(index[-1]) + 4))
        curve = _times(beyond - before, 1 / 6) + _times(here - after, 1 / 2)  # Lagrange, by powers of t
        bend = _times(before + after, 1 / 2) - here
        slope = after - _times(before, 1 / 3) - _times(here, 1 / 2) - _times(beyond, 1 / 6)
        h = curve.take(index, axis=1, mode="clip")  # clip: no index is out of range, and it saves the check
        for power in (bend, slope, here):
            h *= t
            h += power.take(index, axis=1, mode="clip")
        return h

    def _points(self, first: int, stop: int) -> NDArray[np.complex64]:
        """Grid points first..stop-1: complex64 [paths, stop - first]."""
        low, high = first // _HALF, (stop - 1) // _HALF
        self._periodic = {b: g for b, g in self._periodic.items() if low <= b <= high + 1}
        self._grid = {b: h for b, h in self._grid.items() if low <= b <= high}
        halves = [self._half(b) for b in range(low, high + 1)]
        joined = halves[0] if low == high else np.concatenate(halves, axis=1)
        return joined[:, first - low * _HALF : stop - low * _HALF]

    def _half(self, b: int) -> NDArray[np.complex64]:
        """Grid points of half-block b, where g_b fades out and g_(b+1) fades in: complex64 [paths, 1024]."""
        if b not in self._grid:
            self._grid[b] = _FADE_OUT * self._block(b)[:, _HALF:] + _WEIGHTS * self._block(b + 1)[:, :_HALF]
        return self._grid[b]

    def _block(self, b: int) -> NDArray[np.complex64]:
        """Periodic stationary block g_b = sum_k sqrt(S_k) z_k e^(j 2 pi k m / 2048): complex64 [paths, 2048]."""
        if b not in self._periodic:
            z = np.empty((len(self._keys), self._bins.size), np.complex64)
            for key, row in zip(self._keys, z, strict=True):
                self._bits.gaussian(key, b, row)
            spectrum = np.zeros((len(self._keys), POINTS), np.complex64)
            spectrum[:, self._bins] = z * self._amplitude
            self._periodic[b] = np.fft.ifft(spectrum, norm="forward").astype(np.complex64, copy=False)
        return self._periodic[b]


def _neighbours(grid: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], ...]:
    """Grid [paths, G] -> its points at offsets -1, 0, 1, 2 of each inner point: four complex64 [paths, G - 3]."""
    return grid[:, :-3], grid[:, 1:-2], grid[:, 2:-1], grid[:, 3:]


def _times(z: NDArray[np.complex64], factor: float) -> NDArray[np.complex64]:
    """z times a real number, which for numpy would be a complex one."""
    scaled: NDArray[np.float32] = np.ascontiguousarray(z).view(np.float32) * np.float32(factor)
    return scaled.view(np.complex64)
