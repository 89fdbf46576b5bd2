"""The channel as a function: symbols in, symbols and the truth about them out. Knows nothing about sockets.

    y[n] = h[n] x[n] + sqrt(N0) w[n]         n: air sample, h: all gains, w ~ CN(0, 1)

y is a function of (seed, stream, round, air sample, history of parameters) and x alone: chunking, order and restarts do
not change a bit (delay lines: the last bits of a float32). Two rounds of neighbouring frames share air positions,
(seq s, round 1) with (seq s + 1, round 0), so the round is part of the key of the noise; block fading draws one h per
(block, round); continuous fading is one process of the air clock for all rounds.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from common.channel.spec import ChannelSpec
from common.channel.stream import Model, Stream, Symbols

_MAX_STREAMS = 256
"""Streams whose state is kept (about 200 kB each); a stream seen again after that many others starts afresh."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the channel did to one frame.

    h: mean complex gain (at the carrier, where there are several delays); snr_inst_db: mean |h|^2 over mean N0 in dB,
    inf without noise; power: mean |x|^2 as it was measured.
    """

    h: complex
    snr_inst_db: float
    power: float


class Channel:
    """One channel for any number of streams, which fade independently of each other."""

    def __init__(self, spec: ChannelSpec, schedule: Sequence[tuple[int, ChannelSpec]] = ()) -> None:
        """schedule: (first air sample, channel from there on), ascending, for every stream on its own air clock."""
        self._plan = [(0, Model(spec)), *((at, Model(later)) for at, later in schedule)]
        self._streams: OrderedDict[int, Stream] = OrderedDict()

    @property
    def spec(self) -> ChannelSpec:
        """The parameters at air sample 0 of a stream that has not begun."""
        return self._plan[0][1].spec

    @property
    def streams(self) -> dict[int, int]:
        """Stream -> first air sample after all that was sent."""
        return {number: state.end for number, state in self._streams.items()}

    def apply(self, stream: int, air_start: int, x: Symbols, round: int = 0) -> tuple[Symbols, Truth]:
        """Send x, complex64 [S] with E|x|^2 = 1, S >= 1, at air samples air_start..air_start+S-1.

        Returns y, complex64 [S], and the truth about it. Where the channel changes nothing, y is x itself.
        """
        y = self.transform(stream, air_start, x, round)
        return y, self.truth(stream, air_start, x, round)

    def transform(self, stream: int, air_start: int, x: Symbols, round: int = 0) -> Symbols:
        """`apply` without the truth, for long messages."""
        return self._stream(stream).send(air_start, x, round)

    def truth(self, stream: int, air_start: int, x: Symbols, round: int = 0) -> Truth:
        """The truth about x, whether it has been sent or not. Asking changes nothing: no stream begins by it."""
        state = self._streams.get(stream) or Stream(self._plan, stream)
        power = float(np.vdot(x, x).real) / x.size
        gain, gain_power, noise_power = 0.0 + 0.0j, 0.0, 0.0
        for segment, at, count in state.pieces(air_start, x.size):
            share = count / x.size
            h = segment.response(at, count, round)
            gain += share * (1.0 if h is None else complex(h.mean()))
            gain_power += share * (1.0 if h is None else float(np.vdot(h, h).real) / count)
            noise_power += share * float(np.mean(np.square(segment.noise_amplitude(at, count), dtype=np.float64)))
        ratio = gain_power / noise_power if noise_power else math.inf
        return Truth(gain, 10.0 * math.log10(ratio) if ratio else -math.inf, power)

    def fading(self, stream: int, air_start: int, count: int, round: int = 0) -> Symbols:
        """h of `count` air samples: complex64 [count]."""
        pieces = [
            np.ones(n, np.complex64) if (h := segment.response(at, n, round)) is None else h
            for segment, at, n in self._stream(stream).pieces(air_start, count)
        ]
        return np.concatenate(pieces)

    def noise(self, stream: int, air_start: int, count: int, round: int = 0) -> Symbols:
        """w of `count` air samples: complex64 [count], unit power whatever the SNR."""
        return self._stream(stream).noise(air_start, count, round)

    def change(self, parameters: dict[str, Any]) -> dict[int, int]:
        """Set parameters (not the seed) from here on: stream -> first air sample that sees them.

        A stream that has not been seen yet sees them from air sample 0. What was left of a schedule is dropped; what it
        has done to a stream so far stays. Raises ConfigError, and then nothing changes.
        """
        models: dict[ChannelSpec, Model] = {}

        def changed(spec: ChannelSpec) -> Model:
            spec = replace(spec, **parameters)
            models[spec] = models.get(spec) or Model(spec)
            return models[spec]

        plan = [(0, changed(self.spec))]
        following = {number: changed(state.spec) for number, state in self._streams.items()}
        self._plan = plan
        return {number: state.change(following[number]) for number, state in self._streams.items()}

    def _stream(self, number: int) -> Stream:
        state = self._streams.get(number)
        if state is None:
            state = self._streams[number] = Stream(self._plan, number)
            if len(self._streams) > _MAX_STREAMS:
                self._streams.popitem(last=False)
        self._streams.move_to_end(number)
        return state
