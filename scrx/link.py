"""The receiver's end of the link: owns the only socket, a ROUTER, and carries out what the session table asks for.

Knows nothing about channels, networks or answers. Work goes into the batcher; results come back through `post`. The
decode thread listens while it waits for work; while it has some, a thread of ours does.
"""

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

import zmq

from common.errors import ProtocolError, SemlinkError
from common.live.board import Board
from common.protocol.frames import MAX_IDENTITY_BYTES, decode, encode, split
from common.protocol.messages import Message, Ping, Reject, Result
from common.text import safe
from common.transport.keystore import Keys
from common.transport.listener import Listener
from common.transport.multipart import put
from common.transport.waiting.io_threads import make_context
from common.transport.waiting.turns import TICK_MS, Turns
from common.transport.waiting.watch import Waker, Watch
from scrx.decoding.batcher import Batcher
from scrx.sessions.owner import Route
from scrx.sessions.table import INBOUND, Action, Closed, Opened, Reply, SessionTable, Work

logger = logging.getLogger(__name__)
BURST_NS = 5_000_000
MUTE_AFTER, MUTE_WITHIN_NS, MUTE_FOR_NS = 16, 10_000_000_000, 60_000_000_000
KEPT_ROUTES = 1024
TELL_AGAIN_NS = 1_000_000_000


