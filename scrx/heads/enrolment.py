"""Collecting the next pictures of a session as examples of a class. Pure: no socket, no file, no clock of its own.

Knows nothing about how examples become a class. One thread offers pictures, another one asks.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from common.errors import ConfigError, SemlinkError
from scrx.heads.head import Example

_FIRST = ", as a transmitter's first does, which has heard of no channel yet"
_BARE = (
    " (sent before the first channel report, or by a transmitter that sends none: `sctx --distortion 10` sends them)"
)
MOST_BARE = 1000
"""Pictures without features that are told apart; as many as examples may be asked for."""
FEW_BITS = 8.0
"""An example of fewer bits of features, which is two symbols of 16-QAM, says hardly more than the word does."""
ASKED_WITHIN_S = 5.0
"""Who asked for an enrolment and is not heard of for so long has left."""


@dataclass(slots=True)
class Wanted:
    """What is to be enrolled, and what has come of it. session: 32 hex digits, "" until one has sent a picture."""

    ticket: int
    name: str
    head: str
    group: str
    count: int
    session: str
    asked_s: float
    examples: dict[int, Example] = field(default_factory=dict)
    """By sequence number: a picture that is answered twice counts once, as it was answered last."""
    bare: set[int] = field(default_factory=set)
    """Pictures that brought no features, such as the first of a transmitter that has heard of no channel yet."""

    @property
    def full(self) -> bool:
        """All examples are there."""
        return len(self.examples) >= self.count

    def take(self, one: Example) -> None:
        """A picture of its session: an example where it brought features."""
        if one.bits > 0:
            self.examples[one.seq] = one
            self.bare.discard(one.seq)
        elif one.seq not in self.examples and len(self.bare) < MOST_BARE:
            self.bare.add(one.seq)

    def settle(self) -> None:
        """No more will come: as many as were asked for were shown, so those with features are all that there are."""
        if self.examples and len(self.examples) + len(self.bare) >= self.count:
            self.count = len(self.examples)

    @property
    def without(self) -> str:
        """How many pictures did not count, and how many count that say little, in words; "" where there are none."""
        told, few = "", sum(one.bits < FEW_BITS for one in self.examples.values())
        if self.bare:
            count = f"{len(self.bare)}{' or' * (len(self.bare) == MOST_BARE)} more"
            told += f"; {count} came without features{_FIRST if len(self.bare) == 1 else _BARE}"
        if few:
            told += f"; {few} of {len(self.examples)} with fewer than {FEW_BITS:g} bits of features, which say hardly "
            told += "more than the word: `sctx --distortion 10` sends more"
        return told


class Collector:
    """One enrolment at a time. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: Wanted | None = None
        self._tickets = 0

    def waits(self, now: float) -> bool:
        """Whether pictures are wanted, by somebody who is still there."""
        wanted = self._wanted
        return wanted is not None and not wanted.full and now - wanted.asked_s <= ASKED_WITHIN_S

    def open(self, now: float) -> bool:
        """Whether somebody waits to hear how an enrolment went."""
        wanted = self._wanted
        return wanted is not None and now - wanted.asked_s <= ASKED_WITHIN_S

    def begin(
        self, name: str, head: str, group: str, count: int, session: str, sessions: Collection[str], now: float
    ) -> Wanted:
        """Collect from now on. session: one of those that are connected, or ""; ConfigError where that is not clear."""
        if not session and len(sessions) > 1:
            raise ConfigError(
                f"{len(sessions)} transmitters are connected: say which one sends '{name}', by --session "
                f"{' or '.join(sorted(sessions)[:8])}"
            )
        with self._lock:
            other = self._wanted
            if other is not None and self.open(now):
                have = f"{len(other.examples)} of {other.count}"
                raise ConfigError(f"'{other.name}' is being enrolled just now ({have}): wait for it")
            self._tickets += 1
            self._wanted = Wanted(self._tickets, name, head, group, count, session, now)
            return self._wanted

    def offer(self, examples: Sequence[Example], now: float) -> None:
        """Pictures that were answered for good, in that order."""
        with self._lock:
            wanted = self._wanted
            if wanted is None or not self.open(now):
                return
            for one in examples:
                if wanted.full and one.seq not in wanted.examples:
                    continue
                wanted.session = wanted.session or one.session
                if wanted.session == one.session:
                    wanted.take(one)

    def look(self, ticket: int, sessions: Collection[str], now: float) -> Wanted:
        """The enrolment of a ticket. ConfigError where there is none, SemlinkError where no more examples will come."""
        with self._lock:
            wanted = self._wanted
            if wanted is None or wanted.ticket != ticket or not self.open(now):
                raise ConfigError("this enrolment is no more: it was given up, or nobody asked for it in time")
            wanted.asked_s = now
            if wanted.session and wanted.session not in sessions:
                wanted.settle()
                if not wanted.full:
                    self._wanted = None
                    came = f"{len(wanted.examples)} of {wanted.count} examples{wanted.without}"
                    raise SemlinkError(
                        f"session {wanted.session} is gone after {came}: '{wanted.name}' was not enrolled; send more "
                        "pictures, or ask for fewer (--next)"
                    )
            return wanted

    def end(self, ticket: int) -> None:
        """It is enrolled, or no longer wanted."""
        with self._lock:
            if self._wanted is not None and self._wanted.ticket == ticket:
                self._wanted = None
