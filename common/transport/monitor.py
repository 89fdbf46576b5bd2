"""A socket's connection events -> log lines. Knows nothing about sessions.

Without it a refused key or a vanished peer is only silence.
"""

import logging

import zmq
from zmq.utils.monitor import recv_monitor_message

logger = logging.getLogger(__name__)

_TELL: dict[int, tuple[int, str]] = {
    zmq.EVENT_CONNECTED: (logging.INFO, "connected"),
    zmq.EVENT_ACCEPTED: (logging.DEBUG, "peer_connected"),
    zmq.EVENT_DISCONNECTED: (logging.INFO, "disconnected"),
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: (logging.WARNING, "handshake_failed"),
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: (logging.WARNING, "handshake_failed_protocol"),
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: (logging.WARNING, "key_refused_by_peer"),
}


class Monitor:
    """Reads the events of one socket; poll `socket` beside the data socket and call `drain` when it is readable."""

    def __init__(self, watched: "zmq.Socket[bytes]") -> None:
        self._watched = watched
        self.socket = watched.get_monitor_socket(sum(_TELL))

    def drain(self) -> None:
        """Log every event that is waiting."""
        while self.socket.poll(0):
            event = recv_monitor_message(self.socket)
            level, name = _TELL.get(int(event["event"]), (logging.DEBUG, str(event["event"])))
            logger.log(level, name, extra={"endpoint": event["endpoint"].decode(errors="replace")})

    def close(self) -> None:
        """Stop watching, before or after the watched socket is closed."""
        if not self._watched.closed:
            self._watched.disable_monitor()
        self.socket.close(0)  # pyzmq leaves it open, and the context would wait for it
