"""How a frame's symbols are laid out: pilots first, then the increments it carries. Knows nothing about their content.

This is layout 0 of the wire, so far the only one; no other file knows where in a frame the pilots lie.

    frame of round 0 at rate 2:   [ P pilots | increment 0 | increment 1 | increment 2 ]
    round 1 up to rate 3:         [ P pilots | increment 3 ]

A *rate* k is the prefix of increments 0..k. Each increment has unit mean power by itself, and so have the pilots, so a
symbol on the air is never rescaled and rounds can be concatenated.
"""

from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.typed import check_types

MOST_INCREMENTS, LONGEST_SLOT = 64, 65_536


@dataclass(frozen=True, slots=True)
class Layout:
    """Symbols per increment, pilots per frame, and the air slot that a frame occupies (all in symbols).

    pilots = 0 is non-coherent: the receiver learns neither gain nor SNR and decodes the symbols as they come, which the
    decoder of a pair cannot (`require_pilots`).
    """

    increments: tuple[int, ...]
    pilots: int = 8
    slot: int = 128

    def __post_init__(self) -> None:
        check_types(self)
        if not 1 <= len(self.increments) <= MOST_INCREMENTS or any(n < 1 for n in self.increments):
            given = str(self.increments)[:60]
            raise ConfigError(f"a layout has 1 to {MOST_INCREMENTS} increments, each positive, not {given}")
        if not 1 <= self.slot <= LONGEST_SLOT:
            raise ConfigError(f"an air slot has 1 to {LONGEST_SLOT} symbols, not {self.slot}")
        if self.pilots < 0 or self.pilots == 1:
            raise ConfigError(f"at least 2 pilots are needed to estimate noise (or 0: non-coherent), not {self.pilots}")
        if self.pilots + sum(self.increments) > self.slot:
            raise ConfigError(
                f"{self.pilots} pilots + {sum(self.increments)} symbols do not fit the air slot of {self.slot} symbols"
            )

    def require_pilots(self) -> None:
        """ConfigError unless a receiver estimates the channel, as it has to where symbols are words and features."""
        if not self.pilots:
            raise ConfigError("layout.pilots = 0: without pilots no receiver can tell what a pair's symbols say; "
                              "train it with 2 of them or more")  # fmt: skip

    @property
    def rates(self) -> tuple[int, ...]:
        """Payload symbols of each rate: the running sum of the increments."""
        return tuple(accumulate(self.increments))

    @property
    def max_symbols(self) -> int:
        """Payload symbols of the full ladder."""
        return sum(self.increments)

    def span(self, start: int, rate: int) -> slice:
        """Where increments start..rate (inclusive) lie in the full payload."""
        if not 0 <= start <= rate < len(self.increments):
            raise ValueError(f"increments {start}..{rate} are outside 0..{len(self.increments) - 1}")
        return slice(self.rates[start] - self.increments[start], self.rates[rate])

    def frame_symbols(self, start: int, rate: int) -> int:
        """Symbols on the air, pilots included, of a frame that carries increments start..rate."""
        span = self.span(start, rate)
        return int(self.pilots + span.stop - span.start)

    def frame(self, symbols: NDArray[np.complex64], start: int, rate: int) -> NDArray[np.complex64]:
        """symbols: the full payload, complex64 [S] -> what goes on the air with increments start..rate, [P + n]."""
        return np.concatenate((pilot_sequence(self.pilots), symbols[self.span(start, rate)]))

    def split(self, frame: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """A frame off the air, complex64 [P + n] -> its pilots [P] and its increments [n]."""
        return frame[: self.pilots], frame[self.pilots :]

    def air_start(self, seq: int, round_: int) -> int:
        """First air sample of (frame, round): seq * slot + round * slot, whatever was sent before."""
        return (seq + round_) * self.slot


@cache
def pilot_sequence(count: int) -> NDArray[np.complex64]:
    """Known pilots: complex64 [count], |p| = 1 each; one array for all who ask, which nobody may write to.

    Zadoff-Chu-like quadratic phase, so that no constant offset looks like a pilot (3GPP TS 36.211, 5.5.1).
    """
    n = np.arange(count)
    pilots: NDArray[np.complex64] = np.exp(-1j * np.pi * n * (n + 1) / max(count, 1)).astype(np.complex64)
    pilots.flags.writeable = False
    return pilots
