"""The randomness of one stream, as its models ask for it. Knows nothing about what they make of it.

All of it is a function of (seed, stream), and what is in use is kept on a shelf that all streams share.
"""

import numpy as np
from numpy.typing import NDArray

from common.channel.models.clocks import Wandering
from common.channel.models.fader import POINTS, Fader
from common.channel.models.materials import Shelf
from common.channel.models.noise import BLOCK, Use, Walk, WhiteNoise

_SAMPLE = 8
_OBJECT = 2048


class Randomness:
    """Of one stream of one emulator. seed: of the emulator, which is not that of others in a chain (`hop_seed`)."""

    def __init__(self, seed: int, stream: int, shelf: Shelf) -> None:
        self.seed, self.stream, self.shelf = seed, stream, shelf

    def white(self, use: Use, round_: int) -> WhiteNoise:
        """White noise of one round."""
        key = use, self.seed, self.stream, round_
        return self.shelf.get(key, lambda: WhiteNoise(self.seed, use, self.stream, round_), _white_bytes)

    def fader(self, use: Use, name: str, spectrum: NDArray[np.float64], paths: int = 1) -> Fader:
        """Correlated processes, one per path; name: of the spectrum."""
        key, size = (self.seed, use, self.stream), _OBJECT + 4 * POINTS * _SAMPLE * paths
        return self.shelf.get((*key, name, paths), lambda: Fader(key, spectrum, paths), lambda _: size)

    def walk(self) -> tuple[Walk, Wandering]:
        """The random walk of the phase noise."""
        key = Use.PHASE_NOISE, self.seed, self.stream
        return self.shelf.get(key, self._make_walk, _walk_bytes)

    def _make_walk(self) -> tuple[Walk, Wandering]:
        walk = Walk(self.seed, Use.PHASE_NOISE, self.stream)
        return walk, Wandering(walk)


def _white_bytes(_: WhiteNoise) -> int:
    return _OBJECT + BLOCK * _SAMPLE


def _walk_bytes(_: tuple[Walk, Wandering]) -> int:
    return _OBJECT + (Walk.LEVELS + 1) * BLOCK * _SAMPLE
