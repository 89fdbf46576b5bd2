"""Whatever a message's numbers say, it costs what any message costs: every kind, every numeric field at its limits.

Each one goes through the state machines as they live: the receiver's table and its demodulator, the transmitter's
session, the emulator's channel. Measured are memory (the peak of what Python and numpy ask for) and CPU time.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.errors import ProtocolError
from common.pair.manifest import find_pair
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode
from common.protocol.messages import (
    VERSION,
    Accept,
    Bye,
    ByeCode,
    Data,
    Hello,
    Message,
    Nak,
    NakCode,
    Ping,
    Pong,
    Reject,
    RejectCode,
    Result,
    Status,
)
from scrx.demodulation.demodulate import Demodulator
from scrx.receiver import received
from scrx.sessions.table import SessionTable, Work
from scrx.sessions.table import Terms as RxTerms
from sctx.actions import Frame, Terms
from sctx.pending import MS
from sctx.session import Session

MANIFEST = find_pair("digits")
LAYOUT, MODEL, SESSION = MANIFEST.layout, bytes.fromhex(MANIFEST.id), b"s" * 16
RATES = range(len(LAYOUT.increments))
FRAMES = {(start, rate): LAYOUT.frame_symbols(start, rate) for rate in RATES for start in range(rate + 1)}
N = FRAMES[0, 0]
ROUTE = (b"route",)
PAYLOAD = np.concatenate((pilot_sequence(LAYOUT.pilots), np.ones(N - LAYOUT.pilots))).astype("<c8").tobytes()
MOST_BYTES, MOST_S = 2 << 20, 0.25

DATA = Data(SESSION, 0, 7, 0, 0, 0, 0, 0, N, 0, 60_000, 0, PAYLOAD)
RESULT = Result(SESSION, 0, 0, Status.OK, 10.0, 10.0, 1.0, 1.0, 0.01, 0, 0.9, 1, 1, 2, {})
TO_RECEIVER: list[Message] = [
    Hello(SESSION, VERSION, VERSION, "test", MODEL, (0,), (), 0), DATA, replace(DATA, round=1), Ping(SESSION, 1, 0),
    Pong(SESSION, 1, 0, 0, 0, 0, 0), Bye(SESSION, ByeCode.DONE),
]  # fmt: skip
TO_TRANSMITTER: list[Message] = [
    Accept(SESSION, VERSION, MODEL, 2, LAYOUT.slot, LAYOUT.slot, 60_000, 250, 3, 1, ("classify",), 0, 0, 0),
    Reject(SESSION, RejectCode.BUSY, MODEL, ""), RESULT, replace(RESULT, status=Status.LOW_CONFIDENCE),
    replace(RESULT, status=Status.EXPIRED), Ping(SESSION, 1, 0), Pong(SESSION, 1, 0, 0, 0, 0, 0),
    Nak(SESSION, 0, 0, NakCode.NO_SESSION), Nak(SESSION, 0, 1, NakCode.NEED_ROUND0), Bye(SESSION, ByeCode.DRAIN),
]  # fmt: skip
ENDS = [0, 1, *(2**bits - less for bits in (8, 16, 32, 53, 64) for less in (2, 1)), 2**31, 0.0, 0.5, 1.0, -100.0, 100.0]


def at_limits(message: Message) -> Iterator[Message]:
    """The message with each numeric field at each end of what its check lets through."""
    for name, check in zip(type(message).__dataclass_fields__, message.CHECKS, strict=False):
        if type(getattr(message, name)) not in (int, float):
            continue
        for end in ENDS:
            if type(end) is type(getattr(message, name)) and _passes(check, end):
                changed = replace(message, **{name: end})
                if name != "n_symbols":  # that is the payload's
                    yield decode(encode(changed))


def _passes(check: Callable[[object], object], value: object) -> bool:
    try:
        check(value)
    except ProtocolError:
        return False
    return True


def receiver() -> Callable[[Message, int], None]:
    table = SessionTable(RxTerms(MODEL, LAYOUT.slot, FRAMES, LAYOUT.slot, MANIFEST.tasks, window=255))
    table.on_message(TO_RECEIVER[0], ROUTE, 0)
    demodulator = Demodulator(LAYOUT)

    def take(message: Message, now: int) -> None:
        if SESSION not in table.peers:
            table.on_message(TO_RECEIVER[0], ROUTE, now)
        for action in table.on_message(message, ROUTE, now):
            if isinstance(action, Work):
                demodulator.demodulate([received(action)])
                status = Status.LOW_CONFIDENCE if action.data.ask_below else Status.OK
                table.on_result(replace(RESULT, seq=action.data.seq, round=action.data.round, status=status))
        table.tick(now)

    return take


def transmitter() -> Callable[[Message, int], None]:
    terms, seqs = Terms(SESSION, MODEL, "test", LAYOUT.slot, False, 10_000, 1e9), iter(range(10**6))
    session = Session(terms, 0)

    def take(message: Message, now: int) -> None:
        nonlocal session
        if session._over:
            session = Session(terms, now)
        session.tick(now)
        if not session.up:
            session.on_message(replace(TO_TRANSMITTER[0], t1_ns=now), now)
        if session.outstanding < 2:
            seq = next(seqs)
            session.submit(Frame(seq, 0, 7, seq * LAYOUT.slot, 0, 0, now, PAYLOAD), now)
        pending = next(iter(session._frames._frames), 0)
        session.on_message(replace(message, seq=pending) if isinstance(message, Result) else message, now)
        session.on_message(message, now)
        session.tick(now)

    return take


def emulator() -> Callable[[Message, int], None]:
    channel = Channel(ChannelSpec(fading="rayleigh"))
    x = np.frombuffer(PAYLOAD, "<c8")

    def take(message: Message, now: int) -> None:
        if isinstance(message, Data) and message.air_start <= 2**53:
            channel.transform(message.stream, message.air_start, x, message.round)

    return take


CASES = [
    *(pytest.param(receiver, message, id=f"receiver-{message.KIND.name}-{k}") for k, message in enumerate(TO_RECEIVER)),
    *(pytest.param(transmitter, one, id=f"transmitter-{one.KIND.name}-{k}") for k, one in enumerate(TO_TRANSMITTER)),
    pytest.param(emulator, DATA, id="emulator-DATA"),
]


@pytest.mark.parametrize(("side", "base"), CASES)
def test_no_number_costs_more_than_another(side: Callable[[], Callable[[Message, int], None]], base: Message) -> None:
    take, now = side(), 0
    take(base, now)  # what is made once
    limits = list(at_limits(base))
    for jump in [each for limit in limits for each in (limit, base)] + limits[::-1]:
        now += 1100 * MS
        tracemalloc.start()
        begun = time.process_time()
        take(jump, now)
        took_s, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_BYTES, f"{peak >> 10} KiB for {jump}"
        assert took_s < MOST_S, f"{took_s:.3f} s for {jump}"
