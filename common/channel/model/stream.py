"""One talker's way along one stream: what holds from which air sample on. Knows nothing about other talkers.

Segment    one stream while the parameters stand still; a function of its mark, the seed and the stream
Track      the marks that one talker has come to on one stream, and how far it has come
"""

import math
from bisect import bisect_right
from operator import attrgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.channel.fading.clocks import Rates, Wandering
from common.channel.fading.delayline import DelayLine
from common.channel.fading.fader import POINTS, Fader
from common.channel.fading.fading import BLOCK, ContinuousFading, block_fading
from common.channel.fading.gains import CarrierOffset, PhaseNoise, Shadowing, Walk
from common.channel.fading.materials import Model
from common.channel.fading.noise import BLOCK as NOISE_BLOCK
from common.channel.fading.noise import Use, WhiteNoise
from common.channel.fading.shelf import Shelf
from common.channel.model.impairments import amplify, unbalance
from common.channel.model.timeline import Mark, Plan
from common.channel.spec.profiles import MAX_DELAY
from common.channel.spec.spec import ChannelSpec
from common.errors import ProtocolError

Symbols = NDArray[np.complex64]

KEPT = 256
"""Changes by hand that a track remembers: as many as frames can be on their way in a window."""

_PAST = MAX_DELAY + 64
"""Input samples that are kept for the delay line."""

_PIECE = 8192
"""Symbols that go through at a time: what they need stays in the processor's cache."""

_SAMPLE = 8
_OBJECT = 2048
_start = attrgetter("clocks.at")


class Gain(Protocol):
    """Something that multiplies the signal."""

    def samples(self, start: int, count: int) -> Symbols:
        """Gain at air samples start..start+count-1: complex64 [count]."""


class Source:
    """The randomness of one stream: a function of (seed, stream), kept on the shelf while it is in use."""

    def __init__(self, seed: int, stream: int, shelf: Shelf) -> None:
        self.seed, self.stream, self._shelf = seed, stream, shelf

    def white(self, use: Use, round_: int) -> WhiteNoise:
        """White noise of one round."""
        key = use, self.seed, self.stream, round_
        return self._shelf.get(key, lambda: WhiteNoise(self.seed, use, self.stream, round_), _white_bytes)

    def fader(self, use: Use, name: str, spectrum: NDArray[np.float64], paths: int = 1) -> Fader:
        """Correlated processes, one per path; name: of the spectrum."""
        key, size = (self.seed, use, self.stream), _OBJECT + 4 * POINTS * _SAMPLE * paths
        return self._shelf.get((*key, name, paths), lambda: Fader(key, spectrum, paths), lambda _: size)

    def walk(self) -> tuple[Walk, Wandering]:
        """The random walk of the phase noise."""
        key = Use.PHASE_NOISE, self.seed, self.stream
        return self._shelf.get(key, self._make_walk, _walk_bytes)

    def segment(self, mark: Mark) -> "Segment":
        """What a mark makes of this stream."""
        return self._shelf.get((mark, self.seed, self.stream), lambda: Segment(mark, self), _segment_bytes)

    def _make_walk(self) -> tuple[Walk, Wandering]:
        walk = Walk(self.seed, Use.PHASE_NOISE, self.stream)
        return walk, Wandering(walk)


