"""Any message that encodes comes back equal; what may not go on the wire is refused before it does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ProtocolError
from common.protocol.frames import MAX_HEADER_BYTES, MAX_OUTPUT_BYTES, decode, encode, peek_data, split
from common.protocol.messages import (
    Accept,
    Bye,
    ByeCode,
    Data,
    Hello,
    Kind,
    Nak,
    NakCode,
    Ping,
    Pong,
    Reject,
    RejectCode,
    Result,
    Status,
)


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def text(limit: int) -> st.SearchStrategy[str]:
    return st.text(max_size=limit).filter(lambda value: len(value.encode()) <= limit)


u8, u16, u32, u64 = (unsigned(bits) for bits in (8, 16, 32, 64))
session, model = st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
tasks = st.lists(text(32), max_size=16).map(tuple)
layouts = st.lists(u16, max_size=16).map(tuple)
decibels = st.none() | st.floats(-100, 100)
symbols = st.lists(st.floats(-999, 999, width=32), max_size=40).map(lambda values: values[: len(values) // 2 * 2])
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
trees = st.recursive(
    leaves | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
).filter(lambda tree: depth(tree) < 8)
outputs = st.dictionaries(st.text(max_size=8), trees, max_size=4)


def depth(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple) else ()
    return 1 + max(map(depth, inner), default=0) if isinstance(tree, dict | tuple) else 0


@st.composite
def data(draw: st.DrawFn) -> Data:
    import numpy as np

    payload = np.array(draw(symbols), "<f4").tobytes()
    head = draw(st.tuples(session, u32, u32, u64, u8, u16, u8, u8))
    return Data(*head, len(payload) // 8, *draw(st.tuples(u16, u16, u8)), payload)


MESSAGES = {
    Kind.HELLO: st.builds(Hello, session, u8, u8, text(64), model, layouts, tasks, u64),
    Kind.ACCEPT: st.builds(Accept, session, u8, model, u8, u32, u32, u16, u16, u8, u8, tasks, u64, u64, u64),
    Kind.REJECT: st.builds(Reject, session, st.sampled_from(RejectCode), model, text(128)),
    Kind.DATA: data(),
    Kind.RESULT: st.builds(
        Result, session, u32, u8, st.sampled_from(Status), decibels, decibels, decibels, decibels,
        st.none() | st.floats(0, 0.5), u64, st.floats(0, 1), u32, u32, u8, outputs,
    ),
    Kind.PING: st.builds(Ping, session, u32, u64),
    Kind.PONG: st.builds(Pong, session, u32, u64, u64, u64, u32, u32),
    Kind.NAK: st.builds(Nak, session, u32, u8, st.sampled_from(NakCode)),
    Kind.BYE: st.builds(Bye, session, st.sampled_from(ByeCode)),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
@given(draw=st.data())
def test_a_message_comes_back_equal_and_within_the_bounds_of_the_wire(kind: Kind, draw: st.DataObject) -> None:
    message = draw.draw(MESSAGES[kind])
    frames = encode(message)
    assert decode(frames) == message
    assert (len(frames), len(frames[0])) == (3, 4)
    assert len(frames[1]) <= MAX_HEADER_BYTES


@given(message=data())
def test_a_channel_reads_of_data_only_what_it_needs(message: Data) -> None:
    head = peek_data(encode(message)[1])
    assert (head.session, head.seq, head.stream) == (message.session, message.seq, message.stream)
    assert (head.air_start, head.round) == (message.air_start, message.round)


@given(message=st.one_of(*MESSAGES.values()), kinds=st.sets(st.sampled_from(Kind)))
def test_a_kind_that_makes_no_sense_in_the_state_is_refused(message: Any, kinds: set[Kind]) -> None:
    frames = encode(message)
    if message.KIND in kinds:
        assert decode(frames, kinds) == message
    else:
        with pytest.raises(ProtocolError, match="unexpected_kind"):
            decode(frames, kinds)


@given(message=st.one_of(*MESSAGES.values()), envelope=st.lists(st.binary(max_size=8), max_size=8))
def test_the_envelope_is_what_stands_before_the_last_three_parts(message: Any, envelope: list[bytes]) -> None:
    if len(envelope) <= 4:
        assert split([*envelope, *encode(message)]) == (envelope, encode(message))
    else:
        with pytest.raises(ProtocolError, match="part_count"):
            split([*envelope, *encode(message)])


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_fewer_than_three_parts_are_no_message(parts: int) -> None:
    with pytest.raises(ProtocolError, match="part_count"):
        split([b""] * parts)


S = bytes(16)
OK = (S, 1, 0, Status.OK, None, None, None, None, None, 0, 0.5, 0, 0, 1)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Ping(b"short", 0, 0), "bad_field"),
        (Ping(S, -1, 0), "bad_field"),
        (Ping(S, 2**32, 0), "bad_field"),
        (Ping(S, True, 0), "bad_field"),
        (Reject(S, 2, bytes(32), "x" * 129), "bad_field"),
        (Reject(S, 2, bytes(32), "é" * 65), "bad_field"),
        (Reject(S, 2, bytes(32), "\ud800"), "bad_field"),
        (Reject(S, 99, bytes(32), ""), "bad_field"),
        (Reject(S, NakCode.NO_SESSION, bytes(32), ""), "bad_field"),
        (Hello(S, 1, 1, "", bytes(32), (), ("t",) * 17, 0), "bad_field"),
        (Result(*OK[:10], 1.0000001, 0, 0, 1, {}), "bad_field"),
        (Result(*OK[:4], float("inf"), *OK[5:], {}), "bad_field"),
        (Result(*OK, {"a": "x" * MAX_OUTPUT_BYTES}), "payload_size"),
        (Result(*OK, {"a": [0] * 4097}), "bad_outputs"),
        (Result(*OK, {"a": object()}), "bad_outputs"),
        (Result(*OK, {"a": float("nan")}), "bad_outputs"),
        (Result(*OK, {1: "a"}), "bad_outputs"),
    ],
)
def test_what_a_peer_would_refuse_is_refused_before_it_is_sent(message: Any, reason: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        encode(message)
    assert refusal.value.reason == reason


def test_data_whose_payload_a_peer_would_refuse_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ProtocolError, match="payload_size"):
        encode(Data(S, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, bytes(8)))
