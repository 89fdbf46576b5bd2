"""Whose session it is: the key, or the route, that opened it. Pure; knows nothing about frames.

An id is in every message of its session, and a ROUTER identity may be claimed by anybody once its connection is over.
So neither is enough. `who` is the key that the nearest hop proved by CURVE (empty in the clear), `route` the envelope:
its first part is the identity of that hop's connection here, the rest are those that emulators put in front.

    key and inner route as before        the owner; the first part may have changed with the connection
    in the clear, whole route as before  the owner
    same key, or no key on both sides    may take over by HELLO, once the owner's connection is gone or it is silent
    another key                          nothing, ever

So a transmitter whose connection is new, and an emulator that was started again, go on; while the owner is heard,
nobody else is.
"""

from dataclasses import dataclass

from common.protocol.messages import Hello

Route = tuple[bytes, ...]
"""The ROUTER envelope through which a transmitter is reached."""


@dataclass(slots=True)
class Owner:
    """Where and who a session's transmitter is. gone: its connection is known to be over. claim: who wants to be it."""

    route: Route
    who: bytes
    gone: bool = False
    claim: tuple[Hello, Route] | None = None
    asked_ns: int = -(1 << 62)

    def is_from(self, route: Route, who: bytes) -> bool:
        """Whether a message is from the owner."""
        return who == self.who and (route == self.route or (who != b"" and route[1:] == self.route[1:]))

    def moved(self, route: Route) -> None:
        """The owner was heard along `route`."""
        if route is not self.route:
            self.route, self.gone = route, False
        self.claim = None

    def may_be_taken(self, who: bytes, silent_ns: int, limit_ns: int) -> bool:
        """Whether somebody else who proved `who` may be the owner from now on."""
        return who == self.who and (self.gone or silent_ns > limit_ns)
