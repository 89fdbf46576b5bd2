"""The answers of a receiver, for whoever reads them: kept, gathered, handed out. How they are made it does not know."""

import math
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from common.check import real
from common.protocol.messages import Result, Status
from scrx.decoding.tasks import CLASSIFY

KEPT = 4096
GATHER_S = 0.005
"""Answers that come faster are read together: to wake a thread for each costs a tenth of a round trip
(`deploy/LINK.md`)."""
TOGETHER = 64
"""At most: whoever writes them looks at all else only after them, however slowly they are read."""
OVER: Final = "over"
"""In the queue, behind all that was put before: the end was read there, and goes for whoever reads next, too."""
Given = tuple[Result, dict[str, Any]]
"""What was answered, and what each head says of it."""


@dataclass(frozen=True, slots=True)
class ReceivedAnswer:
    """One answer at the receiver. answer, name: number and name of the class; outputs: all tasks that were asked for.

    session: 32 hex digits; final: no further round was asked for; SNR in dB; us; heads: what each head that was
    enrolled here says of it.
    """

    session: str
    seq: int
    round: int
    answer: int
    name: str
    confidence: float
    outputs: dict[str, Any]
    final: bool
    snr_est_db: float | None
    queue_us: int
    decode_us: int
    heads: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, result: Result, heads: dict[str, Any] | None = None) -> "ReceivedAnswer":
        """As it went back to the transmitter."""
        classified = result.outputs.get(CLASSIFY, {})
        return cls(
            result.session.hex(), result.seq, result.round, int(classified.get("index", -1)),
            str(classified.get("name", "")), result.confidence, result.outputs, result.status is Status.OK,
            result.snr_inst_db, result.queue_us, result.decode_us, heads or {},
        )  # fmt: skip


class Answers:
    """What was answered, KEPT of it. Any thread puts, any reads: an answer goes to one of them, the end to all."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Given | Exception | Literal["over"] | None] = queue.SimpleQueue()
        self._end: Exception | None = None

    def put(self, item: Given | Exception | None) -> None:
        """One more; an error that ends them, raised where answers are read; None: there will be no more, and no error.

        Whoever reads after the end meets it again, the error until None was put.
        """
        if not isinstance(item, tuple):
            self._end = item
        elif self._queue.qsize() >= KEPT:  # two threads may put: one or two more do no harm
            with suppress(queue.Empty):
                if not isinstance(oldest := self._queue.get_nowait(), tuple):
                    self._queue.put(oldest)
        self._queue.put(item)

    def each(self, timeout_s: float | None) -> Iterator[ReceivedAnswer | None]:
        """One by one: `scrx.Receiver.answers`."""
        for answers in self._taken(timeout_s, 1):
            yield answers[0] if answers else None

    def together(self, timeout_s: float | None) -> Iterator[list[ReceivedAnswer]]:
        """All that are there, TOGETHER at most: `scrx.Receiver.batches`."""
        return self._taken(timeout_s, TOGETHER)

    def _taken(self, timeout_s: float | None, most: int) -> Iterator[list[ReceivedAnswer]]:
        timeout_s = None if timeout_s is None else min(real("timeout_s", timeout_s, 0.0), threading.TIMEOUT_MAX)
        gathers = timeout_s is None or timeout_s > GATHER_S
        read_s, soon = -math.inf, False
        while True:
            rest_s = read_s + GATHER_S - time.monotonic() if gathers and soon and self._queue.empty() else 0.0
            if rest_s > 0.0:
                time.sleep(rest_s)
            try:
                items = [self._queue.get(timeout=None if timeout_s is None else timeout_s - max(rest_s, 0.0))]
            except queue.Empty:
                yield []
                continue
            now_s = time.monotonic()
            soon, read_s = now_s - read_s < GATHER_S, now_s
            with suppress(queue.Empty):
                while len(items) < most and isinstance(items[-1], tuple):
                    items.append(self._queue.get_nowait())
            if not isinstance(last := items[-1], tuple):  # at once: who is given the answers before it may leave
                self._queue.put(OVER)
            # made here, where somebody wants them: the decode thread has frames to decode
            if answers := [ReceivedAnswer.of(*item) for item in items if isinstance(item, tuple)]:
                yield answers
            if isinstance(error := self._end if last is OVER else last, Exception):
                raise error
            if not isinstance(last, tuple):
                return
