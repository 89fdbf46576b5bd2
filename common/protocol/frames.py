"""Messages <-> the three body frames of the wire. Knows nothing about sockets, sessions or channels.

    [prefix 4 B: b"SC" | version u8 | kind u8] [header: msgpack array <= 1024 B] [payload: raw bytes, may be empty]

`decode` returns a message or raises `ProtocolError(reason)`, never anything else, whatever the bytes.
"""

from collections.abc import Callable, Collection, Sequence
from math import isfinite
from operator import attrgetter
from typing import Any

import msgpack
import numpy as np

from common.errors import ProtocolError
from common.protocol import sound
from common.protocol.fields import Header, u8, u32, u64
from common.protocol.messages import (
    NOBODY,
    VERSION,
    Accept,
    Bye,
    Data,
    Hello,
    Kind,
    Message,
    Nak,
    Ping,
    Pong,
    Reject,
    Result,
    session_id,
)
from common.record import record

MAGIC = b"SC"
BODY_FRAMES = 3
MAX_ENVELOPE = 4
MAX_IDENTITY_BYTES = 255
MAX_HEADER_BYTES = 1024
MAX_OUTPUT_BYTES = 64 * 1024
MAX_OUTPUT_DEPTH = 8
MAX_OUTPUT_ITEMS = 4096
MAX_AMPLITUDE = 1e3

_CLASSES: tuple[type[Message], ...] = (Hello, Accept, Reject, Data, Result, Ping, Pong, Nak, Bye)
_PREFIXES = {cls: MAGIC + bytes((VERSION, cls.KIND)) for cls in _CLASSES}
Read = Callable[[tuple[Any, ...]], Sequence[Any]]
HEADERS = {cls: Header(cls.CHECKS) for cls in _CLASSES} | {
    Data: Header(Data.CHECKS, sound.data),
    Result: Header(Result.CHECKS, sound.result),
}
_FIELDS = {cls: attrgetter(*tuple(cls.__dataclass_fields__)[: len(cls.CHECKS)]) for cls in _CLASSES}
_READ = {prefix: (cls.KIND, cls, HEADERS[cls].read) for cls, prefix in _PREFIXES.items()}
_WRITE = {cls: (prefix, _FIELDS[cls], HEADERS[cls].read) for cls, prefix in _PREFIXES.items()}
# One for all threads: a header holds built-in types, so that no Python code runs, and no other thread, while it packs.
_pack_header: Callable[[Sequence[Any]], bytes] = msgpack.Packer(buf_size=MAX_HEADER_BYTES).pack
_PLAIN = frozenset({type(None), bool, int, str})
_FLOAT, _MOST_ENERGY = np.dtype("<f4"), MAX_AMPLITUDE**2


