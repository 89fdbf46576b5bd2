"""Whatever the bytes, `decode` gives a message or raises ProtocolError, in bounded memory; processes live on."""

import json
import random
import tracemalloc
from importlib.resources import files
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ProtocolError
from common.pair.manifest import find_pair
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode, peek_data
from common.protocol.messages import Data, Hello, Kind
from common.transport.sockets import connect, make_socket
from training.lab.processes import start_emulator, start_receiver

Context = zmq.Context[zmq.Socket[bytes]]

GOLDEN = json.loads(files("common.protocol").joinpath("golden.json").read_text(encoding="utf-8"))
BODIES = [[bytes.fromhex(frame) for frame in v["frames"]] for v in GOLDEN["vectors"] + GOLDEN["refused"]]
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 255, 256, 2**16, 2**32, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 0.5, 1e308,
    float("nan"), float("inf"), "", "x" * 200, "\N{GRINNING FACE}" * 40, b"", bytes(16), bytes(32), bytes(33),
    (), (0,) * 17, ((),),
    {}, {"a": 1}, ("t",) * 16, msgpack.ExtType(5, b""), msgpack.Timestamp(1, 2),
)  # fmt: skip


def flip(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw)) if raw else 0
    return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]


def cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def insert(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.randbytes(rng.randrange(1, 9)) + raw[at:]


def random_bytes(raw: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 4, 16, 40, 1024, 1025)))


def other_frame(raw: bytes, rng: random.Random) -> bytes:
    frames = rng.choice(BODIES)
    return frames[rng.randrange(len(frames))]


def other_field(raw: bytes, rng: random.Random) -> bytes:
    """A well-formed header with one field of another type or out of range, taken out, or doubled."""
    try:
        fields = list(msgpack.unpackb(raw))
    except Exception:
        return raw
    if fields:
        at = rng.randrange(len(fields))
        fields[at : at + 1] = rng.choice(([rng.choice(ODD_VALUES)], [], [fields[at]] * 2))
    return bytes(msgpack.packb(fields))


MUTATIONS = (flip, flip, cut, insert, random_bytes, other_frame, other_field, other_field)


def mutate(rng: random.Random) -> list[bytes]:
    body = list(rng.choice(BODIES))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if rng.random() < 0.02 or not body:
            body = rng.choice((body[:-1], [*body, b""]))
            continue
        # The prefix is short: seldom touched, or little else would be reached.
        at = 0 if rng.random() < 0.1 else rng.randrange(len(body))
        body[at] = rng.choice(MUTATIONS)(body[at], rng)
    return body


def try_to_break(body: list[bytes], outcomes: dict[str, int]) -> None:
    for read, argument in (
        (decode, body),
        (peek_data, body[1] if len(body) > 1 else b""),
    ):
        try:
            message = read(argument)  # type: ignore[operator]
        except ProtocolError as error:
            outcomes[error.reason] = outcomes.get(error.reason, 0) + 1
        else:
            outcomes["read"] = outcomes.get("read", 0) + 1
            if read is decode:
                assert decode(encode(message)) == message


