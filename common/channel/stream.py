"""One stream's way through the channel: what holds from which air sample on. Knows nothing about other streams.

Model      a specification with its files read and its tables computed, shared by all streams
Segment    one stream while the parameters stand still
Stream     the segments of one stream, its noise, and how far it has come
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.channel.delayline import DelayLine
from common.channel.doppler import bin_powers
from common.channel.fader import PER_CYCLE, POINTS, Fader
from common.channel.fading import BlockFading, ContinuousFading
from common.channel.gains import CarrierOffset, PhaseNoise, Shadowing, Walk
from common.channel.impairments import amplify, unbalance
from common.channel.nakagami import Quantiles
from common.channel.noise import Use, WhiteNoise
from common.channel.profiles import MAX_DELAY, is_profile, load_profile
from common.channel.spec import ChannelSpec
from common.channel.trace import CirTrace, SnrTrace

Symbols = NDArray[np.complex64]

_PAST = MAX_DELAY + 64
"""Input samples that are kept for the delay line."""

_PIECE = 8192
"""Symbols that go through at a time: what they need stays in the processor's cache."""


class Gain(Protocol):
    """Something that multiplies the signal."""

    def samples(self, start: int, count: int) -> Symbols:
        """Gain at air samples start..start+count-1: complex64 [count]."""


class Model:
    """A specification with its files read and its tables computed. Raises ConfigError where a file is wrong."""

    def __init__(self, spec: ChannelSpec) -> None:
        self.spec = spec
        self.amplitude = np.float32(math.sqrt(spec.noise_power))
        self.profile = load_profile(spec.fading, spec.delay_spread, spec.rate) if is_profile(spec.fading) else None
        self.continuous = spec.fading in ("rayleigh", "rician", "nakagami")
        fades = self.continuous or self.profile is not None
        self.spectrum = bin_powers(spec.spectrum, POINTS, float(PER_CYCLE)) if fades else np.empty(0)
        self.shape = Quantiles(spec.nakagami_m) if spec.fading == "nakagami" else None
        self.shadowing = bin_powers("gudmundson", POINTS, float(PER_CYCLE)) if spec.shadowing_db else np.empty(0)
        self.offset = CarrierOffset(spec.cfo) if spec.cfo else None
        self.snr_trace = SnrTrace(Path(spec.snr_trace)) if spec.snr_trace else None
        self.cir_trace = CirTrace(Path(spec.cir_trace)) if spec.cir_trace else None
        self.unbalanced = bool(spec.iq_gain_db or spec.iq_phase)


class Segment:
    """One stream's channel from air sample `start` on, while the parameters stand still."""

    def __init__(self, model: Model, stream: int, start: int, before: "Segment | None") -> None:
        self.model = model
        self.start = start
        self._stream = stream
        self._cycles = before.cycles_at(start) if before else 0.0
        self._blocks: dict[int, BlockFading] = {}
        self.line: DelayLine | None = None
        self._gains: list[Gain] = []
        spec, key = model.spec, (model.spec.seed, Use.FADER, stream)
        if model.profile is not None:
            fader = Fader(key, model.spectrum, model.profile.delays.size)
            self.line = DelayLine(model.profile, fader, spec.doppler, spec.los_doppler, start, self._cycles)
        elif model.continuous:
            self._gains.append(
                ContinuousFading(spec, Fader(key, model.spectrum), start, self._cycles, model.shape)
            )  # fmt: skip
        elif model.cir_trace is not None:
            self._gains.append(model.cir_trace)
        if spec.shadowing_db:
            fader = Fader((spec.seed, Use.SHADOWING, stream), model.shadowing)
            self._gains.append(Shadowing(fader, spec.shadowing_db, spec.shadowing_length))
        if spec.phase_noise:
            self._gains.append(PhaseNoise(Walk(spec.seed, Use.PHASE_NOISE, stream), spec.phase_noise))
        if model.offset is not None:
            self._gains.append(model.offset)

    def cycles_at(self, sample: int) -> float:
        """Doppler cycles that the stream has been through at an air sample."""
        return self._cycles + (sample - self.start) * self.model.spec.doppler

    def gain(self, start: int, count: int, round_: int) -> Symbols | None:
        """All that multiplies the signal, the delay line left out: complex64 [count], or None where it is 1."""
        gain: Symbols | None = None
        if self.model.spec.fading == "block-rayleigh":
            if round_ not in self._blocks:
                self._blocks[round_] = BlockFading(self.model.spec, self._stream, round_)
            gain = self._blocks[round_].samples(start, count)
        for part in self._gains:
            samples = part.samples(start, count)
            gain = samples if gain is None else gain * samples
        return gain

    def response(self, start: int, count: int, round_: int) -> Symbols | None:
        """`gain` with the delay line's gain at the carrier: complex64 [count], or None where nothing changes."""
        gain = self.gain(start, count, round_)
        if self.line is None:
            return gain
        response = self.line.response(start, count)
        return response if gain is None else gain * response

    def noise_amplitude(self, start: int, count: int) -> np.float32 | NDArray[np.float32]:
        """sqrt(N0): one number, or float32 [count] where a trace sets it."""
        trace = self.model.snr_trace
        return self.model.amplitude if trace is None else trace.amplitudes(start, count)


