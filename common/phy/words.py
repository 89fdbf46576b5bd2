"""Words for a decision: corners of the constellation, one word a class; any prefix of a word is a code by itself.

Knows nothing about features, networks or frames. numpy only. How words are found: `training/words/search.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CORNERS = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], np.complex64) / np.float32(np.sqrt(2))
"""The four corners of square QAM, of unit power: complex64 [4]."""


LEAST = 1e-9
"""Smallest SNR that is divided by."""
WORD, ABSENT = -1, -2
"""In the place of a symbol's number among those that carry features: it is a word's; it has not come."""


def places(symbols: int, words: int) -> NDArray[np.int16]:
    """What each symbol of the ladder is, where the first `words` are the word's: int16 [S]."""
    found: NDArray[np.int16] = np.maximum(np.arange(symbols) - min(words, symbols), WORD).astype(np.int16)
    return found


@dataclass(frozen=True, eq=False)
class Words:
    """corners: uint8 [C, S], which of CORNERS each symbol of each word is."""

    corners: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.corners.dtype != np.uint8 or self.corners.ndim != 2 or self.corners.max(initial=0) > 3:
            raise ValueError(f"words are uint8 [classes, symbols] of 0 to 3, not {self.corners.dtype}")

    @cached_property
    def points(self) -> NDArray[np.complex64]:
        """complex64 [C, S], unit power each."""
        return CORNERS[self.corners]

    def likelihood(
        self,
        symbols: NDArray[np.complex64],
        gamma: NDArray[np.float32],
        said: NDArray[np.bool_],
        pilots: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Log-likelihood of each word but for a constant: float32 [B, C].

        symbols: complex64 [B, S], estimates x^ as the MMSE equaliser gives them; gamma: float32 [B, S], their linear
        SNR, one for all of a frame, 0 where nothing came; said: bool [B, S], which of them are a word's; pilots: P of
        each h^, float32 [B], infinity where h is known.

        x^ (1 + 1/gamma) is r = y/h^, of noise 1/g with g = gamma (1 + 1/P). The error of h^, of relative variance
        1/(P g), is one for all n symbols of a frame; integrated out, a frame adds g (2 Re s + |s - n|^2/(P + n)) for
        the word c with s = sum r c* (Kay, Statistical Signal Processing II, 5.3: a Gaussian mean of unknown amplitude).
        """
        points, found = self.points.conj().T, np.zeros((len(symbols), len(self.corners)), np.float32)
        heard = np.where(said, symbols * (1 + 1 / np.maximum(gamma, LEAST)), 0)
        snr = (gamma * (1 + 1 / pilots[:, None])).astype(np.float32)
        frame = np.cumsum(np.diff(gamma, axis=1, prepend=gamma[:, :1]) != 0, axis=1)
        for one in np.unique(frame[said]):
            here = said & (frame == one)
            count, s = here.sum(1, keepdims=True, dtype=np.float32), np.where(here, heard, 0) @ points
            known = np.where(here, snr, 0).max(1, keepdims=True)
            found += known * (2 * s.real + np.abs(s - count) ** 2 / (pilots[:, None] + count))
        return found
