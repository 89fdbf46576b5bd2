"""What accumulates while samples pass: Doppler cycles, and the turns of everything that rotates.

Knows nothing about randomness, except for the phase that phase noise has added, which it asks a random walk for. At a
change of parameters only the speed changes from there on, so that no phase jumps:

    cycles(n)  = cycles + (n - at) doppler                        scattered paths
    turns(n)   = turns_c + (cycles(n) - c) los_doppler            line of sight; c: where los_doppler changed
    turns(n)   = turns_m + (n - m) cfo                            carrier offset; m: where it changed
    theta(n)   = theta_m + sqrt(2 pi linewidth) (W[n] - W[m-1])   phase noise; W: random walk
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

TURN = 2.0 * math.pi


class Rates(NamedTuple):
    """The parameters by which something accumulates, as in a ChannelSpec."""

    doppler: float
    los_doppler: float
    cfo: float
    shadowing_length: float
    phase_noise: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Rates:
        """Out of all parameters by name."""
        return cls(*_rates(values))


_rates = itemgetter(*Rates._fields)


class Walk(Protocol):
    """A random walk; `value` is where it stands after a sample, 0 before the first (sample -1)."""

    def value(self, sample: int) -> float: ...


class Since(NamedTuple):
    """`amount` had accumulated at `place` (an air sample, or a number of cycles), where the speed changed."""

    place: float = 0
    amount: float = 0.0

    def turned(self, place: float, speed: float, following: float) -> Since:
        """The same where the speed becomes another at `place`; whole turns are left out."""
        if speed == following:
            return self
        return Since(place, math.fmod(self.amount + (place - self.place) * speed, 1.0))


class Wander:
    """From air sample `at` on phase noise has this linewidth; `before`: what it had until then.

    own: of one stream alone, so that its phase can be kept here and what lies before it be forgotten.
    """

    __slots__ = ("at", "before", "linewidth", "own", "settled")

    def __init__(self, at: int, linewidth: float, before: Wander | None = None, own: bool = False) -> None:
        self.at, self.linewidth, self.before, self.own = at, linewidth, before, own
        self.settled: tuple[float, float] | None = None if before else (0.0, 0.0)

    def turned(self, at: int, linewidth: float, own: bool = False) -> Wander:
        """What holds from `at` on."""
        if linewidth == self.linewidth:
            return self
        if own and self.own and at == self.at:  # nothing was sent at the linewidth between
            again = Wander(at, linewidth, self.before, own)
            again.settled = self.settled
            return again
        return Wander(at, linewidth, self, own)

    @property
    def still(self) -> bool:
        """True where there is no phase noise and never was."""
        return self.before is None and not self.linewidth and self.settled == (0.0, 0.0)


class Wandering:
    """How far phase noise has turned one stream by each change of its linewidth."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._last: tuple[Wander, float, float] | None = None

    def at(self, wander: Wander) -> tuple[float, float]:
        """(theta, W) just before `wander.at`: theta(n) = theta + sqrt(2 pi linewidth) (W[n] - W)."""
        ahead: list[Wander] = []
        here = wander
        while here.settled is None and not (self._last and self._last[0] is here):
            assert here.before is not None
            ahead.append(here)
            here = here.before
        theta, reached = here.settled or (self._last or (here, 0.0, 0.0))[1:]
        for following in reversed(ahead):
            value = self._walk.value(following.at - 1)
            theta += math.sqrt(TURN * here.linewidth) * (value - reached)
            here, reached = following, value
            if here.own:
                here.settled, here.before = (theta, reached), None
        self._last = here, theta, reached
        return theta, reached


class Clocks(NamedTuple):
    """All of them at air sample `at`, where the parameters changed last."""

    at: int
    cycles: float
    sight: Since
    carrier: Since
    shadow: Since
    wander: Wander

    @classmethod
    def start(cls, rates: Rates) -> Clocks:
        """At air sample 0."""
        return cls(0, 0.0, Since(), Since(), Since(), Wander(0, rates.phase_noise))

    def cycles_at(self, rates: Rates, sample: int) -> float:
        """Doppler cycles by air sample `sample`."""
        return self.cycles + (sample - self.at) * rates.doppler

    def turned(self, rates: Rates, at: int, following: Rates, own: bool = False) -> Clocks:
        """Where `rates` become `following` at air sample `at`. own: the change is one stream's alone."""
        cycles, shadow = self.cycles_at(rates, at), self.shadow
        if rates == following:
            return Clocks(at, cycles, self.sight, self.carrier, shadow, self.wander)
        if rates.shadowing_length != following.shadowing_length:
            shadow = Since(at, shadow.amount + (at - shadow.place) * shadow_speed(rates.shadowing_length))
        return Clocks(
            at,
            cycles,
            self.sight.turned(cycles, rates.los_doppler, following.los_doppler),
            self.carrier.turned(at, rates.cfo, following.cfo),
            shadow,
            self.wander.turned(at, following.phase_noise, own),
        )


def shadow_speed(length: float) -> float:
    """Cycles per symbol of a shadowing process whose autocorrelation has fallen to 1/e after `length` symbols."""
    return 10.0 / (TURN * length)