@pytest.mark.slow
@pytest.mark.parametrize("count", [40_000, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_mutated_messages_only_ever_raise_protocol_error(count: int) -> None:
    rng, outcomes = random.Random(20_26), dict[str, int]()
    for _ in range(count):
        try_to_break(mutate(rng), outcomes)
    reached = {
        "part_count", "bad_prefix", "version", "unknown_kind", "header_size", "bad_msgpack", "arity", "bad_field",
        "payload_size", "bad_symbols", "bad_outputs", "read",
    }  # fmt: skip
    assert set(outcomes) == reached
    assert min(outcomes.values()) > count // 1000


@given(body=st.lists(st.binary(max_size=64), max_size=5))
def test_random_bytes_only_ever_raise_protocol_error(body: list[bytes]) -> None:
    try_to_break(body, {})


@pytest.mark.slow
def test_malformed_messages_leave_no_memory_behind() -> None:
    rng = random.Random(7)
    bodies = [mutate(rng) for _ in range(5000)]
    try_to_break(bodies[0], {})
    outcomes = dict.fromkeys(("read",), 0)
    tracemalloc.start()
    for body in bodies:
        try_to_break(body, outcomes)
    left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert left < 100_000
    assert peak < 2_000_000


RESULT = next(body for body in BODIES if body[0] == b"SC\x01\x05")
DATA = next(body for body in BODIES if body[0] == b"SC\x01\x04")


@pytest.mark.parametrize(
    ("body", "peak_mb"),
    [
        pytest.param([DATA[0], b"\xdc\xff\xff" * 341, b""], 1, id="header of nested arrays"),
        pytest.param([DATA[0], b"\xdc\x03\xf0" + b"\x80" * 1008, b""], 1, id="header of empty maps"),
        pytest.param(
            [*RESULT[:2], b"\x81\xa1a" + b"\xdc\xff\xff" * 1000 + bytes(60_000)], 1, id="outputs of huge arrays"
        ),
        pytest.param([*RESULT[:2], b"\x81\xa1a" + b"\xdc\x10\x00" * 1000 + bytes(60_000)], 40, id="outputs of arrays"),
        pytest.param([*RESULT[:2], b"\x81\xa1a\xdc\xff\xf0" + b"\x80" * 0xFFF0], 1, id="outputs of empty maps"),
        pytest.param([*RESULT[:2], b"\xdf\xff\xff\xff\xff"], 1, id="outputs of a map of 4 billion"),
        pytest.param([*RESULT[:2], b"\x81\xa1a" + b"\x91" * 1000 + b"\x00"], 1, id="outputs nested 1000 deep"),
        pytest.param([*RESULT[:2], bytes(1 << 20)], 1, id="outputs of a mebibyte"),
    ],
)
def test_hostile_sizes_are_refused_in_bounded_memory(body: list[bytes], peak_mb: float) -> None:
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        decode(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < peak_mb * 1e6


def flood(context: Context, address: str, count: int) -> None:
    """Send garbage over many connections (one is soon muted), half of them with a session open."""
    rng, model = random.Random(11), bytes.fromhex(find_pair("digits").id)
    for batch in range(count // 250):
        session = rng.randbytes(16)
        with make_socket(context, zmq.DEALER, "tx") as socket:
            socket.linger = 2000
            connect(socket, address)
            if batch % 2:
                socket.send_multipart(encode(Hello(session, 1, 1, "", model, (0,), (), 0)))
            for _ in range(250):
                body = [frame.replace(bytes(range(16)), session) for frame in mutate(rng)]
                socket.send_multipart([b""] * rng.choice((0, 0, 0, 1, 9)) + body or [b""])


def is_served(context: Context, address: str) -> bool:
    """Whether a well-behaved session gets an answer within a hundred attempts."""
    pair = find_pair("digits")
    symbols = np.concatenate((pilot_sequence(pair.layout.pilots), np.ones(pair.layout.increments[0]))).astype("<c8")
    session = b"well behaved :-)"
    with make_socket(context, zmq.DEALER, "tx") as socket:
        connect(socket, address)
        for seq in range(100):
            head = (session, seq, 0, seq * pair.layout.slot, 0, 0, 0, 0, len(symbols), 0, 10_000, 0)
            for message in (
                Hello(session, 1, 1, "", bytes.fromhex(pair.id), (0,), (), 0),
                Data(*head, symbols.tobytes()),
            ):
                socket.send_multipart(encode(message))
            while socket.poll(200):
                if decode(socket.recv_multipart()).KIND is Kind.RESULT:
                    return True
    return False


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.full)])
@pytest.mark.usefixtures("warm")
def test_live_processes_survive_garbage_and_serve_the_next_one(context: Context, count: int) -> None:
    receiver, upstream = start_receiver()
    with receiver:
        emulator, port = start_emulator(upstream)
        with emulator:
            for listening in (upstream, port):
                flood(context, f"tcp://127.0.0.1:{listening}", count)
                assert is_served(context, f"tcp://127.0.0.1:{listening}"), (emulator.said, receiver.said)
            assert (emulator.stop(), receiver.stop()) == (0, 0)
