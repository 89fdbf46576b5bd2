"""The channel: (stream, air sample, symbols) -> impaired symbols and what was done. Knows nothing about messages.

y is a function of (seed, hop, stream, round, air sample, parameter history) and x alone: chunking, order and restarts
do not change a bit (delay lines: the last bits of a float32). Two rounds of neighbouring frames share air positions,
(seq s, round 1) with (seq s + 1, round 0), so the round is part of the key of the noise; block fading draws one h per
(block, round); continuous fading is one process of the air clock for all rounds.

The history is each talker's own: a change acts from the first air sample that this talker has not sent anything at, and
whoever begins later begins with it. So nobody can move the place at which a change reaches another.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np

from common.channel.models.materials import Model, Shelf, Tables
from common.channel.models.noise import hop_seed
from common.channel.models.randomness import Randomness
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.stream import Symbols, Track
from common.channel.streams.timeline import Plan

MOST_TRACKS = 1024
"""Tracks that are kept (a few kB each); who is heard again after that many others begins anew."""

_MODEL_BYTES = 4096

Who = tuple[bytes, int, int]
"""Session, stream, hop."""
_stream = itemgetter(1)


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
    """One channel for any number of streams, which fade independently of each other.

    session: who talks (empty where there is one talker); hop: how many emulators the symbols have passed before.
    """

    def __init__(self, plan: ChannelSpec | Plan) -> None:
        self._plan = plan if isinstance(plan, Plan) else Plan(plan)
        self._scheduled = len(self._plan) > 1
        self._shelf = Shelf()
        self._tracks: OrderedDict[Who, Track] = OrderedDict()
        self._changes = 0
        self._latest: dict[str, tuple[int, Any]] = {}

    @property
    def spec(self) -> ChannelSpec:
        """The parameters at air sample 0 of a stream that has not begun."""
        return self._plan.spec

    @property
    def tracks(self) -> list[tuple[Who, int]]:
        """Who has sent on which stream, and the first air sample after all of it; by stream."""
        return [(who, self._tracks[who].end) for who in sorted(self._tracks, key=_stream)]

    def apply(
        self, stream: int, air_start: int, x: Symbols, round: int = 0, hop: int = 0, session: bytes = b""
    ) -> tuple[Symbols, Truth]:
        """Send x, complex64 [S] with E|x|^2 = 1, S >= 1, at air samples air_start..air_start+S-1.

        Returns y, complex64 [S], and the truth about it. Where the channel changes nothing, y is x itself. Raises
        ProtocolError("forgotten") where what held at these air samples is not kept any more.
        """
        y = self.transform(stream, air_start, x, round, hop, session)
        return y, self.truth(stream, air_start, x, round, hop, session)

    def transform(
        self, stream: int, air_start: int, x: Symbols, round: int = 0, hop: int = 0, session: bytes = b""
    ) -> Symbols:
        """`apply` without the truth, for long messages."""
        return self._track(session, stream, hop).send(air_start, x, round)

    def truth(
        self, stream: int, air_start: int, x: Symbols, round: int = 0, hop: int = 0, session: bytes = b""
    ) -> Truth:
        """The truth about x, whether it has been sent or not. Asking changes nothing: no stream begins by it."""
        who = session, stream, hop
        track = self._caught_up(self._tracks[who]) if who in self._tracks else self._new_track(stream, hop)
        power = float(np.vdot(x, x).real) / x.size
        gain, gain_power, noise_power = 0.0 + 0.0j, 0.0, 0.0
        for segment, at, count in track.pieces(air_start, x.size):
            share = count / x.size
            h = segment.response(at, count, round)
            gain += share * (1.0 if h is None else complex(h.mean()))
            gain_power += share * (1.0 if h is None else float(np.vdot(h, h).real) / count)
            noise_power += share * float(np.mean(np.square(segment.noise_amplitude(at, count), dtype=np.float64)))
        ratio = gain_power / noise_power if noise_power else math.inf
        return Truth(gain, 10.0 * math.log10(ratio) if ratio else -math.inf, power)

    def fading(self, stream: int, air_start: int, count: int, round: int = 0, hop: int = 0) -> Symbols:
        """h of `count` air samples: complex64 [count]."""
        pieces = [
            np.ones(n, np.complex64) if (h := segment.response(at, n, round)) is None else h
            for segment, at, n in self._track(b"", stream, hop).pieces(air_start, count)
        ]
        return np.concatenate(pieces)

    def noise(self, stream: int, air_start: int, count: int, round: int = 0, hop: int = 0) -> Symbols:
        """w of `count` air samples: complex64 [count], unit power whatever the SNR."""
        return self._track(b"", stream, hop).noise(air_start, count, round)

    def change(self, parameters: dict[str, Any]) -> list[tuple[Who, int]]:
        """Set parameters (not the seed) from here on: for each track the first air sample that sees them, by stream.

        A track that has not begun sees them from air sample 0. What was left of a schedule is dropped; what it has
        done to a track so far stays. Raises ConfigError, and then nothing changes.
        """
        plan = Plan(replace(self.spec, **parameters), tables=self._plan.tables)
        for track in self._tracks.values() if self._scheduled else ():
            if track.planned:  # all others have the parameters of the plan, or will have
                self._model(replace(self._caught_up(track).spec, **parameters))
        self._plan = plan
        self._changes += 1
        self._latest.update((name, (self._changes, value)) for name, value in parameters.items())
        return self.tracks

    def adopt(self, tables: Tables) -> None:
        """Take files that were read elsewhere, for the next change."""
        self._plan.tables.take(tables)

    def _track(self, session: bytes, stream: int, hop: int) -> Track:
        who = session, stream, hop
        if (track := self._tracks.get(who)) is None:
            track = self._tracks[who] = self._new_track(stream, hop)
            if len(self._tracks) > MOST_TRACKS:
                self._tracks.popitem(last=False)
        self._tracks.move_to_end(who)
        return track if track.changes == self._changes else self._caught_up(track)

    def _new_track(self, stream: int, hop: int) -> Track:
        return Track(self._plan, Randomness(hop_seed(self.spec.seed, hop), stream, self._shelf), self._changes)

    def _caught_up(self, track: Track) -> Track:
        """A track with all changes: nothing was sent on it since, so the last value of each parameter is enough."""
        if track.changes != self._changes:
            spec = self.spec
            if track.planned:
                new = {name: value for name, (number, value) in self._latest.items() if number > track.changes}
                spec = replace(track.spec, **new)
            track.change(self._model(spec), self._changes)
        return track

    def _model(self, spec: ChannelSpec) -> Model:
        found: Model | None = self._shelf.find(spec)
        return found or self._shelf.put(spec, Model(spec, self._plan.tables), _MODEL_BYTES)
