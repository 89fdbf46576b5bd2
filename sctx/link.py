"""The transmitter's I/O thread: a DEALER socket and a poll loop that carries out what the session asks for.

Knows nothing about images, models or rates. `Session` is pure; this thread owns the socket and the time, and a lock
lets the application thread submit frames. What happens comes back through `wait_event`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict

import zmq

from common.errors import LinkDown, PeerRejected, ProtocolError, SemlinkError
from common.protocol.frames import decode, encode
from common.protocol.messages import Data, Message
from common.transport.curve import secure_client
from common.transport.keystore import Keys
from common.transport.monitor import Monitor
from common.transport.sockets import connect, make_socket
from common.transport.waker import Waker
from sctx.actions import Action, Down, Failed, Frame, Send, Stalled, Terms, Up
from sctx.session import INBOUND, Session

logger = logging.getLogger(__name__)
TICK_MS = 20
BURST = 64


class Link:
    """One session over one DEALER socket. Methods are for the application thread.

    Connects at once (so that an impossible address is a ConfigError here), then runs in its own thread until `close`.
    """

    def __init__(self, peer: str, terms: Terms, keys: Keys | None = None) -> None:
        self.peer = peer
        self.session = Session(terms, time.monotonic_ns())
        self.protocol_errors: dict[str, int] = {}
        self._events: deque[Action] = deque()
        self._outbox: deque[Message] = deque()
        self._changed = threading.Condition()
        self._stop = self._woken = False
        self._context = zmq.Context()
        self._socket = make_socket(self._context, zmq.DEALER, "tx")
        self._monitor = Monitor(self._socket)
        try:
            if keys is not None:
                secure_client(self._socket, keys, peer)
            connect(self._socket, peer)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._waker = Waker(self._context)
        self._over: Failed | None = None
        self._thread = threading.Thread(target=self._run, name="sctx-link", daemon=True)
        self._thread.start()

    @property
    def window(self) -> int:
        """Frames that may be without an answer at a time; 0 while the receiver is away."""
        with self._changed:
            return self.session.window

    def submit(self, frame: Frame) -> None:
        """Send a frame; its answer comes as an event."""
        with self._changed:
            self._take(self.session.submit(frame, time.monotonic_ns()))
        self._waker.wake()

    def wake(self) -> None:
        """Let `wait_event` return early, now or the next time."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def wait_event(self, timeout_s: float) -> Action | None:
        """The next event, or None after `timeout_s` or earlier. A failure is told again each time."""
        with self._changed:
            if not self._events and not self._woken and self._over is None:
                self._changed.wait(timeout_s)
            self._woken = False
            return self._events.popleft() if self._events else self._over

    def close(self) -> None:
        """Say goodbye and end the thread."""
        if self._thread.is_alive():
            with self._changed:
                logger.info("link_closed", extra=asdict(self.session.counters))
                self._take(self.session.close())
                self._stop = True
            self._waker.wake()
            self._thread.join(timeout=5)
        self._over = self._over or Failed(SemlinkError("this transmitter was closed; open another"))
        self._waker.close()
        self._context.destroy(linger=0)

    # -- the I/O thread

    def _run(self) -> None:
        socket, monitor, peer = self._socket, self._monitor, self.peer
        poller = zmq.Poller()
        for readable in (socket, monitor.socket, self._waker.reader):
            poller.register(readable, zmq.POLLIN)
        try:
            while not (self._stop and not self._outbox):
                ready = dict(poller.poll(TICK_MS))
                if self._waker.reader in ready:
                    self._waker.drain()
                if monitor.socket in ready:
                    monitor.drain()
                    if monitor.refusal:
                        raise PeerRejected(f"{peer} refused the connection: {monitor.refusal}")
                self._step(socket, self._receive(socket) if socket in ready else ())
        except PeerRejected as refusal:
            self._end(refusal)
        except Exception as error:  # whoever waits for an answer must hear of it
            failure = SemlinkError(f"the link stopped working: {error!r}")
            failure.__cause__ = error
            self._end(failure)
        finally:
            socket.close(linger=200)
            monitor.close()
            self._waker.reader.close(0)

    def _end(self, error: SemlinkError) -> None:
        with self._changed:
            self._take([Failed(error)])
            self._changed.notify_all()

    def _step(self, socket: "zmq.Socket[bytes]", messages: Iterable[Message]) -> None:
        with self._changed:
            for message in messages:
                self._take(self.session.on_message(message, time.monotonic_ns()))
            self._take(self.session.tick(time.monotonic_ns()))
            outbox = list(self._outbox)
            self._outbox.clear()
            if self._events or self._over:  # whoever waits is not woken to find nothing
                self._changed.notify_all()
        for message in outbox:
            self._send(socket, message)

    def _receive(self, socket: "zmq.Socket[bytes]") -> list[Message]:
        messages: list[Message] = []
        for _ in range(BURST):  # then look at the clock again, whatever the peer sends
            try:
                messages.append(decode(socket.recv_multipart(zmq.NOBLOCK), INBOUND))
            except zmq.Again:
                return messages
            except ProtocolError as error:
                self.protocol_errors[error.reason] = self.protocol_errors.get(error.reason, 0) + 1
                logger.debug("protocol_error", extra={"reason": error.reason})
        return messages

    def _send(self, socket: "zmq.Socket[bytes]", message: Message) -> None:
        parts = encode(message)
        if isinstance(message, Data):
            self.session.counters.header_bytes += len(parts[0]) + len(parts[1])
        try:
            socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            logger.debug("send_dropped", extra={"kind": message.KIND.name})  # the session's timers send it again

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._outbox.append(action.message)
                continue
            if isinstance(action, Failed) and isinstance(action.error, LinkDown) and self._monitor.suspicion:
                action = Failed(PeerRejected(f"{action.error} {self.peer}: {self._monitor.suspicion}"))
            _log(action)
            if isinstance(action, Failed):
                self._over = action
            elif not isinstance(action, Stalled):
                self._events.append(action)


def _log(action: Action) -> None:
    match action:
        case Up(accept, first):
            logger.info("link_up", extra={"session": accept.session.hex()[:8], "hops": accept.hops, "again": not first})
        case Down(why):
            logger.warning("link_down", extra={"why": why})
        case Stalled(for_ms):
            logger.warning("receiver_stalled", extra={"no_answer_decoded_for_ms": for_ms})
        case Failed(error):
            logger.info("link_failed", extra={"why": str(error)})
        case _:
            pass
