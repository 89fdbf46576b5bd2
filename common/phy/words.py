"""Words for a decision: corners of the constellation, one word a class; any prefix of a word is a code by itself.

Knows nothing about features, networks or frames. numpy only. How words are found: `training/words/search.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CORNERS = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], np.complex64) / np.float32(np.sqrt(2))
"""The four corners of square QAM, of unit power: complex64 [4]."""


WORD, ABSENT = -1, -2
"""In the place of a symbol's number among those that carry features: it is a word's; it has not come."""


def places(symbols: int, words: int) -> NDArray[np.int16]:
    """What each symbol of the ladder is, where the first `words` are the word's: int16 [S]."""
    found: NDArray[np.int16] = np.maximum(np.arange(symbols) - min(words, symbols), WORD).astype(np.int16)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """corners: uint8 [C, S], which of CORNERS each symbol of each word is."""

    corners: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.corners.dtype != np.uint8 or self.corners.ndim != 2 or self.corners.max(initial=0) > 3:
            raise ValueError(f"words are uint8 [classes, symbols] of 0 to 3, not {self.corners.dtype}")

    @property
    def points(self) -> NDArray[np.complex64]:
        """complex64 [C, S], unit power each."""
        return CORNERS[self.corners]

    def likelihood(
        self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32], said: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Log-likelihood of each word but for a constant: float32 [B, C].

        symbols: complex64 [B, S], estimates x^ as the MMSE equaliser gives them; gamma: float32 [B, S], their linear
        SNR, 0 where nothing came; said: bool [B, S], which of them are a word's. x^ (1 + 1/gamma) is x and noise of
        variance 1/gamma, so 2 Re(x^ c*) (1 + gamma) is what corner c adds (Proakis, Digital Communications, 4.2).
        """
        soft = np.where(said, 2 * (1 + gamma) * symbols, 0)
        points = self.points
        found = soft.real @ points.real.T + soft.imag @ points.imag.T
        return found.astype(np.float32)
