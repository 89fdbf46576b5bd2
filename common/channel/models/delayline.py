"""Tapped delay line: every path is a delayed copy of the input times its own fading gain. Knows nothing about noise.

    y[n] = sum_p a_p[n] (x * g_p)[n] = sum_l c_l[n] x[n - l],      c_l[n] = sum_p g_p[l] a_p[n]

a_p: fading of path p. g_p: its delay on the sample grid, one sample where the delay is whole and else a windowed sinc
of 18 taps (Kaiser, beta 5: better than -50 dB for |f| < 0.4 of the sample rate), which needs 8 samples to look ahead:
where any delay is a fraction, all paths are late by 8 samples (`lead`). Only lags l that some path uses are computed.
Where few paths touch many lags, each path is filtered first and then counts as one lag.

Gains are straight lines between knots, so the D samples between two knots are one product of real matrices:

    [constant; slope of re, im]  [4, 2L]  @  [re; im of x at each lag]  [2L, D]   ->   constant + slope * (0..D-1)/D
"""

import math
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from common.channel.models.clocks import Clocks
from common.channel.models.fader import Fader
from common.channel.models.gains import knot_spacing
from common.channel.spec.profiles import Profile

_TAPS = 18
_LEAD = _TAPS // 2 - 1
_BETA = 5.0
_CELLS = 128  # cells between knots whose coefficients are computed at once
_ONE_THREAD = 200_000  # multiplications of one product; OpenBLAS wakes its other threads for more, which costs more
_PIECE = 4096  # samples at a time: the working set stays in the cache


