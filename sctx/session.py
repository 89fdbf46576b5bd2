"""The transmitter's side of a session as a pure state machine: handshake, credit, deadline, heartbeat, resending.

Knows no socket, no clock and no torch: every input carries `now` (monotonic ns), every output is a list of actions.

    DOWN --HELLO (100 ms, then 200 ms)--> ACCEPT --> UP --nothing heard for misses x heartbeat--> DOWN
                                             \\--> REJECT --> failed

A finite source waits for credit and its frames are sent again (same seq, same air position, age restarted) until they
are answered. A live source skips images when there is no credit; a frame past its deadline is forgotten and counted.
"""

from collections import deque

from common.errors import LinkDown, PeerRejected, SemlinkError
from common.protocol.messages import (
    VERSION,
    Accept,
    Bye,
    ByeCode,
    Hello,
    Kind,
    Message,
    Nak,
    NakCode,
    Ping,
    Pong,
    Reject,
    RejectCode,
    Result,
)
from common.text import safe
from sctx.actions import Action, Busy, Down, Failed, Frame, Send, Stalled, Terms, Up
from sctx.pending import MS, Hear, Patience, PendingFrames

HELLO_FIRST_NS, HELLO_LAST_NS = 100 * MS, 200 * MS
LONGEST_SILENCE_MS, KEPT_HELLOS = 60_000, 64
STALLED_MS = 5000
BUSY_NS = 5000 * MS
"""For so long a receiver counts as busy after it said so; it is asked five times a second."""
INBOUND = Kind.RESULT, Kind.PONG, Kind.PING, Kind.ACCEPT, Kind.REJECT, Kind.NAK, Kind.BYE


def unheard(result: Result, now: int) -> None:
    """For sessions whose reports nobody wants."""


