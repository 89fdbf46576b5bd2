"""What one transmitter's channel looks like over many frames: pooled noise, average SNR, Doppler.

Knows nothing about sockets, payloads or models. One tracker per session, fed in order of arrival.
"""

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.phy.decibel import to_db
from common.record import record
from scrx.demodulation.estimate import fit_pilots, snr_error_db, unbiased_snr

NOISE_FLOOR, LEAST_SNR = 1e-6, 0.03
"""The least N0 and the least SNR (linear) that are told."""
POOLED_FRAMES = 32
AVERAGED_CYCLES = 20.0
SHORTEST_MEMORY, LONGEST_MEMORY = 256, 4096
"""Average SNR and Doppler are taken over 20 Doppler cycles, within these limits in frames: a few fades tell neither."""
SMOOTHED_FRAMES = 16
SMOOTHED_CYCLES = 0.05
DOPPLER_FRAMES = 24
DOPPLER_LAGS = (1, 2, 4, 8, 16, 32, 64)


@record
class ChannelEstimate:
    """What the receiver believes after a frame. SNRs are Es/N0; errors are standard deviations.

    gain: h^ of this frame alone; noise: N0 pooled over the last 32 frames; fd: cycles per symbol, None while unknown.
    """

    gain: complex
    noise: float
    snr_inst_db: float
    snr_avg_db: float
    inst_error_db: float
    avg_error_db: float
    fd: float | None


class ChannelTracker:
    """Pools over frames. `pilots`: the known sequence, complex64 [P]; `slot`: symbols between frames on the air."""

    def __init__(self, pilots: NDArray[np.complex64], slot: int) -> None:
        exact = pilots.astype(np.complex128)
        self._pilots, self._slot = exact / np.abs(exact), slot  # |p| = 1 in double precision, too
        self._residuals: deque[float] = deque(maxlen=POOLED_FRAMES)
        self._near: deque[tuple[int, complex]] = deque(maxlen=SMOOTHED_FRAMES)
        self._gains, self._places = _Recent(LONGEST_MEMORY, np.complex128), _Recent(LONGEST_MEMORY, np.uint64)
        self._energies = deque([0.0], LONGEST_MEMORY + 1)
        """Sum of |h^|^2 over all frames up to each of the newest ones."""
        self._fd: float | None = None
        self._memory = SHORTEST_MEMORY
        self._frames = 0

    def observe(self, pilots_rx: NDArray[np.complex64], air_start: int) -> ChannelEstimate:
        """Take a frame's received pilots, complex64 [P], and the frame's air sample."""
        count = len(self._pilots)
        gain, residual = fit_pilots(pilots_rx, self._pilots)
        self._residuals.append(residual)
        self._near.append((air_start, gain))
        self._gains.append(gain)
        self._places.append(air_start)
        self._energies.append(self._energies[-1] + abs(gain) ** 2)
        dof = len(self._residuals) * (count - 1)
        noise = max(sum(self._residuals) / dof, NOISE_FLOOR)
        self._frames += 1
        memory = self._memory
        if self._frames >= DOPPLER_FRAMES and (self._fd is None or self._frames % max(8, memory // 64) == 0):
            self._fd = self._estimate_doppler(noise, memory)
            self._memory = self._frames_within()
        smooth, frames = self._smoothed_gain(air_start)
        inst = max(unbiased_snr(abs(smooth) ** 2, noise, count * frames, dof), LEAST_SNR)
        averaged = min(memory, self._frames)
        power = (self._energies[-1] - self._energies[-1 - averaged]) / averaged
        average = max(unbiased_snr(power, noise, count, dof), LEAST_SNR)
        return ChannelEstimate(
            gain, noise, to_db(inst), to_db(average), snr_error_db(inst, count * frames, dof),
            snr_error_db(average, count * averaged, dof), self._fd,
        )  # fmt: skip

    def _frames_within(self) -> int:
        """Frames that lie within AVERAGED_CYCLES, as far as the Doppler is known."""
        if self._fd is None:
            return SHORTEST_MEMORY
        return int(min(max(AVERAGED_CYCLES / max(self._fd * self._slot, 1e-9), SHORTEST_MEMORY), LONGEST_MEMORY))

    def _smoothed_gain(self, air_start: int) -> tuple[complex, int]:
        """Mean gain over as many recent frames as lie within a twentieth of a fade, at most 16."""
        reach = 0 if self._fd is None else int(SMOOTHED_CYCLES / max(self._fd, 1e-9))
        first, last = air_start - reach, air_start + reach
        near = [gain for place, gain in self._near if first <= place <= last]
        return sum(near) / len(near), len(near)

    def _estimate_doppler(self, noise: float, memory: int) -> float | None:
        """fd from the autocorrelation of the gains, r(lag) = J0(2 pi fd lag) (Clarke).

        Uses the shortest lag at which r has fallen below 0.9, where the inversion J0(x) ~ 1 - x^2/4 + x^4/64 is exact
        to 1 % and noise matters little; if it never falls that far, the longest lag bounds fd from above.
        """
        gains, places = self._gains.last(memory), self._places.last(memory)
        gapless = bool((np.diff(places) == self._slot).all())  # modulo 2^64: then they ascend
        if not gapless:
            order = np.argsort(places, kind="stable")
            gains, places = gains[order], places[order]
            gapless = bool((np.diff(places) == self._slot).all())
        power = float(np.vdot(gains, gains).real) / len(gains) - noise / len(self._pilots)
        if power <= 0:
            return None
        found = None
        for lag in DOPPLER_LAGS:
            earlier, later = (gains[:-lag], gains[lag:]) if gapless else _pairs(gains, places, lag * self._slot)
            if later.size < DOPPLER_FRAMES // 2:
                break
            r = float(np.vdot(earlier, later).real) / later.size / power
            fall = 2.0 * (1.0 - math.sqrt(min(max(r, 0.0), 1.0)))
            found = math.sqrt(4.0 * fall) / (2.0 * math.pi * lag * self._slot)
            if r < 0.9:
                break
        return None if found is None else min(found, 0.5)


def _pairs(
    gains: NDArray[np.complex128], places: NDArray[np.uint64], apart: int
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """The gains that have another one `apart` symbols later, and those others. places: ascending."""
    wanted = places + np.uint64(apart)
    partner = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
    match = places[partner] == wanted
    return gains[match], gains[partner[match]]


class _Recent:
    """The newest `size` numbers of one type, oldest first, as one array."""

    def __init__(self, size: int, dtype: DTypeLike) -> None:
        self._kept, self._size, self._end = np.zeros(2 * size, dtype), size, 0

    def append(self, value: complex) -> None:
        if self._end == len(self._kept):
            self._kept[: self._size] = self._kept[self._size :]
            self._end = self._size
        self._kept[self._end] = value
        self._end += 1

    def last(self, count: int) -> NDArray[Any]:
        """At most the newest `count`, count <= size."""
        return self._kept[max(self._end - count, 0) : self._end]
