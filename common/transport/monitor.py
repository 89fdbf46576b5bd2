"""A socket's connection events -> log lines, and why a peer refuses us. Knows nothing about sessions.

Without it a refused key or a vanished peer is only silence. ZeroMQ gives up for good after a handshake that was
refused, and tries for ever where the peer closes each one, which is what a CURVE server does to a client that expects
another key of it. A tunnel whose far end is away does the same, so that alone is told, but is not the end.
"""

import logging
import time
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

from common.transport.endpoints import as_ipv4_peer
from common.transport.multipart import Inbox

logger = logging.getLogger(__name__)

_TELL: dict[int, tuple[int, str]] = {
    zmq.EVENT_CONNECTED: (logging.INFO, "connected"),
    zmq.EVENT_ACCEPTED: (logging.DEBUG, "peer_connected"),
    zmq.EVENT_HANDSHAKE_SUCCEEDED: (logging.DEBUG, "handshake_done"),
    zmq.EVENT_CONNECT_RETRIED: (logging.NOTSET, ""),  # several a second, as long as nobody is there
    zmq.EVENT_DISCONNECTED: (logging.INFO, "disconnected"),
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: (logging.WARNING, "handshake_failed"),
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: (logging.WARNING, "handshake_failed_protocol"),
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: (logging.WARNING, "handshake_failed_key"),
}
_MECHANISM_MISMATCH = 0x11000002
_TEMPORARY = 300
QUICK_S, QUICK_CLOSES = 1.0, 5
TELL_AGAIN_S = 1.0
MOST_EVENTS = 1024

REFUSED_KEY = "it does not trust this host's key: trust it there, or take the keys of a host that it trusts"
REFUSED_MECHANISM = "one side encrypts and the other does not: give both sides keys, or none (insecure=True)"
REFUSED_OTHER = "what listens there does not speak this protocol"
CLOSES = "it ends every handshake: it has another key than the one trusted here, or a tunnel to it has no far end"
CLOSES_IN_THE_CLEAR = (
    "it ends every connection: it has keys and this side has none, a tunnel to it has no far end, or it is no receiver "
    "and no emulator"
)


class Monitor:
    """Reads the events of one socket; call `drain` now and then. A message need not wait for what happens here.

    refusal: why the peer that we connect to will never take us; empty while it may. suspicion: the same where it is
    only likely, until a handshake succeeds. connected: a handshake succeeded and the connection stands. connections:
    how many handshakes have succeeded. reached, failed: whether somebody took the newest attempt to connect, and
    whether nothing came of it; taken: whether somebody took one of the last two. encrypted: whether keys are asked for.
    """

    def __init__(
        self, watched: "zmq.Socket[bytes]", clock: Callable[[], float] = time.monotonic, encrypted: bool = True
    ) -> None:
        self._watched, self._clock = watched, clock
        self._closes_mean = CLOSES if encrypted else CLOSES_IN_THE_CLEAR
        self.refusal = self.suspicion = ""
        self.connected, self.connections = False, 0
        self.reached = self.failed = self.taken = False
        self._connected_s, self._closes, self._retries = 0.0, 0, 0
        self._told_s: dict[int, float] = {}
        self.socket = watched.get_monitor_socket(sum(_TELL))
        self._inbox = Inbox(self.socket)

    def drain(self) -> None:
        """Take the events that are waiting. Failures are logged once a second each: strangers make them."""
        for parts in self._inbox.take(MOST_EVENTS):
            event = parse_monitor_message(parts)
            number, now = int(event["event"]), self._clock()
            level, name = _TELL.get(number, (logging.DEBUG, str(number)))
            if level and (level < logging.WARNING or now - self._told_s.get(number, -TELL_AGAIN_S) >= TELL_AGAIN_S):
                self._told_s[number] = now
                logger.log(level, name, extra={"endpoint": as_ipv4_peer(event["endpoint"].decode(errors="replace"))})
            self._judge(number, int(event["value"]), now)

    def close(self) -> None:
        """Stop watching, before or after the watched socket is closed."""
        if not self._watched.closed:
            self._watched.disable_monitor()
        self.socket.close(0)  # pyzmq leaves it open, and the context would wait for it

    def _judge(self, event: int, value: int, now: float) -> None:
        if event == zmq.EVENT_CONNECTED:
            self._connected_s, self.reached, self.taken, self.failed, self._retries = now, True, True, False, 0
        elif event == zmq.EVENT_CONNECT_RETRIED:
            self.reached, self.failed, self._retries = False, True, self._retries + 1
            self.taken = self.taken and self._retries < 2  # the first is told of the attempt that was taken
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._closes, self.suspicion, self.connected = 0, "", True
            self.connections += 1
        elif event == zmq.EVENT_DISCONNECTED:
            self.connected = self.reached = False
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self.failed = True
            self.refusal = REFUSED_MECHANISM if value == _MECHANISM_MISMATCH else REFUSED_OTHER
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value != _TEMPORARY:
            self.refusal = REFUSED_KEY
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            self.failed = True
            # One that ends by the clock means a peer that is stopped or busy.
            self._closes = self._closes + 1 if now - self._connected_s < QUICK_S else 0
            if self._closes == QUICK_CLOSES:
                self.suspicion = self._closes_mean
                logger.warning("handshakes_ended_by_peer", extra={"why": self.suspicion})
