"""Keyed randomness: white noise and random walks, of which any sample, asked for in any order, is always the same.

Knows nothing about SNR, fading or what the randomness is used for.

The index runs in fixed blocks of 8192 samples. A block's SFC64 generator is keyed with BLAKE2b(key, block), so a
message may cut the process anywhere, and sample 1e9 costs as much as sample 0. Radius and angle follow Box and Muller
(1958):

    w = sqrt(-ln u1) exp(j 2 pi u2),    u1, u2 uniform from 32 bits each    =>    w ~ CN(0, 1), 1/2 per real dimension

numpy's vectorised log, sine and cosine make this twice as fast as its ziggurat. The price: the integers are the same on
every machine, the last bit of a float32 may differ between families of processors.
"""

import hashlib
import math
import struct
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 8192
"""Samples per keyed block."""


class Use(IntEnum):
    """What a process is used for; part of its key, so that no two uses share randomness."""

    NOISE = 0
    BLOCK_FADING = 1
    FADER = 2
    SHADOWING = 3
    PHASE_NOISE = 4
    TRANSIT = 5
    FEEDBACK = 6
    RETURN = 7


@cache
def hop_seed(seed: int, hop: int) -> int:
    """The seed of the emulator that has `hop` others before it in a chain: 0..2^64-1.

    The first one draws from the seed that was given, a later one from a seed made of it and its number. So two
    emulators in a row that were both left at their defaults are two channels, and each is the same at every run.
    """
    if not hop:
        return seed
    digest = hashlib.blake2b(struct.pack("<2Q", seed, hop), digest_size=8, person=b"semlink hop").digest()
    return int.from_bytes(digest, "little")


class KeyedBits:
    """An SFC64 generator that jumps to the start of any block of any keyed process."""

    def __init__(self) -> None:
        self._bits = np.random.SFC64(0)
        self._words = np.ones(4, np.uint64)  # three hashed words, and a counter that starts at 1
        self._state: Any = {
            "bit_generator": "SFC64", "state": {"state": self._words}, "has_uint32": 0, "uinteger": 0,
        }  # fmt: skip

    def at(self, key: tuple[int, ...], block: int) -> np.random.SFC64:
        """The generator at the start of `block` of the process `key` (integers 0..2^64-1)."""
        digest = hashlib.blake2b(struct.pack(f"<{len(key) + 1}Q", *key, block), digest_size=24).digest()
        self._words[:3] = np.frombuffer(digest, "<u8")
        self._bits.state = self._state
        return self._bits

    def gaussian(self, key: tuple[int, ...], block: int, out: NDArray[np.complex64]) -> None:
        """Fill `out`, complex64 [n] contiguous, with the first n samples of CN(0, 1) of a block."""
        count = out.size
        words = self.at(key, block).random_raw(count).view(np.uint32)
        radius = words[:count].astype(np.float32)
        radius += np.float32(0.5)
        radius *= np.float32(2.0**-32)
        np.log(radius, out=radius)
        np.negative(radius, out=radius)
        np.sqrt(radius, out=radius)
        angle = words[count:].astype(np.float32)
        angle *= np.float32(2.0 * np.pi * 2.0**-32)
        parts = out.view(np.float32).reshape(count, 2)
        np.multiply(radius, np.cos(angle), out=parts[:, 0])
        np.multiply(radius, np.sin(angle), out=parts[:, 1])


class WhiteNoise:
    """One process w[n] ~ CN(0, 1), independent over n, n = 0..2^63. Keeps the block it drew last."""

    def __init__(self, *key: int) -> None:
        self._key = key
        self._bits = KeyedBits()
        self._held = -1
        self._block = np.empty(BLOCK, np.complex64)

    def samples(self, start: int, count: int) -> NDArray[np.complex64]:
        """w[start : start + count]: complex64 [count], unit power. May be a view: do not write to it."""
        first, offset = divmod(start, BLOCK)
        if offset + count <= BLOCK:
            return self._at(first)[offset : offset + count]
        out = np.empty(count, np.complex64)
        done = 0
        while done < count:
            block, offset = divmod(start + done, BLOCK)
            take = min(BLOCK - offset, count - done)
            if take == BLOCK:
                self._bits.gaussian(self._key, block, out[done : done + take])
            else:
                out[done : done + take] = self._at(block)[offset : offset + take]
            done += take
        return out

    def _at(self, block: int) -> NDArray[np.complex64]:
        if block != self._held:
            self._block = np.empty(BLOCK, np.complex64)  # a new one: earlier views stay valid
            self._bits.gaussian(self._key, block, self._block)
            self._held = block
        return self._block


class Walk:
    """Random walk in steps of N(0, 1), 0 at sample 0, that can be entered anywhere: float64, samples 0..2^65.

    Five levels of cells, 8192 to one above; the 8192 increments within a cell are drawn freely and then shifted so that
    they add up to the increment of their cell (Levy's construction): exactly a walk, and sample n costs five blocks.
    """

    LEVELS = 5

    def __init__(self, *key: int) -> None:
        self._draws = [WhiteNoise(*key, level) for level in range(self.LEVELS)]
        self._held = -1
        self._values = np.empty(0)

    def value(self, sample: int) -> float:
        """Walk at the end of a sample; 0 before the first one, which is sample -1."""
        if sample < 0:
            return 0.0
        if sample // BLOCK != self._held:
            self._values, self._held = self.cell(sample // BLOCK), sample // BLOCK
        return float(self._values[sample % BLOCK])

    def cell(self, index: int) -> NDArray[np.float64]:
        """Walk at the end of each sample of cell `index` (samples 8192 * index and on): float64 [8192]."""
        start, steps = self._cell(0, index)
        return start + np.cumsum(steps)

    def _cell(self, level: int, index: int) -> tuple[float, NDArray[np.float64]]:
        """Value at the start of a cell of 8192^(level + 1) samples, and the increments of its 8192 parts."""
        scale = float(BLOCK) ** (level / 2.0)
        free = self._draws[level].samples(index * BLOCK, BLOCK).real.astype(np.float64) * (math.sqrt(2.0) * scale)
        if level + 1 == self.LEVELS:
            return 0.0, free
        start, parts = self._cell(level + 1, index // BLOCK)
        here = index % BLOCK
        return start + float(parts[:here].sum()), free + (float(parts[here]) - float(free.sum())) / BLOCK