class DelayLine:
    """The paths of one profile for one stream while the parameters stand still.

    fader: one path per path of the profile; clocks: how far everything is where the parameters changed last.
    """

    def __init__(self, profile: Profile, fader: Fader, doppler: float, los_doppler: float, clocks: Clocks) -> None:
        self._grid, self._lags, self.lead = _on_sample_grid(profile.delays)
        self.reach = int(self._lags[-1])
        self._filters: NDArray[np.float32] | None = None
        if self._lags.size > 10 + 3 * profile.delays.size:  # measured: from here on it is faster
            filters, lags = self._grid, self._lags
            self._lags = profile.delays.astype(np.intp)
            self._filters = np.zeros((profile.delays.size, _TAPS), np.float32)
            for p, whole in enumerate(self._lags):
                inside = (lags >= whole) & (lags < whole + _TAPS)
                self._filters[p, lags[inside] - whole] = filters[inside, p]
            self._grid = np.eye(profile.delays.size, dtype=np.float32)
            self.reach = int(self._lags.max()) + _TAPS
        self._runs = _runs(self._lags)
        self._fader, self._doppler, self._los_doppler = fader, doppler, los_doppler
        self._origin, self._cycles, self._sight = clocks.at, clocks.cycles, clocks.sight
        scattered = profile.powers.copy()
        scattered[0] -= profile.line_of_sight
        self._scattered = np.sqrt(scattered).astype(np.float32)[:, None]
        self._line = float(np.sqrt(profile.line_of_sight))
        self._spacing = knot_spacing(doppler)
        self._ramp = (np.arange(self._spacing) / self._spacing).astype(np.float32)
        self._scratch = np.empty(2 * self._lags.size * (_PIECE + 2 * self._spacing), np.float32)
        self._held = -1
        self._coefficients: NDArray[np.float32] = np.empty((0, 4, 0), np.float32)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes in use."""
        return self._scratch.nbytes + self._grid.nbytes + _CELLS * 4 * 2 * self._lags.size * 4

    def gains(self, first: int, count: int) -> NDArray[np.complex64]:
        """Gains of the paths at knots first..first+count-1 of the air clock: complex64 [P, count]."""
        cycle = self._cycles + (first * self._spacing - self._origin) * self._doppler
        step = self._doppler * self._spacing
        early = min(count - 1, math.ceil((-1.0 - cycle) / step)) if cycle < -1.0 and step else 0
        found = np.zeros((self._scattered.size, count), np.complex64)  # knots long before this fading began have no use
        found[:, early:] = self._fader.at(max(cycle + early * step, -1.0), step, count - early) * self._scattered
        if self._line:
            since = cycle - self._sight.place + step * np.arange(count)
            turns = np.modf(self._sight.amount + since * self._los_doppler)[0]
            found[0] += (self._line * np.exp(2j * np.pi * turns)).astype(np.complex64)
        return found

    def response(self, start: int, count: int) -> NDArray[np.complex64]:
        """Gain at the carrier, the sum of all paths: complex64 [count]."""
        first = start // self._spacing
        knots = self.gains(first, (start + count - 1) // self._spacing - first + 2).sum(axis=0)
        lines: NDArray[np.complex64] = knots[:-1, None] + np.diff(knots)[:, None] * self._ramp
        return lines.reshape(-1)[start - first * self._spacing :][:count]

    def send(self, start: int, past: NDArray[np.complex64], x: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """y for x, complex64 [S], at air sample `start`; past: the `reach` samples before it. Returns complex64 [S]."""
        parts = np.concatenate((past, x)).view(np.float32).reshape(-1, 2).T.copy()
        y = np.empty(x.size, np.complex64)
        block = _CELLS * self._spacing
        done = 0
        while done < x.size:
            count = min(x.size - done, block - (start + done) % block, _PIECE)
            y[done : done + count] = self._piece(start + done, parts[:, done : done + self.reach + count])
            done += count
        return y

    def _piece(self, start: int, parts: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Output of the samples after the first `reach` of float32 [2, reach + n]; no block of cells ends within."""
        spacing, count = self._spacing, parts.shape[1] - self.reach
        first, before = divmod(start, spacing)
        cells = (before + count + spacing - 1) // spacing
        shape = (2, self._lags.size, cells * spacing)
        lagged = self._scratch[: math.prod(shape)].reshape(shape)
        lagged[:, :, :before] = 0.0
        lagged[:, :, before + count :] = 0.0
        self._delay(parts, lagged[:, :, before : before + count])
        here = first % _CELLS
        found = np.matmul(
            self._block(first // _CELLS)[here : here + cells],
            lagged.reshape(2 * self._lags.size, cells, spacing).transpose(1, 0, 2),
        )
        y = np.empty((cells, spacing, 2), np.float32)
        found[:, 2:] *= self._ramp
        np.add(found[:, :2], found[:, 2:], out=y.transpose(0, 2, 1))
        return y.reshape(-1).view(np.complex64)[before : before + count]

    def _delay(self, parts: NDArray[np.float32], rows: NDArray[np.float32]) -> None:
        """Fill rows, float32 [2, L, n], with what each lag delays. parts: float32 [2, reach + n]."""
        count = rows.shape[2]
        if self._filters is None:
            for at, stop, lag in self._runs:
                rows[:, at:stop] = _delayed(parts, self.reach - lag, stop - at, count)
            return
        for row, (source, lag) in enumerate(zip(self._filter(parts), self._lags, strict=True)):
            first = self.reach - _TAPS - lag
            rows[:, row] = source[:, first : first + count]

    def _filter(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """The input through the filter of each path: float32 [P, 2, n], _TAPS samples shorter."""
        assert self._filters is not None
        width = parts.shape[1] - _TAPS
        windows = np.empty((_TAPS, 2, width), np.float32)
        windows.transpose(1, 0, 2)[:] = _delayed(parts, _TAPS, _TAPS, width)
        columns = windows.reshape(_TAPS, 2 * width)
        filtered = np.empty((self._lags.size, 2 * width), np.float32)
        step = _ONE_THREAD // self._filters.size
        for at in range(0, 2 * width, step):
            filtered[:, at : at + step] = self._filters @ columns[:, at : at + step]
        return filtered.reshape(-1, 2, width)

    def _block(self, block: int) -> NDArray[np.float32]:
        """Rows (re, im of the constant; re, im of the slope) of each cell of a block: float32 [128, 4, 2L]."""
        if block != self._held:
            knots = (self._grid @ self.gains(block * _CELLS, _CELLS + 1).view(np.float32)).view(np.complex64).T
            rows = np.empty((_CELLS, 4, 2, self._lags.size), np.float32)
            for row, c in ((0, knots[:-1]), (2, np.diff(knots, axis=0))):
                rows[:, row, 0], rows[:, row, 1] = c.real, -c.imag
                rows[:, row + 1, 0], rows[:, row + 1, 1] = c.imag, c.real
            self._coefficients, self._held = rows.reshape(_CELLS, 4, 2 * self._lags.size), block
        return self._coefficients


def _delayed(parts: NDArray[np.float32], first: int, rows: int, count: int) -> NDArray[np.float32]:
    """A view of parts[:, first - r : first - r + count] for r = 0..rows-1: float32 [2, rows, count]."""
    line, sample = parts.strides
    return as_strided(parts[:, first:], (2, rows, count), (line, -sample, sample), writeable=False)


def _runs(lags: NDArray[np.intp]) -> list[tuple[int, int, int]]:
    """(first row, row after the last, first lag) of each run of lags that follow each other."""
    edges = [0, *(np.flatnonzero(np.diff(lags) != 1) + 1).tolist(), lags.size]
    return [(at, stop, int(lags[at])) for at, stop in pairwise(edges)]


def _on_sample_grid(delays: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.intp], int]:
    """Delays [P] in samples -> (g_p[l], float32 [L, P]; lags l that are used, ascending [L]; samples of lead)."""
    fractions = np.abs(delays - np.rint(delays)) > 1e-6
    lead = _LEAD if fractions.any() else 0
    filters = np.zeros((int(delays.max()) + _TAPS + 1, delays.size))
    for p, delay in enumerate(delays):
        if not fractions[p]:
            filters[round(delay) + lead, p] = 1.0
            continue
        first = int(delay)
        t = np.arange(first, first + _TAPS) - _LEAD - delay
        window = np.i0(_BETA * np.sqrt(np.clip(1.0 - (2.0 * t / _TAPS) ** 2, 0.0, 1.0)))
        taps = np.sinc(t) * window
        filters[first : first + _TAPS, p] = taps / taps.sum()
    lags = np.flatnonzero(np.any(filters != 0.0, axis=1))
    return filters[lags].astype(np.float32), lags, lead
