"""Which emulator of a chain this is: each has randomness of its own. Knows nothing about messages or sockets.

The first hop draws from the seed that was given, a later one from a seed made of it and its number. So two emulators
in a row that were both left at their defaults are two channels, and each is the same at every run.
"""

import hashlib
import struct
from functools import cache


@cache
def hop_seed(seed: int, hop: int) -> int:
    """The seed of hop 0, 1, 2 ...: 0..2^64-1. Hop 0 has the seed that was given."""
    if not hop:
        return seed
    digest = hashlib.blake2b(struct.pack("<2Q", seed, hop), digest_size=8, person=b"semlink hop").digest()
    return int.from_bytes(digest, "little")