def split(parts: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """A received multipart message -> (ROUTER envelope, three body frames); ProtocolError on one no ROUTER makes."""
    envelope = len(parts) - BODY_FRAMES
    if not 0 <= envelope <= MAX_ENVELOPE:
        raise ProtocolError("part_count", f"{len(parts)} parts")
    for part in parts[:envelope]:
        if len(part) > MAX_IDENTITY_BYTES:  # routes are kept, and nobody's identity is longer
            raise ProtocolError("envelope", f"a part of {len(part)} bytes; at most {MAX_IDENTITY_BYTES}")
    return parts[:envelope], parts[envelope:]


def encode(message: Message) -> list[bytes]:
    """Message -> [prefix, header, payload]. Raises ProtocolError for whatever the peer's `decode` would refuse."""
    prefix, pick, read = _WRITE[type(message)]
    fields = read(pick(message))
    payload = b""
    if isinstance(message, Data):
        payload = message.payload
        if message.words is not None:
            fields = (*fields, Data.GROWN(message.words))
        _check_symbols(payload, message.n_symbols)
    elif isinstance(message, Result):
        payload = pack_outputs(message.outputs)
    return [prefix, _pack_header(fields), payload]


def pack_outputs(outputs: dict[str, Any]) -> bytes:
    """The payload of a RESULT. Raises ProtocolError for what no RESULT can say."""
    try:
        payload: bytes = msgpack.Packer(buf_size=MAX_HEADER_BYTES).pack(_check_outputs(outputs))
    except (OverflowError, UnicodeEncodeError) as error:  # more than 64 bits; half of a surrogate pair
        raise ProtocolError("bad_outputs", str(error)) from None
    if len(payload) > MAX_OUTPUT_BYTES:
        raise ProtocolError("payload_size", f"outputs of {len(payload)} bytes; at most {MAX_OUTPUT_BYTES}")
    return payload


def _look_up(prefix: bytes) -> tuple[Kind, type[Message], Read]:
    if (known := _READ.get(prefix)) is not None:
        return known
    if len(prefix) != 4 or prefix[:2] != MAGIC:
        raise ProtocolError("bad_prefix", repr(prefix[:8]))
    if prefix[2] != VERSION:
        raise ProtocolError("version", f"version {prefix[2]}, this side speaks {VERSION}")
    raise ProtocolError("unknown_kind", str(prefix[3]))


def decode(body: Sequence[bytes], allowed: Collection[Kind] = tuple(Kind)) -> Message:
    """Three body frames -> message. `allowed`: the kinds that make sense in the caller's state."""
    if len(body) != BODY_FRAMES:
        raise ProtocolError("part_count", f"{len(body)} body frames")
    prefix, header, payload = body
    kind, cls, read = _look_up(prefix)
    if kind not in allowed:
        raise ProtocolError("unexpected_kind", kind.name)
    given = _unpack(header)
    fields = read(given)
    if cls is Data:
        more = given[len(Data.CHECKS) :]
        words = Data.GROWN(more[0]) if more else None
        message = Data(*fields, payload, words)  # type: ignore[call-arg]  # mypy sees no arity in a starred list
        _check_symbols(payload, message.n_symbols)
        return message
    if cls is Result:
        return Result(*fields, _unpack_outputs(payload))  # type: ignore[call-arg]
    if payload:
        raise ProtocolError("payload_size", f"{kind.name} carries no payload, got {len(payload)} bytes")
    return cls(*fields)


@record
class DataHead:
    """The fields of DATA that a channel needs: which stream, where on the air clock, which round."""

    session: bytes
    seq: int
    stream: int
    air_start: int
    round: int


DATA_HEAD = Header((session_id, u32, u32, u64, u8), sound.data_head)


def peek_data(header: bytes) -> DataHead:
    """The first five fields of a DATA header; the rest is not looked at."""
    return DataHead(*DATA_HEAD.read(_unpack(header)))


def ask_who(seq: int) -> Data:
    """A frame that nobody takes: a receiver answers it with NAK NO_SESSION, an emulator itself with BAD_SYMBOLS."""
    return Data(NOBODY, seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"")


def asks_who(header: bytes, payload: bytes) -> bool:
    """Whether a DATA is one of `ask_who`."""
    try:
        return not payload and peek_data(header).session == NOBODY
    except ProtocolError:
        return False


@record
class ResultHead:
    """Which frame a RESULT answers, and its channel report: the first ten header fields, as in `Result`."""

    session: bytes
    seq: int
    round: int
    status: int
    snr_inst_db: float | None
    snr_avg_db: float | None
    inst_error_db: float | None
    avg_error_db: float | None
    fd: float | None
    air_start: int


RESULT_HEAD = Header(Result.CHECKS[:10], sound.result_head)
_HEAD_FIELDS = attrgetter(*ResultHead.__dataclass_fields__)


def peek_result(header: bytes) -> ResultHead:
    """The first ten fields of a RESULT header; the rest is not looked at."""
    return ResultHead(*RESULT_HEAD.read(_unpack(header)))


def put_result(head: ResultHead, header: bytes) -> bytes:
    """A RESULT header with its first ten fields replaced by those of `head`; the rest stays as it is."""
    return _pack_header((*_HEAD_FIELDS(head), *_unpack(header)[10:]))


def _unpack(header: bytes) -> tuple[Any, ...]:
    if len(header) > MAX_HEADER_BYTES:
        raise ProtocolError("header_size", f"{len(header)} bytes; at most {MAX_HEADER_BYTES}")
    try:
        fields = msgpack.unpackb(header, use_list=False, max_ext_len=0)
    except Exception as error:  # msgpack raises six unrelated classes on bad input
        raise ProtocolError("bad_msgpack", type(error).__name__) from None
    if type(fields) is not tuple:
        raise ProtocolError("bad_msgpack", "the header is not an array")
    return fields


def _check_symbols(payload: bytes, n_symbols: int) -> None:
    if len(payload) != 8 * n_symbols:
        raise ProtocolError("payload_size", f"{len(payload)} bytes for {n_symbols} symbols of 8 bytes")
    parts = np.frombuffer(payload, _FLOAT)
    # NaN fails every comparison, so one test finds NaN, infinity and absurd amplitudes. The energy, which is one call,
    # is below the square of the limit only where every part is below the limit; of most frames no more is asked.
    if np.vdot(parts, parts) < _MOST_ENERGY:  # `dot` would warn
        return
    if parts.size and not bool((np.abs(parts) < MAX_AMPLITUDE).all()):
        raise ProtocolError("bad_symbols", f"a symbol has a part that is not finite or not below {MAX_AMPLITUDE:g}")


def _unpack_outputs(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_OUTPUT_BYTES:
        raise ProtocolError("payload_size", f"{len(payload)} bytes of outputs; at most {MAX_OUTPUT_BYTES}")
    try:  # without the bound, 64 KiB of nested arrays cost 82 MB
        outputs = msgpack.unpackb(payload, use_list=False, max_ext_len=0, max_array_len=MAX_OUTPUT_ITEMS)
    except Exception as error:  # as above
        raise ProtocolError("bad_msgpack", type(error).__name__) from None
    return _check_outputs(outputs)


def _check_outputs(outputs: Any) -> dict[str, Any]:
    if not isinstance(outputs, dict):
        raise ProtocolError("bad_outputs", "outputs are not a map of task names")
    _check_plain(outputs, MAX_OUTPUT_DEPTH)
    return outputs


def _check_plain(value: Any, depth: int) -> None:
    # Only what JSON can say, and not so deep that printing it fails. value: a dict, list or tuple
    if depth == 0:
        raise ProtocolError("bad_outputs", f"nested deeper than {MAX_OUTPUT_DEPTH}")
    if len(value) > MAX_OUTPUT_ITEMS:
        raise ProtocolError("bad_outputs", f"{len(value)} items; at most {MAX_OUTPUT_ITEMS}")
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise ProtocolError("bad_outputs", "a key is not text")
        value = value.values()
    for item in value:
        kind = type(item)
        if kind in _PLAIN or (kind is float and isfinite(item)):
            continue
        if not isinstance(item, (dict, list, tuple)):
            raise ProtocolError("bad_outputs", f"{kind.__name__} {repr(item)[:40]}")
        _check_plain(item, depth - 1)
