"""The transmitter's end of the link: a DEALER socket, served as the session asks.

Knows nothing about images, models or rates. `Session` is pure; this owns the socket and the time. What happens comes
back through `wait_event`, whose caller listens at the socket meanwhile; nobody there, a thread of ours does.
"""

import logging
import math
import os
import time
from collections import deque
from dataclasses import asdict

import zmq

from common.errors import ConfigError, LinkDown, PeerRejected, ProtocolError, SemlinkError
from common.live.board import Board
from common.protocol.frames import decode, encode
from common.protocol.messages import Data, Message
from common.transport.dialer import Dialer
from common.transport.keystore import Keys
from common.transport.multipart import put
from common.transport.waiting.io_threads import make_context
from common.transport.waiting.turns import TICK_MS, Turns
from common.transport.waiting.watch import Waker, Watch
from sctx.actions import Action, Answered, Busy, Down, Failed, Frame, Lost, Send, Stalled, Terms, Up
from sctx.pending import Hear
from sctx.session import INBOUND, Session, unheard

logger = logging.getLogger(__name__)
BURST = 64


class Link:
    """One session over one DEALER socket. Methods are for the application thread.

    Connects at once, so that an impossible address is a ConfigError here. hear: see `sctx.session.Session`.
    In a forked child nothing serves it: ConfigError, and closing it there closes nothing.
    """

    def __init__(self, peer: str, terms: Terms, keys: Keys | None = None, hear: Hear = unheard) -> None:
        self.peer, self._process = peer, os.getpid()
        self.session = Session(terms, time.monotonic_ns(), hear)
        self.protocol_errors: dict[str, int] = {}
        self.in_flight = 0
        """Frames that were submitted and whose outcome was not taken yet."""
        self.board: Board | None = None
        """Where the state of this process is pinned up, where somebody wants to see it."""
        self._events: deque[Action] = deque()
        self._woken = self._closed = False
        self._ticked_ns = 0
        self._context = make_context()
        try:
            self._dialer = Dialer(self._context, "tx", peer, keys)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._waker = Waker()
        self._over: Failed | None = None
        self._watch = Watch(self._context)
        self._watch.register(self._waker.reader, zmq.POLLIN)
        self._dialer.watch(self._watch)
        self._turns = Turns(self._turn, self._waker.wake, "sctx-link")
        self._turns.start()

    @property
    def window(self) -> int:
        """Frames that may be without an answer at a time; 0 while the receiver is away."""
        self._require_own_process()
        return self.session.window

    def submit(self, frame: Frame) -> None:
        """Send a frame; its answer comes as an event."""
        with self._turns:
            if self._over is None:
                self.in_flight += 1
                self._take(self.session.submit(frame, time.monotonic_ns()))
                self._watch.give_way()

    def wake(self) -> None:
        """Let `wait_event` return early, now or the next time. For any thread."""
        self._woken = True
        self._waker.wake()

    def wait_event(self, timeout_s: float) -> Action | None:
        """The next event, or None after `timeout_s` or earlier. A failure is told again each time."""
        self._require_own_process()
        until_s = time.monotonic() + timeout_s
        left_s = timeout_s
        while not self._events and self._over is None:
            with self._turns:
                waits = not self._woken and not self._events  # the thread that stands in may have heard it
                self._turn(min(TICK_MS, math.ceil(left_s * 1e3)) if waits else 0, awake=True)
            left_s = until_s - time.monotonic()
            if self._woken or left_s <= 0:
                break
        self._woken = False
        event = self._events.popleft() if self._events else self._over
        self.in_flight -= isinstance(event, Answered | Lost)
        return event

    def close(self) -> None:
        """Say goodbye and free the socket."""
        if os.getpid() != self._process:
            return
        self._turns.stop()
        with self._turns:
            if self._closed:
                return
            self._closed = True
            logger.info("link_closed", extra=asdict(self.session.counters))
            self._take(self.session.close())
            self._over = self._over or Failed(SemlinkError("this transmitter was closed; open another"))
            self._dialer.close(linger=200)
        self._waker.close()
        self._context.destroy(linger=0)

    def _require_own_process(self) -> None:
        if os.getpid() != self._process:  # its threads were not forked, and the connection is the parent's
            raise ConfigError(f"this transmitter is process {self._process}'s; open another one in a forked child")

    def _turn(self, timeout_ms: int, awake: bool = False) -> bool:
        """Wait for something to do, at most `timeout_ms`, and do it; False where the link is over."""
        if self._over is not None or self._closed:
            return False
        try:
            heard = self._dialer.inbox.due and self._receive()
            ready = self._watch.wait(0 if heard else timeout_ms, awake)
            if self._waker.reader in ready:
                self._waker.drain()
            if self._dialer.socket in ready and not heard:
                self._receive()
            if (now := time.monotonic_ns()) - self._ticked_ns >= TICK_MS * 1_000_000:
                self._ticked_ns = now
                self._watch_connection(now)
                self._take(self.session.tick(now))
                if self.board is not None:
                    self.board.turned()
        except PeerRejected as refusal:
            self._take([Failed(refusal)])
        except Exception as error:  # whoever waits for an answer must hear of it
            failure = SemlinkError(f"the link stopped working: {error!r}")
            failure.__cause__ = error
            self._take([Failed(failure)])
        return self._over is None

    def _watch_connection(self, now: int) -> None:
        was = self._dialer.connections
        self._dialer.serve()
        if self._dialer.refusal:
            raise PeerRejected(f"{self.peer} refused the connection: {self._dialer.refusal}")
        if self._dialer.connections > was:
            self._take(self.session.reconnected(now))

    def _receive(self) -> bool:
        """Read what waits, but no further than to an event, for which its owner waits; True if there was anything."""
        heard = False
        for parts in self._dialer.inbox.take(BURST):  # then look at the clock again, whatever the peer sends
            heard = True
            try:
                message = decode(parts, INBOUND)
            except ProtocolError as error:
                self.protocol_errors[error.reason] = self.protocol_errors.get(error.reason, 0) + 1
                logger.debug("protocol_error", extra={"reason": error.reason})
            else:
                self._take(self.session.on_message(message, time.monotonic_ns()))
            if self._events:
                break
        return heard

    def _send(self, message: Message) -> None:
        parts = encode(message)
        if isinstance(message, Data):
            self.session.counters.header_bytes += len(parts[0]) + len(parts[1])
        try:
            put(self._dialer.socket, parts)
        except zmq.Again:
            logger.debug("send_dropped", extra={"kind": message.KIND.name})  # the session's timers send it again

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action.message)
                continue
            if isinstance(action, Failed) and isinstance(action.error, LinkDown):
                action = Failed(self._explained(action.error))
            _log(action)
            if isinstance(action, Lost) and action.why == "refused" and self.session.counters.refused == 1:
                naks = ", ".join(self.session.counters.naks)
                logger.warning("frame_refused", extra={"seq": action.frame.seq, "naks": naks})
            if isinstance(action, Failed):
                self._over = action
            elif not isinstance(action, Stalled | Busy):
                self._events.append(action)

    def _explained(self, error: LinkDown) -> SemlinkError:
        """The same with what this side knows of why."""
        if self._dialer.suspicion:
            return PeerRejected(f"{error} {self.peer}: {self._dialer.suspicion}")
        if not self.session.away:  # it is there, and the error says what it does not do
            return error
        if self.session.accept is None and self.protocol_errors:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.protocol_errors.items()))
            return LinkDown(f"{error} {self.peer} answers, but not as a receiver or an emulator does ({reasons})")
        behind = ", and no receiver answers behind it" if self._dialer.connected else ""
        return LinkDown(f"{error} {self.peer}: {self._dialer.found}{behind}")


