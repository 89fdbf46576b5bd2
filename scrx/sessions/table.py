"""The receiver's table of transmitters as a pure state machine: handshake, window, duplicates, deadlines, routes.

Knows no socket, no clock and no torch: every input carries `now` (monotonic ns), every output is a list of actions.

The session id in each header is the key, and who speaks for it is in `owner.py`: the answer goes to where the owner was
heard last, so a restarted emulator does not end a session.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace

from common.protocol.messages import (
    VERSION,
    Accept,
    Bye,
    ByeCode,
    Data,
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
    Status,
)
from common.record import record
from common.text import safe
from scrx.sessions.owner import Owner, Route
from scrx.sessions.sequence import SequenceWindow

MS = 1_000_000
KEPT_ANSWERS = 128
KEPT_ROUNDS = 256
FINAL = (Status.OK, Status.LOW_CONFIDENCE)
"""Outcomes that answer a frame for good; EXPIRED and FAILED leave it open to be sent again."""
NAK_EVERY_NS = 1000 * MS
ASKS_PER_S, KEPT_ROUTES = 20, 1024
"""HELLOs that are heard, and NAKs to unknown sessions, per route and second; a transmitter needs ten at most."""
INBOUND = Kind.DATA, Kind.PING, Kind.PONG, Kind.HELLO, Kind.BYE
ASK_OWNER_NS = 200 * MS


@record
class Terms:
    """What the receiver offers. `frame_symbols`: what a frame of increments start..rate must hold, pilots included."""

    model_id: bytes
    slot: int
    frame_symbols: dict[tuple[int, int], int]
    max_symbols: int
    tasks: tuple[str, ...]
    window: int = 2
    heartbeat_ms: int = 250
    heartbeat_misses: int = 3
    deadline_cap_ms: int = 60_000
    max_sessions: int = 64
    model_name: str = "another"


@record
class Reply:
    """Action: send this message along this route."""

    route: Route
    message: Message


@record
class Work:
    """Action: decode this frame. Times are monotonic ns of this host."""

    data: Data
    tasks: tuple[str, ...]
    arrived_ns: int
    expires_ns: int


@record
class Opened:
    """Action: a new session is there."""

    session: bytes
    software: str
    hops: int


@record
class Closed:
    """Action: a session ended, after these counts; whatever is kept for it elsewhere can go."""

    session: bytes
    why: str
    counts: dict[str, int]


Action = Reply | Work | Opened | Closed


@dataclass(slots=True)
class Peer:
    """One transmitter."""

    session: bytes
    owner: Owner
    heard_ns: int
    tasks: tuple[str, ...]
    software: str
    sequence: SequenceWindow = field(default_factory=SequenceWindow)
    queued: dict[tuple[int, int], int] = field(default_factory=dict)
    """(seq, round) -> rate of the frames that are being decoded."""
    open_rounds: "OrderedDict[int, int]" = field(default_factory=OrderedDict)
    """seq -> the increment that was asked for next."""
    answers: "OrderedDict[tuple[int, int], tuple[int, Result]]" = field(default_factory=OrderedDict)
    """(seq, round) -> rate and answer of the frames that were decoded."""
    nak_ns: int = -NAK_EVERY_NS
    proven: bool = False
    """It has said more than HELLO."""
    answered: int = 0
    expired: int = 0


class SessionTable:
    """See the module. For one thread."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.peers: dict[bytes, Peer] = {}
        self.draining = False
        self.naks: Counter[str] = Counter()
        """By code."""
        self.refused: Counter[str] = Counter()
        """Handshakes, by code of the REJECT."""
        self._strangers: OrderedDict[tuple[bytes, Route], int] = OrderedDict()
        self._asked: OrderedDict[Route, tuple[int, int]] = OrderedDict()

    def knows(self, session: bytes, route: Route, who: bytes = b"") -> bool:
        """Whether a message that came along `route` from `who` is from the owner of the session."""
        peer = self.peers.get(session)
        return peer is not None and peer.owner.is_from(route, who)

    def on_message(self, message: Message, route: Route, now: int, who: bytes = b"") -> list[Action]:
        """Take a decoded message that came along `route`; who: the key that proved who sent it, empty in the clear."""
        peer = self.peers.get(message.session)
        if isinstance(message, Hello):
            return self._on_hello(message, route, now, who) if self._may_ask(route, now) else []
        if peer is None or not peer.owner.is_from(route, who):
            return self._on_stranger(message, route, now)
        peer.owner.moved(route)
        peer.heard_ns, peer.proven = now, True
        match message:
            case Data():
                return self._on_data(peer, message, now)
            case Bye():
                return self._close(peer, "bye")
        return []

    def pong(self, ping: Ping, queue_depth: int, progress_age_ms: int, arrived: int, now: int) -> Pong:
        """The answer to a PING from a known session."""
        return Pong(ping.session, ping.nonce, ping.t1_ns, arrived, now, queue_depth, min(progress_age_ms, 0xFFFFFFFF))

    def on_result(self, result: Result) -> list[Action]:
        """A frame's outcome: remember it, and send it where the transmitter was heard last."""
        peer = self.peers.get(result.session)
        if peer is None:
            return []
        key = (result.seq, result.round)
        rate = peer.queued.pop(key, None)
        if result.status in FINAL:
            peer.open_rounds.pop(result.seq, None)
            if rate is not None:
                peer.answers[key] = rate, result
        if result.status is Status.LOW_CONFIDENCE and rate is not None:
            peer.open_rounds[result.seq] = rate + 1
            while len(peer.open_rounds) > KEPT_ROUNDS:
                peer.open_rounds.popitem(last=False)
        while len(peer.answers) > KEPT_ANSWERS:
            peer.answers.popitem(last=False)
        peer.answered += result.status is Status.OK
        peer.expired += result.status is Status.EXPIRED
        return [Reply(peer.owner.route, result)]

    def unreachable(self, route: Route, now: int) -> list[Action]:
        """The connection at the beginning of `route` is over: who waits to take a session over from there may."""
        gone = [peer for peer in self.peers.values() if peer.owner.route[0] == route[0] and not peer.owner.gone]
        actions: list[Action] = []
        for peer in gone:
            peer.owner.gone = True
            if peer.owner.claim is not None:
                actions += self._take_over(peer, *peer.owner.claim, now)
        return actions

    def tick(self, now: int) -> list[Action]:
        """Drop transmitters that were silent for ten times the heartbeat limit."""
        limit = 10 * self.terms.heartbeat_ms * self.terms.heartbeat_misses * MS
        silent = [peer for peer in self.peers.values() if now - peer.heard_ns > limit]
        return [action for peer in silent for action in self._close(peer, "silent")]

    def drain(self) -> list[Action]:
        """Stop accepting, and tell every transmitter."""
        self.draining = True
        return [Reply(peer.owner.route, Bye(peer.session, ByeCode.DRAIN)) for peer in self.peers.values()]

    # -- handshake

    def _may_ask(self, route: Route, now: int) -> bool:
        """False where a route wants more handshakes a second than any transmitter does: our answers to a flood would
        crowd out those to frames."""
        since, asked = self._asked.pop(route, (now, 0))
        if now - since >= 1000 * MS:
            since, asked = now, 0
        self._asked[route] = since, asked + 1
        while len(self._asked) > KEPT_ROUTES:
            self._asked.popitem(last=False)
        return asked < ASKS_PER_S

    def _on_hello(self, hello: Hello, route: Route, now: int, who: bytes) -> list[Action]:
        refusal = self._refusal(hello)
        if refusal is not None:
            code, text = refusal
            return self._reject(hello, route, code, text)
        peer = self.peers.get(hello.session)
        if peer is not None and not peer.owner.is_from(route, who):
            return self._on_claim(peer, hello, route, now, who)
        opened: list[Action] = []
        if peer is None:
            if len(self.peers) >= self.terms.max_sessions:
                leaving = self._who_makes_room(route)
                if leaving is None:
                    return self._reject(hello, route, RejectCode.BUSY, "no room for another session")
                opened += self._close(leaving, "made room")
            owner = Owner(route, who)
            peer = self.peers[hello.session] = Peer(hello.session, owner, now, (), safe(hello.software, 64))
            opened.append(Opened(peer.session, peer.software, len(route) - 1))
        return [*opened, *self._take_over(peer, hello, route, now)]

    def _on_claim(self, peer: Peer, hello: Hello, route: Route, now: int, who: bytes) -> list[Action]:
        """Somebody else wants to be the transmitter of a session: only once its owner has left, which is looked at."""
        owner = peer.owner
        if who != owner.who:
            return self._reject(hello, route, RejectCode.BUSY, "this session belongs to somebody else")
        if owner.may_be_taken(who, now - peer.heard_ns, self.terms.heartbeat_ms * self.terms.heartbeat_misses * MS):
            return self._take_over(peer, hello, route, now)
        owner.claim = hello, route
        if now - owner.asked_ns < ASK_OWNER_NS:
            return []
        owner.asked_ns = now
        return [Reply(owner.route, Ping(hello.session, 0, now))]

    def _take_over(self, peer: Peer, hello: Hello, route: Route, now: int) -> list[Action]:
        """The transmitter of the session is at `route` from now on, and hears the terms."""
        terms = self.terms
        tasks = tuple(task for task in terms.tasks if not hello.tasks or task in hello.tasks)
        peer.owner.moved(route)
        peer.heard_ns, peer.tasks = now, tasks
        accept = Accept(
            hello.session, VERSION, terms.model_id, terms.window, terms.slot, terms.max_symbols, terms.deadline_cap_ms,
            terms.heartbeat_ms, terms.heartbeat_misses, max(len(route) - 1, 0), tasks, hello.t1_ns, now, now,
        )  # fmt: skip
        return [Reply(route, accept)]

    def _reject(self, hello: Hello, route: Route, code: RejectCode, text: str) -> list[Action]:
        self.refused[code.name.lower()] += 1
        return [Reply(route, Reject(hello.session, code, self.terms.model_id, text))]

    def _refusal(self, hello: Hello) -> tuple[RejectCode, str] | None:
        if not hello.proto_min <= VERSION <= hello.proto_max:
            return RejectCode.VERSION, f"this receiver speaks protocol {VERSION}"
        if hello.model_id != self.terms.model_id:
            return RejectCode.MODEL_MISMATCH, self.terms.model_name[:32]  # REJECT has room for so many, in any script
        if 0 not in hello.layouts:
            return RejectCode.LAYOUT, "this receiver knows layout 0"
        if hello.tasks and not set(hello.tasks) & set(self.terms.tasks):
            return RejectCode.TASKS, f"this receiver answers {', '.join(self.terms.tasks)}"[:128]
        if self.draining:
            return RejectCode.BUSY, "going away"
        return None

    def _who_makes_room(self, route: Route) -> Peer | None:
        """Whom a newcomer along `route` replaces in a full table, so that nobody fills it alone.

        The oldest session that has said nothing but HELLO; or else the oldest of the route with the most, where that
        has at least two more than the newcomer's.
        """
        for peer in self.peers.values():
            if not peer.proven:
                return peer
        held = Counter(peer.owner.route for peer in self.peers.values())
        greedy, most = held.most_common(1)[0]
        if most < held[route] + 2:
            return None
        return next(peer for peer in self.peers.values() if peer.owner.route == greedy)

    def _on_stranger(self, message: Message, route: Route, now: int) -> list[Action]:
        last = self._strangers.get((message.session, route), -NAK_EVERY_NS)
        if not isinstance(message, Data | Ping) or now - last < NAK_EVERY_NS or not self._may_ask(route, now):
            return []
        self._strangers[message.session, route] = now
        while len(self._strangers) > 256:
            self._strangers.popitem(last=False)
        seq, round_ = (message.seq, message.round) if isinstance(message, Data) else (0, 0)
        self.naks[NakCode.NO_SESSION.name.lower()] += 1
        return [Reply(route, Nak(message.session, seq, round_, NakCode.NO_SESSION))]

    def _close(self, peer: Peer, why: str) -> list[Action]:
        del self.peers[peer.session]
        seen = peer.sequence
        counts = {"answered": peer.answered, "expired": peer.expired, "lost": seen.lost, "duplicate": seen.duplicate}
        return [Closed(peer.session, why, counts | {"late": seen.late})]

    # -- frames

    def _on_data(self, peer: Peer, data: Data, now: int) -> list[Action]:
        if data.layout_id != 0 or self.terms.frame_symbols.get((data.start_id, data.rate_id)) != data.n_symbols:
            return self._nak(peer, data, NakCode.MALFORMED, now)
        key = (data.seq, data.round)
        if data.round == 0:
            peer.sequence.add(data.seq)
        rate, kept = peer.answers.get(key, (None, None))
        if kept is not None and rate == data.rate_id:  # with another rate it is an image that was started over
            return [Reply(peer.owner.route, replace(kept, credits=self.terms.window))]
        if key in peer.queued or self.draining:
            return []
        if data.start_id != (peer.open_rounds.get(data.seq, -1) if data.round else 0):
            return self._nak(peer, data, NakCode.NEED_ROUND0, now)
        if len(peer.queued) >= self.terms.window:
            return self._nak(peer, data, NakCode.OVER_WINDOW, now)
        peer.queued[key] = data.rate_id
        left_ms = min(data.deadline_ms, self.terms.deadline_cap_ms) - data.age_ms
        return [Work(data, peer.tasks, now, now + left_ms * MS)]

    def _nak(self, peer: Peer, data: Data, code: NakCode, now: int) -> list[Action]:
        if now - peer.nak_ns < NAK_EVERY_NS:
            return []
        peer.nak_ns = now
        self.naks[code.name.lower()] += 1
        return [Reply(peer.owner.route, Nak(peer.session, data.seq, data.round, code))]
