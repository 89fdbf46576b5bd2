"""The connecting DEALER of a process, whatever addresses its peer has. Knows nothing about messages.

libzmq asks for a name's addresses and tries the first one for ever. Here all of them are tried, one after the other,
until a handshake succeeds, and a name is asked for again as long as nobody is reached, since it may have moved. There
is one connection at a time: messages of a session keep their order.

    nobody reached --refused, or silent for PATIENCE_S--> the next address --handshake--> stays while that stands

Connections are cut, and made anew, where the process has grown too much (`memory.py`): whoever is connected to may send
messages that never end.
"""

import logging
import threading
import time
from collections.abc import Callable

import zmq

from common.transport.curve import secure_client
from common.transport.endpoints import is_numeric, parts_of, resolve
from common.transport.keystore import Keys
from common.transport.memory import MemoryGuard
from common.transport.monitor import Monitor
from common.transport.multipart import Inbox
from common.transport.sockets import Role, connect, make_socket

logger = logging.getLogger(__name__)
PATIENCE_S, HANDSHAKE_S, PAUSE_S = 1.0, 2.5, 0.05
"""How long an address may take to be reached, and once it is, to end the handshake; the least time between two."""
ASK_EVERY_S = 1.0


class Dialer:
    """`socket` is the DEALER, `inbox` what comes in there (both are others after it was cut). For one thread; call
    `serve` every few milliseconds.

    keys: encrypted, and only the key that is trusted for the peer's host is accepted; None: in the clear. Raises
    ConfigError where there is no such key, or no address of this form can ever be reached.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        role: Role,
        address: str,
        keys: Keys | None = None,
        flag: str = "peer",
        find: Callable[[str, int], list[str]] = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context, self._role, self.address, self._keys, self._flag = context, role, address, keys, flag
        self._clock, self._memory = clock, MemoryGuard(clock)
        self._poller: zmq.Poller | None = None
        self._earlier = 0
        self._named = not is_numeric(address)
        self._find, self._asking, self._found = find, threading.Event(), list[str]()
        self._at, self._addresses = ("", list[str]()) if self._named else (address, [address])
        self._since_s, self._asked_s = clock(), clock() - ASK_EVERY_S
        self._refused: dict[str, str] = {}
        self._make()
        if self._named:
            self._ask()

    @property
    def connected(self) -> bool:
        """A handshake succeeded and the connection stands."""
        return self._monitor.connected

    @property
    def reached(self) -> bool:
        """Somebody takes the connection, whatever comes of it."""
        return self._monitor.taken

    @property
    def connections(self) -> int:
        """How many handshakes have succeeded."""
        return self._earlier + self._monitor.connections

    @property
    def refusal(self) -> str:
        """Why the peer will never take us, at none of its addresses; empty while it may."""
        return next(iter(self._refused.values()), "") if set(self._addresses) <= self._refused.keys() else ""

    @property
    def suspicion(self) -> str:
        """The same where it is only likely."""
        return self._monitor.suspicion

    @property
    def found(self) -> str:
        """What is there where the peer should be, for people, as far as it can be seen from here."""
        if not self._addresses:
            return f"nobody here knows a host {parts_of(self.address)[0]}"
        if self.connected:
            return "it is connected"
        if self._monitor.taken:
            return "what listens there does not answer: it is stopped, or speaks something else"
        where = ", ".join(one.removeprefix("tcp://") for one in self._addresses)
        return f"nothing listens at {where}, or no way leads there"

    def watch(self, poller: zmq.Poller) -> None:
        """Register the socket to be polled, now and when it is another one."""
        self._poller = poller
        poller.register(self.socket, zmq.POLLIN)

    def serve(self) -> None:
        """Look after connection, addresses and memory."""
        self._monitor.drain()
        if grown := self._memory.grown_bytes():
            logger.warning("memory_grown", extra={"grown_mb": grown >> 20, "address": self.address})
            self._remake()
        if self._monitor.refusal:
            self._refused[self._at] = self._monitor.refusal
        if self._monitor.connected:
            self._since_s = self._clock()
        else:
            self._seek()

    def close(self, linger: int = 0) -> None:
        """Close everything; what was sent may still leave for `linger` ms."""
        self._monitor.close()
        self.socket.close(linger)

    def _seek(self) -> None:
        """Nobody is reached: go on with the next address, and with those that the name has by now."""
        if self._named and not self._asking.is_set():
            if self._found:
                self._addresses, self._found = self._found, []
            if self._clock() - self._asked_s >= ASK_EVERY_S:
                self._ask()
        open_to_us = [address for address in self._addresses if address not in self._refused]
        gone = self._at not in self._addresses
        if not open_to_us or (open_to_us == [self._at] and not gone):
            return
        waited_s = self._clock() - self._since_s
        patience_s = PAUSE_S if self._monitor.failed else HANDSHAKE_S if self._monitor.reached else PATIENCE_S
        if gone or self._at in self._refused or waited_s >= patience_s:
            later = self._addresses[self._addresses.index(self._at) + 1 :] if not gone else []
            self._go_to(next((address for address in later if address not in self._refused), open_to_us[0]))

    def _go_to(self, address: str) -> None:
        fresh, self._at, self._since_s = not self._at, address, self._clock()
        if fresh:
            connect(self.socket, address, self._flag)
        else:
            self._remake()

    def _ask(self) -> None:
        """Ask what the name stands for, in a thread of its own: that can take seconds."""
        self._asked_s = self._clock()
        self._asking.set()

        def ask() -> None:
            self._found = self._find(*parts_of(self.address))
            self._asking.clear()

        threading.Thread(target=ask, name="resolve", daemon=True).start()

    def _make(self) -> None:
        self.socket = make_socket(self._context, zmq.DEALER, self._role)
        self.inbox = Inbox(self.socket)
        self._monitor = Monitor(self.socket, self._clock, encrypted=self._keys is not None)
        try:
            if self._keys is not None:
                secure_client(self.socket, self._keys, self.address)
            if self._at:
                connect(self.socket, self._at, self._flag)
        except BaseException:
            self.close()
            raise

    def _remake(self) -> None:
        """Another socket in the place of this one, whose connection and unread messages go with it."""
        if self._poller is not None:
            self._poller.unregister(self.socket)
        self._earlier += self._monitor.connections
        self.close()
        self._make()
        if self._poller is not None:
            self._poller.register(self.socket, zmq.POLLIN)