class Stream:
    """One stream: its segments of constant parameters, its noise, and how far it has come."""

    def __init__(self, plan: Sequence[tuple[int, Model]], number: int) -> None:
        """plan: (first air sample, model from there on), ascending, the first at 0."""
        self._number = number
        self._seed = plan[0][1].spec.seed
        self._noise: dict[int, WhiteNoise] = {}
        self._segments: list[Segment] = []
        for start, model in plan:
            self._append(start, model)
        self._past = np.zeros(_PAST, np.complex64)
        self.end = 0

    @property
    def spec(self) -> ChannelSpec:
        """The parameters at the first air sample that nothing was sent at yet."""
        return self.pieces(self.end, 1)[0][0].model.spec

    def change(self, model: Model) -> int:
        """Use `model` from the first air sample that nothing was sent at yet, which is returned."""
        self._append(self.end, model)
        return self.end

    def _append(self, start: int, model: Model) -> None:
        before = [segment for segment in self._segments if segment.start <= start]
        segment = Segment(model, self._number, start, before[-1] if before else None)
        self._segments = [old for old in before if old.start < start] + [segment]

    def pieces(self, start: int, count: int) -> list[tuple[Segment, int, int]]:
        """(segment, start, count) of each part of the air samples that has constant parameters."""
        if start >= self._segments[-1].start:
            return [(self._segments[-1], start, count)]
        found = []
        ends = [segment.start for segment in self._segments[1:]] + [start + count]
        for segment, end in zip(self._segments, ends, strict=True):
            low, high = max(start, segment.start), min(start + count, end)
            if low < high:
                found.append((segment, low, high - low))
        return found

    def noise(self, start: int, count: int, round_: int) -> Symbols:
        """w at start..start+count-1: complex64 [count], unit power."""
        if round_ not in self._noise:
            self._noise[round_] = WhiteNoise(self._seed, Use.NOISE, self._number, round_)
        return self._noise[round_].samples(start, count)

    def send(self, start: int, x: Symbols, round_: int) -> Symbols:
        """y for x, complex64 [S]. Where the channel changes nothing it is x itself."""
        if x.size > _PIECE:
            y = np.empty_like(x)
            for at in range(0, x.size, _PIECE):
                y[at : at + _PIECE] = self.send(start + at, x[at : at + _PIECE], round_)
            return y
        pieces = self.pieces(start, x.size)
        if len(pieces) == 1:
            return self._send(pieces[0][0], start, x, round_)
        return np.concatenate([self._send(part, at, x[at - start :][:n], round_) for part, at, n in pieces])

    def _send(self, segment: Segment, start: int, x: Symbols, round_: int) -> Symbols:
        spec = segment.model.spec
        if spec.pa_backoff_db != math.inf:
            x = amplify(x, spec.pa_backoff_db, spec.pa_smoothness)
        y = x
        if segment.line is not None:
            past = self._past if start == self.end else np.zeros_like(self._past)  # a gap is silence
            y = segment.line.send(start, past[_PAST - segment.line.reach :], x)
            self._past = np.concatenate((past[x.size :], x[-_PAST:]))
        self.end = max(self.end, start + x.size)
        gain = segment.gain(start, x.size, round_)
        if gain is not None:
            y = y * gain
        amplitude = segment.noise_amplitude(start, x.size)
        if isinstance(amplitude, np.ndarray) or amplitude > 0.0:
            y = _add_noise(y, self.noise(start, x.size, round_), amplitude)
        return unbalance(y, spec.iq_gain_db, spec.iq_phase) if segment.model.unbalanced else y


def _add_noise(y: Symbols, w: Symbols, amplitude: np.float32 | NDArray[np.float32]) -> Symbols:
    if isinstance(amplitude, np.ndarray):
        return y + w * amplitude
    scaled = (w.view(np.float32) * amplitude).view(np.complex64)
    return np.add(y, scaled, out=scaled)
