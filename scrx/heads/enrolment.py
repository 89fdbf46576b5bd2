"""Collecting the next pictures of a session as examples of a class. Pure: no socket, no file, no clock of its own.

Knows nothing about how examples become a class. One thread offers pictures, another one asks.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from common.errors import ConfigError, SemlinkError
from scrx.heads.head import Example

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

    @property
    def full(self) -> bool:
        """All examples are there."""
        return len(self.examples) >= self.count


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
                    wanted.examples[one.seq] = one

    def look(self, ticket: int, sessions: Collection[str], now: float) -> Wanted:
        """The enrolment of a ticket. ConfigError where there is none, SemlinkError where no more examples will come."""
        with self._lock:
            wanted = self._wanted
            if wanted is None or wanted.ticket != ticket or not self.open(now):
                raise ConfigError("this enrolment is no more: it was given up, or nobody asked for it in time")
            wanted.asked_s = now
            if wanted.session and wanted.session not in sessions and not wanted.full:
                self._wanted = None
                raise SemlinkError(
                    f"session {wanted.session} is gone after {len(wanted.examples)} of {wanted.count} examples: "
                    f"'{wanted.name}' was not enrolled; send more pictures, or ask for fewer (--next)"
                )
            return wanted

    def end(self, ticket: int) -> None:
        """It is enrolled, or no longer wanted."""
        with self._lock:
            if self._wanted is not None and self._wanted.ticket == ticket:
                self._wanted = None
