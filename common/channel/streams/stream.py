"""One talker's way along one stream: what holds from which air sample on. Knows nothing about other talkers.

Segment    one stream while the parameters stand still; a function of its mark, the seed and the stream
Track      the marks that one talker has come to on one stream, and how far it has come
"""

import math
from bisect import bisect_right
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from common.channel.models.clocks import Rates
from common.channel.models.delayline import DelayLine
from common.channel.models.flat import MODELS
from common.channel.models.gains import CarrierOffset, Gain, PhaseNoise, Shadowing
from common.channel.models.impairments import amplify, unbalance
from common.channel.models.materials import Model
from common.channel.models.noise import Use
from common.channel.models.randomness import Randomness
from common.channel.spec.profiles import MAX_DELAY
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.timeline import Mark, Plan
from common.errors import ProtocolError

Symbols = NDArray[np.complex64]

KEPT = 256
"""Changes by hand that a track remembers: as many as frames can be on their way in a window."""

_PAST = MAX_DELAY + 64
"""Input samples that are kept for the delay line."""

_PIECE = 8192
"""Symbols that go through at a time: what they need stays in the processor's cache."""

_OBJECT = 2048
_start = attrgetter("clocks.at")


class Segment:
    """One stream's channel from a mark on, while the parameters stand still."""

    def __init__(self, mark: Mark, randomness: Randomness) -> None:
        self.model = model = mark.model
        self.line: DelayLine | None = None
        self._gains: list[Gain] = []
        spec, clocks = model.spec, mark.clocks
        if model.profile is not None:
            fader = randomness.fader(Use.FADER, spec.spectrum, model.spectrum, model.profile.delays.size)
            self.line = DelayLine(model.profile, fader, spec.doppler, spec.los_doppler, clocks)
        elif spec.fading in MODELS:
            self._gains.append(MODELS[spec.fading](model, randomness, clocks))
        if spec.shadowing_db:
            fader = randomness.fader(Use.SHADOWING, "gudmundson", model.shadowing)
            self._gains.append(Shadowing(fader, spec.shadowing_db, spec.shadowing_length, clocks.shadow, clocks.at))
        if not clocks.wander.still:
            walk, wandering = randomness.walk()
            self._gains.append(PhaseNoise(walk, spec.phase_noise, *wandering.at(clocks.wander)))
        if spec.cfo or clocks.carrier.amount:
            self._gains.append(CarrierOffset(spec.cfo, clocks.carrier))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes in use."""
        return _OBJECT + sum(gain.nbytes for gain in self._gains) + (self.line.nbytes if self.line else 0)

    def gain(self, start: int, count: int, round_: int) -> Symbols | None:
        """All that multiplies the signal, the delay line left out: complex64 [count], or None where it is 1."""
        gain: Symbols | None = None
        for part in self._gains:
            samples = part.samples(start, count, round_)
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

    def __init__(self, plan: Plan, randomness: Randomness, changes: int = 0) -> None:
        """changes: by hand, before it began."""
        self._plan, self._randomness, self.changes = plan, randomness, changes
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
        found, stop = [], start + count
        while start < stop:
            self._here = self._find(start)
            _, high, mark = self._here
            size = int(min(stop, high)) - start
            found.append((self._segment(mark), start, size))
            start += size
        return found

    def noise(self, start: int, count: int, round_: int) -> Symbols:
        """w at start..start+count-1: complex64 [count], unit power."""
        return self._randomness.white(Use.NOISE, round_).samples(start, count)

    def send(self, start: int, x: Symbols, round_: int) -> Symbols:
        """y for x, complex64 [S]. Where the channel changes nothing it is x itself."""
        if x.size > _PIECE:
            y = np.empty_like(x)
            for at in range(0, x.size, _PIECE):
                y[at : at + _PIECE] = self.send(start + at, x[at : at + _PIECE], round_)
            return y
        low, high, mark = self._here
        if low <= start and start + x.size <= high:  # nearly always
            return self._send(self._segment(mark), start, x, round_)
        pieces = self.pieces(start, x.size)
        if len(pieces) == 1:
            return self._send(pieces[0][0], start, x, round_)
        return np.concatenate([self._send(part, at, x[at - start :][:n], round_) for part, at, n in pieces])

    def _segment(self, mark: Mark) -> Segment:
        randomness = self._randomness
        key = mark, randomness.seed, randomness.stream
        segment: Segment | None = randomness.shelf.find(key)
        if segment is None:
            segment = Segment(mark, randomness)
            randomness.shelf.put(key, segment, segment.nbytes)
        return segment

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
            noise = self.noise(start, x.size, round_) * amplitude
            y = np.add(noise, y, out=noise)
        return unbalance(y, spec.iq_gain_db, spec.iq_phase) if segment.model.unbalanced else y


def _rates(spec: ChannelSpec) -> Rates:
    return Rates(spec.doppler, spec.los_doppler, spec.cfo, spec.shadowing_length, spec.phase_noise)
