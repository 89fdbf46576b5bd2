"""The nine messages as records. Knows nothing about bytes; `frames.py` does.

The order of the fields of a class is the order on the wire, and `CHECKS` holds one check per header field. DATA and
RESULT have a payload besides. A session id is 16 random bytes; a model id is the SHA-256 of a manifest (32 bytes).
`README.md` beside this file is the specification.
"""

from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common import PROTOCOL
from common.protocol.fields import Check, number, octets, one_of, sequence, text, u8, u16, u32, u64
from common.record import record

VERSION = PROTOCOL
MAX_TASKS = 16
NOBODY = bytes(16)
"""The session of no transmitter: whose frame without symbols asks what is there (`frames.asks_who`)."""

session_id = octets(16)
model_hash = octets(32)
decibels = number(-100.0, 100.0, known=False)
SYMBOL = np.dtype("<c8")


class Kind(IntEnum):
    """Fourth byte of the prefix."""

    HELLO = 1
    ACCEPT = 2
    REJECT = 3
    DATA = 4
    RESULT = 5
    PING = 6
    PONG = 7
    NAK = 8
    BYE = 9


class RejectCode(IntEnum):
    """Why a receiver refuses a session."""

    VERSION = 1
    MODEL_MISMATCH = 2
    LAYOUT = 3
    TASKS = 4
    BUSY = 5


class Status(IntEnum):
    """What a RESULT says about its image."""

    OK = 0
    EXPIRED = 1
    LOW_CONFIDENCE = 2
    FAILED = 3


class NakCode(IntEnum):
    """Why a frame was not taken."""

    NO_SESSION = 1
    MALFORMED = 2
    BAD_SYMBOLS = 3
    NEED_ROUND0 = 4
    OVER_WINDOW = 5


class ByeCode(IntEnum):
    """Why a side leaves."""

    DONE = 0
    DRAIN = 1
    FATAL = 2


@record
class Hello:
    """Transmitter -> receiver: open or renew a session. No `tasks` asks for all of them; `t1_ns`: its clock."""

    session: bytes
    proto_min: int
    proto_max: int
    software: str
    model_id: bytes
    layouts: tuple[int, ...]
    tasks: tuple[str, ...]
    t1_ns: int

    KIND: ClassVar = Kind.HELLO
    CHECKS: ClassVar[tuple[Check, ...]] = (
        session_id, u8, u8, text(64), model_hash, sequence(u16, 16), sequence(text(32), MAX_TASKS), u64,
    )  # fmt: skip


@record
class Accept:
    """Receiver -> transmitter: the terms. `slot` in symbols, `hops`: emulators on the path; t2, t3: its clock."""

    session: bytes
    proto: int
    model_id: bytes
    window: int
    slot: int
    max_symbols: int
    deadline_cap_ms: int
    heartbeat_ms: int
    heartbeat_misses: int
    hops: int
    tasks: tuple[str, ...]
    t1_ns: int
    t2_ns: int
    t3_ns: int

    KIND: ClassVar = Kind.ACCEPT
    CHECKS: ClassVar[tuple[Check, ...]] = (
        session_id, u8, model_hash, u8, u32, u32, u16, u16, u8, u8, sequence(text(32), MAX_TASKS), u64, u64, u64,
    )  # fmt: skip


@record
class Reject:
    """Receiver -> transmitter: no. `model_id` is the one that the receiver holds."""

    session: bytes
    code: RejectCode
    model_id: bytes
    detail: str

    KIND: ClassVar = Kind.REJECT
    CHECKS: ClassVar[tuple[Check, ...]] = (session_id, one_of(RejectCode), model_hash, text(128))


@record
class Data:
    """Transmitter -> receiver: one frame of symbols. The channel replaces `payload` and nothing else.

    The frame carries increments start_id..rate_id after its pilots. `age_ms`: since capture, with the transmitter's own
    estimate of the one-way delay added; `deadline_ms`: the age at which the answer is worth nothing. `ask_below`:
    percent of what an answer's confidence can be, below which the receiver asks for more (LOW_CONFIDENCE); 0: never.
    payload: n_symbols x complex64, little endian, pilots included. words: how many symbols of the ladder are the word's
    (`common.phy.ladder`), the last header field; None where it was not sent.
    """

    session: bytes
    seq: int
    stream: int
    air_start: int
    round: int
    layout_id: int
    start_id: int
    rate_id: int
    n_symbols: int
    age_ms: int
    deadline_ms: int
    ask_below: int
    payload: bytes
    words: int | None = None

    KIND: ClassVar = Kind.DATA
    CHECKS: ClassVar[tuple[Check, ...]] = (session_id, u32, u32, u64, u8, u16, u8, u8, u32, u16, u16, u8)
    GROWN: ClassVar[Check] = u16

    @property
    def symbols(self) -> NDArray[np.complex64]:
        """The payload as complex64 [n_symbols], read-only."""
        return np.frombuffer(self.payload, SYMBOL)


@record
class Result:
    """Receiver -> transmitter: acknowledgement, answer and channel report in one.

    SNRs are Es/N0 in dB per symbol: `snr_inst_db` of this frame, `snr_avg_db` averaged (linearly) over recent frames,
    each with its standard error; nil where nothing was estimated. `fd`: Doppler in cycles per symbol, nil if unknown.
    `air_start`: the air sample that the report is about. `credits`: frames that may be outstanding from now on.
    outputs: task name -> output, at most 64 KiB packed.
    """

    session: bytes
    seq: int
    round: int
    status: Status
    snr_inst_db: float | None
    snr_avg_db: float | None
    inst_error_db: float | None
    avg_error_db: float | None
    fd: float | None
    air_start: int
    confidence: float
    queue_us: int
    decode_us: int
    credits: int
    outputs: dict[str, Any]

    KIND: ClassVar = Kind.RESULT
    CHECKS: ClassVar[tuple[Check, ...]] = (
        session_id, u32, u8, one_of(Status), decibels, decibels, decibels, decibels, number(0.0, 0.5, known=False), u64,
        number(0.0, 1.0), u32, u32, u8,
    )  # fmt: skip


@record
class Ping:
    """Either way: are you there, and what is your clock?"""

    session: bytes
    nonce: int
    t1_ns: int

    KIND: ClassVar = Kind.PING
    CHECKS: ClassVar[tuple[Check, ...]] = (session_id, u32, u64)


@record
class Pong:
    """Answer to PING. `progress_age_ms`: how long work has been queued with no decode finished (0 when idle)."""

    session: bytes
    nonce: int
    t1_ns: int
    t2_ns: int
    t3_ns: int
    queue_depth: int
    progress_age_ms: int

    KIND: ClassVar = Kind.PONG
    CHECKS: ClassVar[tuple[Check, ...]] = (session_id, u32, u64, u64, u64, u32, u32)


@record
class Nak:
    """Receiver -> transmitter: this frame was not taken."""

    session: bytes
    seq: int
    round: int
    code: NakCode

    KIND: ClassVar = Kind.NAK
    CHECKS: ClassVar[tuple[Check, ...]] = (session_id, u32, u8, one_of(NakCode))


@record
class Bye:
    """Either way: this side leaves."""

    session: bytes
    code: ByeCode

    KIND: ClassVar = Kind.BYE
    CHECKS: ClassVar[tuple[Check, ...]] = (session_id, one_of(ByeCode))


Message = Hello | Accept | Reject | Data | Result | Ping | Pong | Nak | Bye
