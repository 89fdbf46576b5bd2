"""What a session is given and asks for: its terms, its frames, one class per action, and their way. Knows no rules."""

from dataclasses import field
from typing import Any, Protocol

from common.errors import SemlinkError
from common.protocol.messages import Accept, Message, Result
from common.record import record


@record
class Terms:
    """What the transmitter brings to a session. Times in ms unless named otherwise."""

    session: bytes
    model_id: bytes
    software: str
    slot: int
    live: bool
    deadline_ms: int
    give_up_s: float
    window: int = 255
    tasks: tuple[str, ...] = ()


@record
class Frame:
    """One frame to send: where it lies on the air clock, which increments it carries, its bytes.

    words: how many symbols of the ladder are the word's.

    image: whatever the owner keeps of the image that it is of. It comes back with the frame's outcome, so that one
    table, the session's, holds all that is on its way.
    """

    seq: int
    round: int
    stream: int
    air_start: int
    start_id: int
    rate_id: int
    captured_ns: int
    payload: bytes
    ask_below: int = 0
    words: int | None = None
    image: Any = field(default=None, compare=False, repr=False)


@record
class Send:
    """Action: put this message on the socket."""

    message: Message


@record
class Up:
    """Action: tell the owner that the receiver accepted us (`first`: for the first time)."""

    accept: Accept
    first: bool


@record
class Down:
    """Action: tell the owner that the receiver went away; the session goes on trying."""

    why: str


@record
class Answered:
    """Action: a frame's answer (LOW_CONFIDENCE: so far, and the next increments are asked for).

    `latency_ns`: since capture; `round_ns`: since this frame was sent last.
    """

    frame: Frame
    result: Result
    latency_ns: int
    round_ns: int

    @property
    def network_ns(self) -> int:
        """The round trip less the receiver's own time."""
        return max(self.round_ns - 1000 * (self.result.queue_us + self.result.decode_us), 0)


@record
class Lost:
    """Action: a frame that will get no answer. `why`: "expired", "failed", "refused" or "forgotten" (send round 0
    again)."""

    frame: Frame
    why: str


@record
class Failed:
    """Action: the session is over."""

    error: SemlinkError


@record
class Stalled:
    """Action: the receiver hears us but has decoded nothing for so long, although work waits (a wedged device)."""

    for_ms: int


@record
class Busy:
    """Action: the receiver is there and takes no other session; this one goes on asking. why: in its words."""

    why: str


Action = Send | Up | Down | Answered | Lost | Stalled | Busy | Failed


class Way(Protocol):
    """How frames reach a receiver and what comes back: `sctx.link.Link`, or anything that keeps its promises."""

    in_flight: int

    @property
    def window(self) -> int: ...
    def submit(self, frame: Frame) -> None: ...
    def wait_event(self, timeout_s: float) -> Action | None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...