def ask_receiver(peer: str, terms: Terms, keys: Keys | None, patience_s: float = 5.0) -> str:
    """Say hello, hear the receiver's terms, and leave: for people. Raises PeerRejected, LinkDown."""
    link = Link(peer, terms, keys)
    try:
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            match link.wait_event(0.1):
                case Up(accept, _):
                    trip_ms = link.session.clock.round_trip_ns / 1e6
                    path = f"{accept.hops} emulator{'s' * (accept.hops != 1)} on the path"
                    return f"takes us, protocol {accept.proto}, {path}, round trip {trip_ms:.1f} ms"
                case Failed(error):
                    raise error
        if busy := link.session.busy(time.monotonic_ns()):
            raise LinkDown(f"it is there, but takes no other session: {busy}")
        raise LinkDown("no receiver answers behind it: is scrx running, and does channel-emu reach it?")
    finally:
        link.close()


def _log(action: Action) -> None:
    match action:
        case Up(accept, first):
            logger.info("link_up", extra={"session": accept.session.hex(), "hops": accept.hops, "again": not first})
        case Down(why):
            logger.warning("link_down", extra={"why": why})
        case Stalled(for_ms):
            logger.warning("receiver_stalled", extra={"no_answer_decoded_for_ms": for_ms})
        case Busy(why):
            logger.warning("receiver_busy", extra={"why": why})
        case Failed(error):
            logger.info("link_failed", extra={"why": str(error)})
        case _:
            pass
