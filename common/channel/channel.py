"""The channel as a function: symbols in, symbols and the truth about them out. Knows nothing about sockets.

    y[n] = h[n] x[n] + sqrt(N0) w[n]         n: air sample, h: fading, w ~ CN(0, 1)

y is a function of (seed, stream, round, air sample, history of parameters) and x alone: chunking, order and restarts do
not change a bit. Two rounds of neighbouring frames share air positions, (seq s, round 1) with (seq s + 1, round 0), so
the round is part of the key of the noise; block fading draws one h per (block, round); continuous fading is one process
of the air clock for all rounds.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.channel.doppler import bin_powers
from common.channel.fader import PER_CYCLE, POINTS, Fader
from common.channel.fading import BlockFading, ContinuousFading
from common.channel.noise import Use, WhiteNoise
from common.channel.spec import ChannelSpec

_MAX_STREAMS = 256
"""Streams whose state is kept (about 200 kB each); a stream seen again after that many others starts afresh."""

Symbols = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Truth:
    """What the channel did to one frame.

    h: mean complex gain; snr_inst_db: mean |h|^2 / N0 in dB (inf without noise); power: mean |x|^2 as it was measured.
    """

    h: complex
    snr_inst_db: float
    power: float


class Channel:
    """One channel for any number of streams, which fade independently of each other."""

    def __init__(self, spec: ChannelSpec) -> None:
        self._model = _Model(spec)
        self._streams: OrderedDict[int, _Stream] = OrderedDict()

    @property
    def spec(self) -> ChannelSpec:
        """The parameters that hold now."""
        return self._model.spec

    def apply(self, stream: int, air_start: int, x: Symbols, round: int = 0) -> tuple[Symbols, Truth]:
        """Send x, complex64 [S] with E|x|^2 = 1, S >= 1, at air samples air_start..air_start+S-1.

        Returns y, complex64 [S], and the truth about it. Without noise and fading y is x itself.
        """
        y, h, noise_power = self._stream(stream).send(air_start, x, round)
        power = float(np.vdot(x, x).real) / x.size
        if h is None:
            gain, gain_power = 1.0 + 0.0j, 1.0
        else:
            gain, gain_power = complex(h.mean()), float(np.vdot(h, h).real) / h.size
        ratio = gain_power / noise_power if noise_power else math.inf
        return y, Truth(gain, 10.0 * math.log10(ratio) if ratio else -math.inf, power)

    def transform(self, stream: int, air_start: int, x: Symbols, round: int = 0) -> Symbols:
        """`apply` without the truth, for long messages."""
        return self._stream(stream).send(air_start, x, round)[0]

    def fading(self, stream: int, air_start: int, count: int, round: int = 0) -> Symbols:
        """h of `count` air samples: complex64 [count]."""
        state = self._stream(stream)
        pieces = [
            np.ones(n, np.complex64) if (h := segment.fading(at, n, round)) is None else h
            for segment, at, n in state.pieces(air_start, count)
        ]
        return np.concatenate(pieces)

    def noise(self, stream: int, air_start: int, count: int, round: int = 0) -> Symbols:
        """w of `count` air samples: complex64 [count], unit power whatever the SNR."""
        return self._stream(stream).noise(air_start, count, round)

    def change(self, parameters: dict[str, Any]) -> dict[int, int]:
        """Set parameters (not the seed) from here on: stream -> first air sample that sees them.

        A stream that has not been seen yet sees them from air sample 0.
        """
        self._model = _Model(replace(self.spec, **parameters))
        return {number: state.change(self._model) for number, state in self._streams.items()}

    def _stream(self, number: int) -> "_Stream":
        state = self._streams.get(number)
        if state is None:
            state = self._streams[number] = _Stream(self._model, number)
            if len(self._streams) > _MAX_STREAMS:
                self._streams.popitem(last=False)
        self._streams.move_to_end(number)
        return state


class _Model:
    """A specification with its files read and its tables computed, shared by all streams."""

    def __init__(self, spec: ChannelSpec) -> None:
        self.spec = spec
        self.continuous = spec.fading in ("rayleigh", "rician")
        self.spectrum = bin_powers(spec.spectrum, POINTS, float(PER_CYCLE)) if self.continuous else np.empty(0)


class _Stream:
    """One stream: its segments of constant parameters, its noise, and how far it has come."""

    def __init__(self, model: _Model, number: int) -> None:
        self._number = number
        self._seed = model.spec.seed
        self._noise: dict[int, WhiteNoise] = {}
        self._segments = [_Segment(model, number, 0, None)]
        self._end = 0

    def change(self, model: _Model) -> int:
        """Use `model` from the first air sample that nothing was sent at yet, which is returned."""
        last = self._segments[-1]
        if last.start == self._end:
            self._segments.pop()
        self._segments.append(_Segment(model, self._number, self._end, last))
        return self._end

    def pieces(self, start: int, count: int) -> list[tuple["_Segment", int, int]]:
        """(segment, start, count) of each part of the air samples that has constant parameters."""
        found = []
        ends = [segment.start for segment in self._segments[1:]] + [start + count]
        for segment, end in zip(self._segments, ends, strict=True):
            low, high = max(start, segment.start), min(start + count, end)
            if low < high:
                found.append((segment, low, high - low))
        return found

    def noise(self, start: int, count: int, round_: int) -> Symbols:
        if round_ not in self._noise:
            self._noise[round_] = WhiteNoise(self._seed, Use.NOISE, self._number, round_)
        return self._noise[round_].samples(start, count)

    def send(self, start: int, x: Symbols, round_: int) -> tuple[Symbols, Symbols | None, float]:
        """(y, h or None where nothing fades, N0 of the first sample)."""
        self._end = max(self._end, start + x.size)
        segment = self._segments[-1]
        if start >= segment.start:
            return *self._send_piece(segment, start, x, round_), segment.spec.noise_power
        pieces = self.pieces(start, x.size)
        done = [self._send_piece(part, at, x[at - start : at - start + n], round_) for part, at, n in pieces]
        h = [np.ones(y.size, np.complex64) if gain is None else gain for y, gain in done]
        return np.concatenate([y for y, _ in done]), np.concatenate(h), pieces[0][0].spec.noise_power

    def _send_piece(self, segment: "_Segment", start: int, x: Symbols, round_: int) -> tuple[Symbols, Symbols | None]:
        h = segment.fading(start, x.size, round_)
        y = x if h is None else x * h
        if segment.amplitude:
            noise = self.noise(start, x.size, round_).view(np.float32) * segment.amplitude
            y = np.add(y, noise.view(np.complex64), out=noise.view(np.complex64))
        return y, h


class _Segment:
    """One stream's channel from air sample `start` on, while the parameters stand still."""

    def __init__(self, model: _Model, stream: int, start: int, before: "_Segment | None") -> None:
        self.spec = spec = model.spec
        self.start = start
        self.amplitude = np.float32(math.sqrt(spec.noise_power))
        self._stream = stream
        self._blocks: dict[int, BlockFading] = {}
        self._cycles = before.cycles_at(start) if before else 0.0
        self._continuous: ContinuousFading | None = None
        if model.continuous:
            fader = Fader((spec.seed, Use.FADER, stream), model.spectrum)
            self._continuous = ContinuousFading(spec, fader, start, self._cycles)

    def cycles_at(self, sample: int) -> float:
        """Doppler cycles that the stream has been through at an air sample."""
        return self._cycles + (sample - self.start) * self.spec.doppler

    def fading(self, start: int, count: int, round_: int) -> Symbols | None:
        """h[start : start + count], or None where nothing fades."""
        if self._continuous is not None:
            return self._continuous.samples(start, count)
        if self.spec.fading == "none":
            return None
        if round_ not in self._blocks:
            self._blocks[round_] = BlockFading(self.spec, self._stream, round_)
        return self._blocks[round_].samples(start, count)
