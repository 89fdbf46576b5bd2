"""What an emulator calls a connection towards its receiver: an alias, from which no other connection can be guessed.

libzmq numbers the connections of a ROUTER that name themselves nothing one after the other, and ends the process where
somebody has claimed the number that comes next. A receiver sees these numbers in the envelope, and may also connect as
a transmitter does. So it is shown a keyed permutation of them. Knows nothing about messages or sockets.
"""

import hashlib
import secrets
from collections.abc import Iterable
from functools import lru_cache

ROUNDS = 8
KEPT = 4096


class Aliases:
    """A permutation of the identities that libzmq makes (a byte 0, then 32 bits); any other stands for itself.

    A balanced Feistel network on 2 x 16 bits (Luby and Rackoff 1988) with BLAKE2b, keyed anew in each process.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = secrets.token_bytes(16) if key is None else key
        self.outward = lru_cache(KEPT)(self._outward)
        """Identity of a connection -> what the receiver sees."""
        self.inward = lru_cache(KEPT)(self._inward)
        """And back."""

    def _outward(self, identity: bytes) -> bytes:
        return self._through(identity, range(ROUNDS))

    def _inward(self, alias: bytes) -> bytes:
        return self._through(alias, reversed(range(ROUNDS)))

    def _through(self, name: bytes, rounds: Iterable[int]) -> bytes:
        if len(name) != 5 or name[0]:
            return name
        left, right = name[1:3], name[3:5]
        for number in rounds:  # the halves change places after each round but the last, so the way back is the same
            mask = hashlib.blake2b(bytes((number,)) + right, digest_size=2, key=self._key).digest()
            left, right = right, bytes(a ^ b for a, b in zip(left, mask, strict=True))
        return name[:1] + right + left