class Link:
    """Binds at once, so that a taken port is an error here."""

    def __init__(
        self,
        address: str,
        table: SessionTable,
        batcher: Batcher,
        on_failure: Callable[[SemlinkError], None],
        keys: Keys | None = None,
    ) -> None:
        self.table = table
        self.protocol_errors: Counter[str] = Counter()
        self.unsent = 0
        self.board: Board | None = None
        """Where the state of this process is pinned up, where somebody wants to see it."""
        self._batcher, self._on_failure = batcher, on_failure
        self._signed = keys is not None
        self._errors: dict[Route, deque[int]] = {}
        self._muted: dict[Route, int] = {}
        self._told_ns = self._refused_ns = -TELL_AGAIN_NS
        self._ended, self._served_ns = False, 0
        self._context = make_context()
        try:
            self._listener = Listener(self._context, "rx", address, keys)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self.address = self._listener.address
        self._waker = Waker()
        self._watch = Watch(self._context)
        self._watch.register(self._waker.reader, zmq.POLLIN)
        self._listener.watch(self._watch)
        self._turns = Turns(self._turn, self._waker.wake, "scrx-link")
        self._turns.start()

    def listen(self, timeout_s: float) -> None:
        """Take what comes, after waiting for it at most `timeout_s` (and TICK_MS). For the thread that wants work."""
        if self._ended:
            time.sleep(timeout_s)
            return
        depth = self._batcher.depth
        with self._turns:  # what came meanwhile, the thread that stands in has put
            waits = self._batcher.depth <= depth
            self._turn(min(TICK_MS, math.ceil(timeout_s * 1e3)) if waits else 0, awake=True)

    def post(self, results: Sequence[Result]) -> None:
        """Send results. For any thread."""
        with self._turns:
            if not self._ended:
                for result in results:
                    self._do(self.table.on_result(result))
                self._watch.give_way()

    def drain(self) -> None:
        """Say BYE to every session and take no new ones; frames that are queued are still answered."""
        with self._turns:
            if not self._ended:
                self._do(self.table.drain())

    def close(self) -> None:
        """Free the port. Call after the decode thread has ended."""
        self._turns.stop()
        with self._turns:
            self._ended = True
            self._listener.close(linger=200)
        self._waker.close()
        self._context.destroy(linger=0)

    def _turn(self, timeout_ms: int, awake: bool = False) -> bool:
        """Wait for something to do, at most `timeout_ms`, and do it; False where the link is over."""
        if self._ended:
            return False
        try:
            heard = self._listener.inbox.due and self._receive()
            ready = self._watch.wait(0 if heard else timeout_ms, awake)
            woken, waits = self._waker.reader in ready, self._listener.socket in ready
            if woken:
                self._waker.drain()
            if waits and not heard:
                self._receive()
            now = time.monotonic_ns()
            if len(ready) > woken + waits or now - self._served_ns >= TICK_MS * 1_000_000:
                self._served_ns = now
                self._listener.serve(ready)
                self._do(self.table.tick(now))
                if self.board is not None:
                    self.board.turned()
        except Exception as error:  # a receiver that no longer hears must not look alive
            self._ended = True
            self._listener.close()
            failure = SemlinkError(f"the link stopped working: {error!r}")
            failure.__cause__ = error
            self._on_failure(failure)
        return not self._ended

    def _receive(self) -> bool:
        """Read what waits; True if there was anything."""
        begun, heard = time.monotonic_ns(), False
        signed = self._signed
        for parts in self._listener.inbox.take(64, signed):  # then look at the results again
            now, heard = time.monotonic_ns(), True
            who = parts.pop(0) if signed else b""
            route: Route = (parts[0][:MAX_IDENTITY_BYTES],)
            try:
                envelope, body = split(parts)
                route = tuple(envelope)
                if not self._is_muted(route, now):
                    self._take(decode(body, INBOUND), route, now, who)
            except ProtocolError as error:
                self._count_error(route, error, now)
            if now - begun > BURST_NS:  # messages are large
                break
        return heard

    def _take(self, message: Message, route: Route, now: int, who: bytes) -> None:
        if isinstance(message, Ping) and self.table.knows(message.session, route, who):
            depth, age = self._batcher.depth, self._batcher.progress_age_ms
            self._do(self.table.on_message(message, route, now, who))
            self._send(route, self.table.pong(message, depth, age, now, time.monotonic_ns()))
        else:
            self._do(self.table.on_message(message, route, now, who))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Reply():
                    self._send(action.route, action.message)
                    if isinstance(action.message, Reject):
                        self._tell_refusal(action.message)
                case Work():
                    self._batcher.put(action)
                case Opened(session, software, hops):
                    logger.info("session_opened", extra={"session": session.hex(), "peer": software, "hops": hops})
                case Closed(session, why, counts):
                    logger.info("session_closed", extra={"session": session.hex(), "why": why, **counts})
                    self._batcher.drop(session)

    def _send(self, route: Route, message: Message) -> None:
        try:
            put(self._listener.socket, [*route, *encode(message)])
        except zmq.ZMQError as error:  # the peer is gone (EHOSTUNREACH) or does not read (EAGAIN)
            self.unsent += 1
            logger.debug("send_dropped", extra={"kind": message.KIND.name, "why": error.strerror})
            if error.errno == zmq.EHOSTUNREACH:
                self._do(self.table.unreachable(route, time.monotonic_ns()))
        except ProtocolError as error:  # one answer that cannot be said is not the end of all sessions
            self.unsent += 1
            logger.error("unsendable", extra={"kind": message.KIND.name, "why": str(error)})

    def _tell_refusal(self, reject: Reject) -> None:
        """Once a second at most: a transmitter asks five times, and who invents sessions must not write the log."""
        if (now := time.monotonic_ns()) - self._refused_ns >= TELL_AGAIN_NS:
            self._refused_ns = now
            extra = {"session": reject.session.hex(), "code": reject.code.name.lower(), "why": reject.detail}
            logger.info("session_refused", extra=extra)

    # -- bad input: count by reason, mute a route that sends nothing else

    def _is_muted(self, route: Route, now: int) -> bool:
        until = self._muted.get(route)
        if until is not None and now >= until:
            del self._muted[route]
            until = None
        return until is not None

    def _count_error(self, route: Route, error: ProtocolError, now: int) -> None:
        self.protocol_errors[error.reason] += 1
        logger.debug("protocol_error", extra={"reason": error.reason, "detail": safe(str(error))})
        if self._is_muted(route, now):
            return
        recent = self._errors.setdefault(route, deque(maxlen=MUTE_AFTER))
        recent.append(now)
        if len(recent) == MUTE_AFTER and now - recent[0] < MUTE_WITHIN_NS:
            self._muted[route] = now + MUTE_FOR_NS
            del self._errors[route]
            if now - self._told_ns >= TELL_AGAIN_NS:  # who invents routes must not write the log
                self._told_ns = now
                logger.warning("route_muted", extra={"reason": error.reason, "for_s": MUTE_FOR_NS // 10**9})
        for kept in (self._errors, self._muted):
            while len(kept) > KEPT_ROUTES:
                del kept[next(iter(kept))]
