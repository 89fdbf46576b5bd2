"""The header that GNU Radio's ZeroMQ blocks put before samples where "Pass Tags" is on. Knows nothing about sockets.

    magic u16 = 0x5FF0 | version u8 = 1 | offset u64 | number of tags u64 | each tag: offset u64, key, value, source

Integers are little endian; key, value and source are PMTs, serialised big endian. A tag says something about a sample:
a channel has no use for it, but must know where the samples begin.
"""

import struct

from common.errors import ProtocolError

MAGIC = b"\xf0\x5f\x01"
_HEAD = struct.Struct("<2sBQQ")
_LAST_OFFSET = 1 << 53
_LEAST_TAG = 8 + 3
_MOST_DEPTH = 64
_FIXED = {0x00: 0, 0x01: 0, 0x03: 4, 0x04: 8, 0x05: 16, 0x06: 0, 0x0B: 8, 0x0D: 8}
"""Bytes after the type of: true, false, int32, double, complex, nil, uint64, int64."""
_SYMBOL, _PAIR, _VECTOR, _DICT, _UNIFORM, _TUPLE = 0x02, 0x07, 0x08, 0x09, 0x0A, 0x0C
_ITEM_BYTES = (1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16)
"""Of a uniform vector: u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 c32 c64."""


def header_bytes(message: bytes) -> int:
    """How long the header of a message is; 0 where it has none.

    Samples that happen to begin as a header does are told from one by what follows: an offset and a number of tags that
    can be. Raises ProtocolError("tag_header") for a header that cannot be read.
    """
    if message[:3] != MAGIC or len(message) < _HEAD.size:
        return 0
    _, _, offset, tags = _HEAD.unpack_from(message)
    if offset > _LAST_OFFSET or tags * _LEAST_TAG > len(message) - _HEAD.size:
        return 0
    try:
        at = _HEAD.size
        for _ in range(tags):
            at += 8
            for _ in range(3):
                at = _skip(message, at, _MOST_DEPTH)
    except (IndexError, struct.error):
        raise ProtocolError("tag_header", "tags of GNU Radio that cannot be read") from None
    if (len(message) - at) % 8 and len(message) % 8 == 0:
        return 0  # as samples it is whole, as a header with samples it is not
    return at


def _skip(message: bytes, at: int, depth: int) -> int:
    """Where the PMT that begins at `at` ends. IndexError, struct.error: it does not."""
    if not depth:
        raise IndexError
    kind, at = message[at], at + 1
    while kind in (_PAIR, _DICT):  # a list is a chain of pairs
        at = _skip(message, at, depth - 1)
        kind, at = message[at], at + 1
    if kind in _FIXED:
        at += _FIXED[kind]
    elif kind == _SYMBOL:
        at += 2 + int(struct.unpack_from(">H", message, at)[0])
    elif kind in (_VECTOR, _TUPLE):
        count, at = struct.unpack_from(">I", message, at)[0], at + 4
        for _ in range(count):
            at = _skip(message, at, depth - 1)
    elif kind == _UNIFORM:
        item, count, padding = struct.unpack_from(">BIB", message, at)
        at += 6 + padding + count * _ITEM_BYTES[item]
    else:
        raise IndexError
    if at > len(message):
        raise IndexError
    return at