class Session:
    """See the module. Not thread safe: the owner holds a lock around each call."""

    def __init__(self, terms: Terms, now: int, hear: Hear = unheard) -> None:
        """hear: told each RESULT whose report can be true."""
        self.terms = terms
        self.accept: Accept | None = None
        self._patience = Patience(terms.give_up_s, now)
        self._frames = PendingFrames(terms, hear, self._patience)
        self.counters, self.clock = self._frames.counters, self._frames.clock
        self._up = False
        self._over = False
        self.away = False  # it is over, and nobody was heard in the end
        self._busy, self._busy_ns = "", now
        self._credits = 0
        self._heard_ns = now
        self._hello_ns, self._hello_wait, self._hellos = now, HELLO_FIRST_NS, deque[int](maxlen=KEPT_HELLOS)
        self._ping_ns, self._nonce, self._unanswered = now, 0, 0
        self._stalled = self._asked = self._hello_open = False

    @property
    def up(self) -> bool:
        """True while the receiver is heard."""
        return self._up

    @property
    def outstanding(self) -> int:
        """Frames without an answer."""
        return len(self._frames)

    @property
    def window(self) -> int:
        """Frames that may be without an answer at a time; 0 while the receiver is away."""
        return min(self._credits, self.terms.window) if self._up else 0

    @property
    def _wants(self) -> bool:
        """Whether something is waited for: a receiver, room in its window, an answer."""
        return bool(self._frames) or not self.window

    def busy(self, now: int) -> str:
        """Why the receiver takes no other session, in its words; empty where it has not said so lately."""
        return self._busy if now - self._busy_ns < BUSY_NS else ""

    def submit(self, frame: Frame, now: int) -> list[Action]:
        """Take a frame. The caller has looked at `window`."""
        return [self._frames.add(frame, now)]

    def tick(self, now: int) -> list[Action]:
        """Whatever time alone demands. Call after the socket was drained, at least every heartbeat."""
        if self._over:
            return []
        if not self._wants:
            self._patience.advanced(now)
        elif self._patience.is_over(now):
            return self._fail(LinkDown(self._what_failed(now)))
        actions: list[Action] = []
        # Counting pings, not only time: a thread that was kept from running has heard nothing because it asked nothing.
        if self._unanswered >= self._misses and now - self._ping_ns >= self._heartbeat_ns:
            actions += self._go_down("nothing heard", now)
        if self._up:
            actions += self._ping(now)
        elif now >= self._hello_ns:
            actions.append(self._hello(now))
        return actions + self._frames.look_after(now, self._up)

    def reconnected(self, now: int) -> list[Action]:
        """The socket has a new connection: what was under way on the old one is gone."""
        if self._over:
            return []
        if not self._up:
            return [self._hello(now)]
        # HELLO first: in the clear a receiver knows us by our connection, and a new one must be introduced.
        return [self._hello(now), self._ask(now), *self._frames.reconnected(now)]

    def close(self) -> list[Action]:
        """Say goodbye."""
        self._over = True
        return [Send(Bye(self.terms.session, ByeCode.DONE))] if self._up else []

    def on_message(self, message: Message, now: int) -> list[Action]:
        """Take a decoded message. One for another session is ignored."""
        if self._over or message.session != self.terms.session:
            return []
        if not isinstance(message, Reject):  # a busy receiver is none that we could use: patience runs out
            self._heard_ns, self._unanswered = now, 0
        match message:
            case Accept():
                return self._on_accept(message, now)
            case Reject():
                return self._on_reject(message, now)
            case Result():
                return self._on_result(message, now)
            case Ping():
                return [Send(Pong(message.session, message.nonce, message.t1_ns, now, now, 0, 0))]
            case Pong():
                return self._on_pong(message, now)
            case Nak():
                return self._on_nak(message, now)
            case Bye():
                return self._go_down(f"the receiver said {message.code.name.lower()}", now)
        return []

    # -- handshake and liveness

    @property
    def _heartbeat_ns(self) -> int:
        return (self.accept.heartbeat_ms if self.accept else 250) * MS

    @property
    def _misses(self) -> int:
        return self.accept.heartbeat_misses if self.accept else 3

    def _hello(self, now: int) -> Action:
        self._hello_ns = now + self._hello_wait
        self._hellos.append(now)
        self._hello_open = True
        self._hello_wait = min(2 * self._hello_wait, HELLO_LAST_NS)
        terms = self.terms
        return Send(Hello(terms.session, VERSION, VERSION, terms.software, terms.model_id, (0,), terms.tasks, now))

    def _on_accept(self, accept: Accept, now: int) -> list[Action]:
        if accept.slot != self.terms.slot or accept.model_id != self.terms.model_id:
            return self._fail(PeerRejected("the receiver accepted another model or air slot than was asked for"))
        if not (accept.window and accept.heartbeat_ms and accept.heartbeat_misses and accept.deadline_cap_ms):
            return self._fail(PeerRejected("the receiver offers a window, a heartbeat or a deadline of 0"))
        if accept.heartbeat_ms * accept.heartbeat_misses > LONGEST_SILENCE_MS:
            return self._fail(PeerRejected("the receiver wants to be missed only after more than a minute"))
        if accept.t1_ns in self._hellos:
            self.clock.update(accept.t1_ns, accept.t2_ns, accept.t3_ns, now)
        if self._up or not (self._hello_open or self.accept is None):  # an answer to nothing that was asked
            self.counters.untrue += not self._up
            return []
        first, self.accept, self._hello_open = self.accept is None, accept, False
        self._up, self._credits, self._hello_wait, self._busy = True, accept.window, HELLO_FIRST_NS, ""
        self._patience.accepted(now)
        self._frames.deadline_cap_ms = accept.deadline_cap_ms
        return [Up(accept, first), *self._frames.accepted(now)]

    def _on_reject(self, reject: Reject, now: int) -> list[Action]:
        if reject.code is RejectCode.BUSY:
            was, self._busy, self._busy_ns = self.busy(now), safe(reject.detail) or "it is busy", now
            return [Busy(self._busy)] if self._busy != was and not self._up else []
        held = reject.model_id.hex()[:12]
        reasons = {
            RejectCode.MODEL_MISMATCH: f"it holds model {safe(reject.detail)} ({held}), this side "
            f"{self.terms.model_id.hex()[:12]}; start both with the same pair (model=NAME)",
            RejectCode.VERSION: f"it does not speak protocol {VERSION}; run the same release on both sides",
        }
        return self._fail(PeerRejected(f"the receiver refused: {reasons.get(reject.code) or safe(reject.detail)}"))

    def _on_pong(self, pong: Pong, now: int) -> list[Action]:
        if (pong.nonce, pong.t1_ns) != (self._nonce, self._ping_ns) or not self._asked:
            self.counters.untrue += 1
            return []
        self._asked = False
        self.clock.update(pong.t1_ns, pong.t2_ns, pong.t3_ns, now)
        was, self._stalled = self._stalled, pong.progress_age_ms >= STALLED_MS
        return [Stalled(pong.progress_age_ms)] if self._stalled and not was else []

    def _on_nak(self, nak: Nak, now: int) -> list[Action]:
        name = nak.code.name.lower()
        self.counters.naks[name] = self.counters.naks.get(name, 0) + 1
        if nak.code is NakCode.NO_SESSION and self._up:
            down = self._go_down("the receiver does not know us", now)
            return [*down, self._hello(now)] if now >= self._hello_ns else down
        try:
            return self._frames.on_nak(nak.seq, nak.round, nak.code)
        except PeerRejected as refusal:
            return self._fail(refusal)

    def _on_result(self, result: Result, now: int) -> list[Action]:
        if self._up and self.accept:
            self._credits = min(result.credits, self.accept.window)
        return self._frames.on_result(result, now)

    def _go_down(self, why: str, now: int) -> list[Action]:
        if not self._up:
            return []
        self._up, self._credits, self._unanswered = False, 0, 0
        self._hello_ns = max(now, self._hellos[-1] + HELLO_FIRST_NS) if self._hellos else now
        self._hello_wait = HELLO_FIRST_NS
        self.counters.downs += 1
        return [Down(why)]

    def _ping(self, now: int) -> list[Action]:
        if now - max(self._ping_ns, self._heard_ns) < self._heartbeat_ns:
            return []
        self._unanswered += 1
        return [self._ask(now)]

    def _ask(self, now: int) -> Action:
        self._ping_ns, self._nonce, self._asked = now, (self._nonce + 1) & 0xFFFFFFFF, True
        return Send(Ping(self.terms.session, self._nonce, now))

    def _what_failed(self, now: int) -> str:
        for_s = f"for {self.terms.give_up_s:g} s"
        if not self._up and (busy := self.busy(now)):
            return f"the receiver is there, but takes no other session: {busy}; asked {for_s}"
        if not self._up:
            self.away = True
            why = "lost the receiver" if self.accept else "no receiver answered"
            return f"{why} {for_s}; is it running, and is its address right?"
        why = f"answered none of {len(self._frames)} frames" if self._frames else "let nothing be sent"
        naks = ", ".join(f"{name} {count}" for name, count in sorted(self.counters.naks.items()))
        return f"the receiver is there, but {why} {for_s}" + (f"; it refused frames: {naks}" if naks else "")

    def _fail(self, error: SemlinkError) -> list[Action]:
        self._over, self._up = True, False
        return [Failed(error)]
