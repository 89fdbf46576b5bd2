"""The bound ROUTER of a process, with who may come in. Knows nothing about messages.

It can be opened anew, which cuts every connection: ROUTER has no way to cut one. Honest peers are back within a quarter
of a second, and their sessions go on. It does so when a key that was let in is no longer trusted, and when the memory
of the process has grown: ZeroMQ bounds frames, and how many messages wait, but a message may have any
number of frames (`memory.py`).
"""

import logging
import math
import time
from collections.abc import Callable, Collection

import zmq

from common.errors import ConfigError
from common.transport.claimed import Claim
from common.transport.curve import Doorman, secure_server
from common.transport.endpoints import host_of, is_loopback
from common.transport.keystore import Keys
from common.transport.memory import MemoryGuard
from common.transport.monitor import Monitor
from common.transport.multipart import Inbox
from common.transport.sockets import MAX_FRAME_BYTES, Role, make_socket

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 0.5
WARN_EVERY_S = 60.0
QUICK_PAUSES_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class Listener:
    """`socket` is the ROUTER, bound to `address`, and `inbox` what comes in there. For one thread.

    After it was opened anew both are others.

    keys: only trusted keys come in, encrypted; None: anybody, in the clear. max_frame: bytes; a peer that sends a
    longer frame loses its connection.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        role: Role,
        address: str,
        keys: Keys | None = None,
        flag: str = "listen",
        max_frame: int = MAX_FRAME_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context, self._role, self._keys = context, role, keys
        self._flag, self._max_frame, self._clock = flag, max_frame, clock
        self._poller: zmq.Poller | None = None
        self._looked_s, self._memory = clock(), MemoryGuard(clock)
        self._warned_s = -math.inf
        self._uncut = self._unbound = False
        self._retry_s = self._pause_s = 0.0
        self._claim = Claim(address, flag)
        self._doorman = Doorman(context, keys, clock) if keys else None
        try:
            self.socket, self._monitor = self._make()
            self.inbox = Inbox(self.socket)
        except BaseException:
            self._claim.release()
            if self._doorman:
                self._doorman.close()
            raise
        try:
            self._bind()
        except BaseException:
            self.close()
            raise

    def watch(self, poller: zmq.Poller) -> None:
        """Register all sockets to be polled, now and when this is opened anew."""
        self._poller = poller
        if self._doorman:
            poller.register(self._doorman.socket, zmq.POLLIN)
        self._register()

    def serve(self, ready: Collection[object]) -> None:
        """Look after handshakes, keys and memory. Call when `poll` finds more readable than `socket`, which is `ready`,
        and every few milliseconds."""
        self._monitor.drain()
        if not (self._uncut or self._unbound):
            self._weigh()
        elif self._clock() >= self._retry_s:
            self._retry()
        if self._doorman is None:
            self._warn()
            return
        if self._doorman.socket in ready:
            self._doorman.serve()
        if self._clock() - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = self._clock()
            if outcasts := self._doorman.outcasts():
                logger.warning("keys_no_longer_trusted", extra={"who": ", ".join(outcasts)})
                self.reopen()

    def reopen(self) -> None:
        """Cut every connection and listen again; where that cannot be done at once, `serve` goes on trying."""
        self._uncut = True
        for pause_s in QUICK_PAUSES_S:  # the old socket is closed in the background
            if not self._renew():
                return
            time.sleep(pause_s)
        self._pause_s = FIRST_PAUSE_S
        self._retry()

    def close(self, linger: int = 0) -> None:
        """Close everything; what was sent may still leave for `linger` ms."""
        self._close_socket(linger)
        self._claim.release()
        if self._doorman:
            self._doorman.close()

    def _weigh(self) -> None:
        """Let go of everything that strangers may have made us keep, before it is too much."""
        if grown := self._memory.grown_bytes():
            logger.warning("memory_grown", extra={"grown_mb": grown >> 20, "address": self.address})
            self.reopen()

    def _warn(self) -> None:
        """Say again and again that other hosts can reach a port that nothing protects."""
        host = host_of(self.address)
        if host and not is_loopback(host) and self._clock() - self._warned_s >= WARN_EVERY_S:
            self._warned_s = self._clock()
            logger.warning("open_without_encryption", extra={"address": self.address})

    def _retry(self) -> None:
        if problem := self._renew():
            logger.error("cannot_listen", extra={"why": problem, "again_in_s": self._pause_s})
            self._retry_s = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        else:
            logger.warning("listening_again", extra={"address": self.address})

    def _renew(self) -> str:
        """One attempt to put a new socket in the place of the old one; returns why it did not work yet."""
        try:
            if self._uncut:
                socket, monitor = self._make()  # first: where there is no room for it the old one goes on
                if self._poller:
                    self._poller.unregister(self.socket)
                self._close_socket(0)
                self.socket, self.inbox, self._monitor = socket, Inbox(socket), monitor
                self._register()
                self._uncut, self._unbound = False, True
            self._bind()
        except (ConfigError, zmq.ZMQError) as error:
            return str(error)
        self._unbound = False
        return ""

    def _make(self) -> "tuple[zmq.Socket[bytes], Monitor]":
        socket = make_socket(self._context, zmq.ROUTER, self._role)
        try:
            socket.setsockopt(zmq.MAXMSGSIZE, self._max_frame)
            if self._keys:
                secure_server(socket, self._keys)
            return socket, Monitor(socket, self._clock)
        except BaseException:
            socket.close(0)
            raise

    def _bind(self) -> None:
        self.address = self._claim.bind(self.socket)

    def _register(self) -> None:
        if self._poller:
            self._poller.register(self.socket, zmq.POLLIN)

    def _close_socket(self, linger: int) -> None:
        self._monitor.close()
        self.socket.close(linger)