class Segment:
    """One stream's channel from a mark on, while the parameters stand still."""

    def __init__(self, mark: Mark, source: Source) -> None:
        self.model = model = mark.model
        self._source = source
        self.line: DelayLine | None = None
        self._gains: list[Gain] = []
        spec, clocks = model.spec, mark.clocks
        if model.profile is not None:
            fader = source.fader(Use.FADER, spec.spectrum, model.spectrum, model.profile.delays.size)
            self.line = DelayLine(model.profile, fader, spec.doppler, spec.los_doppler, clocks)
        elif model.continuous:
            fader = source.fader(Use.FADER, spec.spectrum, model.spectrum)
            self._gains.append(ContinuousFading(spec, fader, clocks, model.shape))
        elif model.cir_trace is not None:
            self._gains.append(model.cir_trace)
        if spec.shadowing_db:
            fader = source.fader(Use.SHADOWING, "gudmundson", model.shadowing)
            self._gains.append(Shadowing(fader, spec.shadowing_db, spec.shadowing_length, clocks.shadow, clocks.at))
        if not clocks.wander.still:
            walk, wandering = source.walk()
            self._gains.append(PhaseNoise(walk, spec.phase_noise, *wandering.at(clocks.wander)))
        if spec.cfo or clocks.carrier.amount:
            self._gains.append(CarrierOffset(spec.cfo, clocks.carrier))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes in use."""
        return _OBJECT + len(self._gains) * BLOCK * _SAMPLE + (self.line.nbytes if self.line else 0)

    def gain(self, start: int, count: int, round_: int) -> Symbols | None:
        """All that multiplies the signal, the delay line left out: complex64 [count], or None where it is 1."""
        gain: Symbols | None = None
        if self.model.spec.fading == "block-rayleigh":
            draws = self._source.white(Use.BLOCK_FADING, round_)
            gain = block_fading(draws, self.model.spec.coherence, start, count)
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


class Track:
    """One talker on one stream: the plan until it was changed by hand, then the changes by hand, KEPT of them."""

    def __init__(self, plan: Plan, source: Source, changes: int = 0) -> None:
        """changes: by hand, before it began."""
        self._plan, self._source, self.changes = plan, source, changes
        self._own: list[Mark] = []
        self._forgotten = 0
        self._here: tuple[int, float, Mark] = (0, -1, plan.mark(0))
        self._past: Symbols | None = None
        self.end = 0

    @property
    def spec(self) -> ChannelSpec:
        """The parameters at the first air sample that nothing was sent at yet."""
        return self._find(self.end)[2].model.spec

    @property
    def planned(self) -> bool:
        """True where a schedule has set its parameters."""
        return len(self._plan) > 1

    def change(self, model: Model, changes: int) -> None:
        """Use another model from the first air sample that nothing was sent at yet. changes: made by then, in all."""
        self.changes = changes
        at, mark = self.end, self._find(self.end)[2]
        before, after = _rates(mark.model.spec), _rates(model.spec)
        changed = Mark(model, mark.clocks.turned(before, at, after, own=True))
        if self._own and self._own[-1].clocks.at == at:
            self._own.pop()
        self._own.append(changed)
        if len(self._own) > KEPT:
            del self._own[0]
            self._forgotten = self._own[0].clocks.at
        self._here = at, math.inf, changed

    def pieces(self, start: int, count: int) -> list[tuple[Segment, int, int]]:
        """(segment, start, count) of each part of the air samples that has constant parameters.

        Raises ProtocolError("forgotten") for air samples before all changes that are remembered.
        """
        low, high, mark = self._here
        if low <= start and start + count <= high:
            return [(self._source.segment(mark), start, count)]
        found, stop = [], start + count
        while start < stop:
            low, high, mark = self._here = self._find(start)
            size = int(min(stop, high)) - start
            found.append((self._source.segment(mark), start, size))
            start += size
        return found

    def noise(self, start: int, count: int, round_: int) -> Symbols:
        """w at start..start+count-1: complex64 [count], unit power."""
        return self._source.white(Use.NOISE, round_).samples(start, count)

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

    def _find(self, sample: int) -> tuple[int, float, Mark]:
        """The mark that holds at an air sample, and the first and last air sample that it holds for."""
        own = self._own
        if own and sample >= own[0].clocks.at:
            number = bisect_right(own, sample, key=_start) - 1
            until = own[number + 1].clocks.at if number + 1 < len(own) else math.inf
            return own[number].clocks.at, until, own[number]
        if sample < self._forgotten:
            told = f"air sample {sample}: more than {KEPT} changes were made since, and what held there is not kept"
            raise ProtocolError("forgotten", told)
        number, following = self._plan.find(sample)
        until = math.inf if following is None else following
        mark = self._plan.mark(number)
        return mark.clocks.at, min(until, own[0].clocks.at) if own else until, mark

    def _send(self, segment: Segment, start: int, x: Symbols, round_: int) -> Symbols:
        spec = segment.model.spec
        if spec.pa_backoff_db != math.inf:
            x = amplify(x, spec.pa_backoff_db, spec.pa_smoothness)
        y = x
        if segment.line is not None:
            past = self._past if self._past is not None and start == self.end else np.zeros(_PAST, np.complex64)
            y = segment.line.send(start, past[_PAST - segment.line.reach :], x)  # a gap is silence
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


def _rates(spec: ChannelSpec) -> Rates:
    return Rates(spec.doppler, spec.los_doppler, spec.cfo, spec.shadowing_length, spec.phase_noise)


def _white_bytes(_: WhiteNoise) -> int:
    return _OBJECT + NOISE_BLOCK * _SAMPLE


def _walk_bytes(_: tuple[Walk, Wandering]) -> int:
    return _OBJECT + (Walk.LEVELS + 2) * NOISE_BLOCK * _SAMPLE


def _segment_bytes(segment: Segment) -> int:
    return segment.nbytes
