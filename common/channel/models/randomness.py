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
_WHITE_BYTES = _OBJECT + BLOCK * _SAMPLE
_WALK_BYTES = _OBJECT + (Walk.LEVELS + 1) * BLOCK * _SAMPLE


class Randomness:
    """Of one stream of one emulator. seed: of the emulator, which is not that of others in a chain (`hop_seed`)."""

    def __init__(self, seed: int, stream: int, shelf: Shelf) -> None:
        self.seed, self.stream, self.shelf = seed, stream, shelf

    def white(self, use: Use, round_: int) -> WhiteNoise:
        """White noise of one round."""
        key = use, self.seed, self.stream, round_
        found: WhiteNoise | None = self.shelf.find(key)
        return found or self.shelf.put(key, WhiteNoise(self.seed, use, self.stream, round_), _WHITE_BYTES)

    def fader(self, use: Use, name: str, spectrum: NDArray[np.float64], paths: int = 1) -> Fader:
        """Correlated processes, one per path; name: of the spectrum."""
        key = self.seed, use, self.stream
        found: Fader | None = self.shelf.find((*key, name, paths))
        size = _OBJECT + 4 * POINTS * _SAMPLE * paths
        return found or self.shelf.put((*key, name, paths), Fader(key, spectrum, paths), size)

    def walk(self) -> tuple[Walk, Wandering]:
        """The random walk of the phase noise."""
        key = Use.PHASE_NOISE, self.seed, self.stream
        found: tuple[Walk, Wandering] | None = self.shelf.find(key)
        if found is None:
            walk = Walk(self.seed, Use.PHASE_NOISE, self.stream)
            found = self.shelf.put(key, (walk, Wandering(walk)), _WALK_BYTES)
        return found
