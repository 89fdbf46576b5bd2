"""The raw wire: what is not samples moves no clock, is counted by kind, and told once."""

import logging
import struct
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.raw import RawWire
from common.channel.wire.tags import header_bytes
from common.errors import ProtocolError

SPEC = ChannelSpec(snr_db=10.0, fading="rayleigh", doppler=1e-3)
NIL = b"\x06"


def symbol(text: str) -> bytes:
    return struct.pack(">BH", 2, len(text)) + text.encode()


def uniform(kind: int, size: int, count: int, padding: int = 1) -> bytes:
    return struct.pack(">BBIB", 0x0A, kind, count, padding) + bytes(padding + size * count)


def pair(car: bytes, cdr: bytes, kind: int = 7) -> bytes:
    return bytes([kind]) + car + cdr


VALUES = {
    "true": b"\x00", "false": b"\x01", "symbol": symbol("rx_time"), "int32": b"\x03" + bytes(4),
    "double": b"\x04" + bytes(8), "complex": b"\x05" + bytes(16), "nil": NIL, "pair": pair(b"\x0b" + bytes(8), NIL),
    "dict": pair(pair(symbol("a"), b"\x04" + bytes(8)), NIL, 9), "uint64": b"\x0b" + bytes(8),
    "tuple": struct.pack(">BI", 0x0C, 2) + b"\x0b" + bytes(8) + b"\x04" + bytes(8), "int64": b"\x0d" + bytes(8),
    "vector": struct.pack(">BI", 8, 3) + NIL * 3, "list": b"".join(pair(NIL, b"") for _ in range(500)) + NIL,
    "u8": uniform(0, 1, 3), "s16": uniform(3, 2, 5), "f32": uniform(8, 4, 2), "c64": uniform(11, 16, 2, 3),
    "empty": uniform(10, 8, 0, 0),
}  # fmt: skip


def header(*tags: bytes, offset: int = 0, count: int | None = None) -> bytes:
    head = struct.pack("<HBQQ", 0x5FF0, 1, offset, len(tags) if count is None else count)
    return head + b"".join(struct.pack("<Q", offset) + symbol("key") + tag + NIL for tag in tags)


def samples(n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal(n) + 1j * random.standard_normal(n)).astype(np.complex64)


class Wire:
    def __init__(self, context: zmq.Context) -> None:
        self.sink, self.source = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self.sink.linger = self.source.linger = 0
        self.sink.bind("tcp://127.0.0.1:0")
        upstream = self.sink.getsockopt_string(zmq.LAST_ENDPOINT)
        self.raw = RawWire(context, Channel(SPEC), "tcp://127.0.0.1:0", upstream)
        self.source.connect(self.raw.address)

    def send(self, *frames: bytes) -> None:
        self.source.send_multipart(frames)

    def receive(self) -> bytes:
        for _ in range(500):
            if self.sink.poll(0):
                return self.sink.recv()
            self.raw.step(10)
        pytest.fail("nothing came out")


@pytest.fixture
def wire(context: zmq.Context) -> Iterator[Wire]:
    made = Wire(context)
    yield made
    for socket in (made.sink, made.source, made.raw):
        socket.close()


def test_tags_are_left_out_and_every_sample_is_where_it_belongs(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    x, at, got = samples(40 * (len(VALUES) + 2)), 0, []
    for tags in ([], *([value] for value in VALUES.values()), list(VALUES.values())):
        wire.send(header(*tags, offset=at) + x[at : at + 40].tobytes())
        at += 40
        got.append(np.frombuffer(wire.receive(), np.complex64))
    np.testing.assert_array_equal(np.concatenate(got), Channel(SPEC).transform(0, 0, x))
    assert wire.raw.counts["tagged"] == len(VALUES) + 2
    assert wire.raw.counts["samples"] == x.size
    assert [record.message for record in caplog.records] == ["tags_left_out"]


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([b"1234567"], "not_complex64"),
        ([samples(4).tobytes() + b"\0"], "not_complex64"),
        ([header(NIL) + b"123"], "not_complex64"),
        ([header(b"\x2a" + bytes(39), count=1) + bytes(80)], "tag_header"),
        ([header(symbol("x" * 60000)[:40], count=1) + bytes(80)], "tag_header"),
        ([header(uniform(8, 4, 2)[:2] + b"\xff" * 5, count=1) + bytes(80)], "tag_header"),
        ([header(pair(NIL, b"") * 5, count=1)], "tag_header"),
        ([samples(4).tobytes(), samples(4).tobytes()], "several_parts"),
        ([b"topic", samples(4).tobytes()], "several_parts"),
        ([samples(4).tobytes(), b""], "several_parts"),
        ([b'{"centre frequency": 24500000000}'[:32]], "not_samples"),
        ([np.full(3, np.nan, np.complex64).tobytes()], "not_samples"),
        ([np.full(3, np.inf, np.complex64).tobytes()], "not_samples"),
        ([np.full(3, 1e30, np.complex64).tobytes()], "not_samples"),
    ],
)  # fmt: skip
def test_what_is_no_samples_is_refused_told_once_and_moves_no_clock(
    wire: Wire, caplog: pytest.LogCaptureFixture, frames: list[bytes], reason: str
) -> None:
    caplog.set_level(logging.WARNING)
    x = samples(64)
    wire.send(x[:32].tobytes())
    first = wire.receive()
    for _ in range(3):
        wire.send(*frames)
    wire.send(x[32:].tobytes())
    got = np.frombuffer(first + wire.receive(), np.complex64)
    np.testing.assert_array_equal(got, Channel(SPEC).transform(0, 0, x))
    assert wire.raw.counts[reason] == 3
    assert wire.raw.counts["samples"] == 64
    assert [record.__dict__["reason"] for record in caplog.records] == [reason]


def test_an_empty_message_is_answered_by_an_empty_one_and_told(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        wire.send(b"")
        assert wire.receive() == b""
    assert wire.raw.counts["empty"] == 2
    assert [record.message for record in caplog.records] == ["empty_message"]


def test_samples_that_begin_like_a_header_are_samples() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        x = samples(int(random.integers(1, 40)), int(random.integers(2**31)))
        assert header_bytes(b"\xf0\x5f\x01" + x.tobytes()[3:]) == 0
    silence = b"\xf0\x5f\x01" + bytes(8 * 20 - 3)  # a header without tags, as far as one can see, but no whole samples
    assert header_bytes(silence) == 0


def test_no_header_takes_long_or_raises_anything_else() -> None:
    whole = header(*VALUES.values()) + samples(8).tobytes()
    random = np.random.default_rng(1)
    assert header_bytes(whole) == len(whole) - 64
    for _ in range(1500):
        damaged = bytearray(whole[: int(random.integers(3, len(whole)))])
        for _ in range(int(random.integers(0, 4))):
            damaged[int(random.integers(len(damaged)))] = int(random.integers(256))
        with suppress(ProtocolError):
            assert 0 <= header_bytes(bytes(damaged)) <= len(damaged)
