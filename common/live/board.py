"""Where a loop pins up a snapshot of its process, and others look at it. Knows nothing about HTTP or what is shown.

The loop never waits: it counts its turns, and takes a snapshot in its own time, at most five a second and only while
somebody looks. Who looks never waits for it: what is there is shown with its age, and a loop that does not turn is
found by its count.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.live.families import Value
from common.record import record

EVERY_S, WATCHED_S = 0.2, 2.0
"""The shortest time between two snapshots, and how long a look counts as looking."""
BEAT_S = 0.5
"""Two heartbeats: a loop that has turned within them is alive."""
LOOKS, LOOK_S = 10, 0.05
"""What looks bad must look bad so many times in a row: whoever was stopped, or got no processor, gets on in between."""
PAUSE_S = 0.1


@record
class About:
    """What a process is: its command's name, the version, its model."""

    process: str
    version: str
    model: str = ""
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A process as it was at `taken_s` (monotonic). values: by family; view: what a page shows beside them, as JSON."""

    taken_s: float
    values: Mapping[str, Value]
    view: Mapping[str, Any]


class Board:
    """One for each process. take: values and view, asked in the loop's thread. stuck: why work that waits is not being
    done, away: which peer is missing, "" for neither; both are asked in any thread, so they must not wait for the loop.

    patience_s: how long one turn of the loop may take.
    """

    def __init__(
        self,
        about: About,
        take: Callable[[], tuple[Mapping[str, Value], Mapping[str, Any]]],
        stuck: Callable[[], str],
        away: Callable[[], str] = lambda: "",
        patience_s: float = BEAT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.about, self.latest = about, Snapshot(-1e9, {}, {})
        self.started_s = time.time()
        self._take, self._stuck, self._away, self._patience_s = take, stuck, away, patience_s
        self._clock, self._sleep = clock, sleep
        self._turns, self._turned_s, self._looked_s = 0, clock(), -1e9

    # -- the loop's side

    @property
    def watched(self) -> bool:
        """Whether somebody looked lately."""
        return self._clock() - self._looked_s < WATCHED_S

    def turned(self) -> None:
        """The loop has made a turn."""
        now = self._clock()
        self._turns += 1
        self._turned_s = now
        if now - self._looked_s < WATCHED_S and now - self.latest.taken_s >= EVERY_S:
            self.latest = Snapshot(now, *self._take())

    # -- the side of those who look; for any thread

    def look(self) -> Snapshot:
        """The newest snapshot; a fresh one, where the loop takes it within a tenth of a second."""
        self._looked_s = began = self._clock()
        while began - self.latest.taken_s >= EVERY_S and self._clock() - began < PAUSE_S:
            self._sleep(0.01)
        return self.latest

    def age_s(self, snapshot: Snapshot) -> float:
        """How old a snapshot is."""
        return self._clock() - snapshot.taken_s

    def hung(self) -> str:
        """Why the process is not alive; "" if it is."""
        if self._clock() - self._turned_s <= self._patience_s:
            return ""
        turns = self._turns
        for _ in range(LOOKS):
            self._sleep(LOOK_S)
            if self._turns != turns:
                return ""
        return f"the loop has not turned for {self._clock() - self._turned_s:.1f} s"

    def why_now(self) -> str:
        """Why it may not be ready, at a glance: for pages, which look again at once."""
        late = self._clock() - self._turned_s > self._patience_s
        return "the loop does not turn" if late else self._stuck() or self._away()

    def stuck(self) -> str:
        """Why a restart would help; "" if it would not."""
        return self.hung() or self._again(self._stuck)

    def unready(self) -> str:
        """Why the process is not ready for work; "" if it is."""
        return self.hung() or self._again(lambda: self._stuck() or self._away())

    def _again(self, look: Callable[[], str]) -> str:
        for _ in range(LOOKS):
            if not (why := look()):
                return ""
            self._sleep(LOOK_S)
        return why
