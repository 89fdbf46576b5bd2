"""How to add a model of flat fading: a path that somebody walks through, so that it is there or it is not.

    python tests/examples/channel_model.py

Three things make a model, here at run time, in the project at the places that are named: a name and what it is, in
`FADING` of `common/channel/spec/spec.py`; a class, and its line in `MODELS` of `common/channel/models/flat.py`. A
parameter of its own is one more field of `ChannelSpec`, beside those that are there; this model does with `coherence`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.channel import Channel, ChannelSpec
from common.channel.models.clocks import Clocks
from common.channel.models.flat import MODELS
from common.channel.models.gains import Gain
from common.channel.models.materials import Model
from common.channel.models.noise import Use
from common.channel.models.randomness import Randomness
from common.channel.spec.spec import FADING

BLOCKED = 0.25
"""Share of the time in which nothing arrives."""


class OnOff(Gain):
    """For `coherence` symbols at a time h is 0 with probability 1/4, and else so large that E|h|^2 = 1."""

    def __init__(self, model: Model, randomness: Randomness, clocks: Clocks) -> None:
        self._length, self._randomness = model.spec.coherence, randomness

    def samples(self, start: int, count: int, round_: int) -> NDArray[np.complex64]:
        """h[start : start + count]: complex64 [count]. Round 0 for all: it is one process of the air clock."""
        first, last = start // self._length, (start + count - 1) // self._length
        draws = self._randomness.white(Use.BLOCK_FADING, 0).samples(first, last - first + 1)
        there = np.abs(draws) ** 2 > -math.log(1.0 - BLOCKED)  # |w|^2 is exponential
        h = (there / math.sqrt(1.0 - BLOCKED)).astype(np.complex64)
        return np.repeat(h, self._length)[start - first * self._length :][:count]


def main() -> None:
    FADING["on-off"] = "there, or not, for `coherence` symbols at a time"
    MODELS["on-off"] = OnOff
    channel = Channel(ChannelSpec(snr_db=20.0, fading="on-off", coherence=50))
    sent = np.ones(100_000, np.complex64)
    received, truth = channel.apply(0, 0, sent)
    silent = np.mean(np.abs(received) < 0.5)
    print(f"{silent:.0%} of the symbols are lost; SNR {truth.snr_inst_db:.1f} dB of 20 on average")


if __name__ == "__main__":
    main()
