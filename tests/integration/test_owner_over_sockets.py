"""Over real sockets: a trusted peer that knows another's session id, or takes its identity, gets nothing of it."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from common.pair.manifest import find_pair
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
)
from common.transport.curve import secure_client
from common.transport.keystore import Keys, make_keys
from common.transport.sockets import connect, make_socket
from scrx.receiver import Receiver
from scrx.settings import Settings

MANIFEST = find_pair("digits")
LAYOUT, MODEL = MANIFEST.layout, bytes.fromhex(MANIFEST.id)
ANSWER = {"classify": {"index": 1, "name": "1", "confidence": 1.0}}
N = LAYOUT.frame_symbols(0, 0)


def hello(session: bytes) -> Hello:
    return Hello(session, VERSION, VERSION, "test", MODEL, (0,), (), 0)


def data(session: bytes, seq: int) -> Data:
    return Data(session, seq, 7, LAYOUT.air_start(seq, 0), 0, 0, 0, 0, N, 0, 60_000, 0, b"\0\0\x80?\0\0\0\0" * N)


class Bench:
    """A receiver, and peers with or without keys."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", folder: Path | None) -> None:
        self.context, self.folder, self.closing = context, folder, ExitStack()
        self.own = make_keys(folder / "rx", "rx") if folder else None
        keys = folder / "rx" if folder else None
        self.receiver = self.closing.enter_context(
            Receiver("127.0.0.1:0", MANIFEST, Settings(keys=keys), decoder=lambda _, __, tasks: [ANSWER for _ in tasks])
        )

    def peer(self, name: str, identity: bytes = b"") -> "zmq.Socket[bytes]":
        """Whoever has that name; the same name has the same key."""
        socket = self.closing.enter_context(make_socket(self.context, zmq.DEALER, "tx"))
        if identity:
            socket.identity = identity
        if self.folder and self.own:
            folder = self.folder / name
            keys = Keys(folder) if folder.exists() else make_keys(folder, name)
            self.own.trust(name, keys.own.public)
            keys.trust("127.0.0.1", self.own.own.public)
            secure_client(socket, keys, self.receiver.address)
        connect(socket, self.receiver.address)
        socket.sndtimeo = 5000
        return socket

    def ask(self, socket: "zmq.Socket[bytes]", message: Message, for_s: float = 2.0) -> list[Message]:
        """What is said to a message; its first answer, or silence for as long."""
        socket.send_multipart(encode(message))
        return [decode(socket.recv_multipart())] if socket.poll(int(1e3 * for_s)) else []

    def opens(self, socket: "zmq.Socket[bytes]", session: bytes, for_s: float = 5.0) -> bool:
        """Says HELLO as transmitters do, until it is accepted."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            for answer in self.ask(socket, hello(session), 0.2):
                if isinstance(answer, Accept):
                    return True
        return False


@pytest.fixture(params=["clear", "keys"])
def bench(request: pytest.FixtureRequest, context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(context, tmp_path if request.param == "keys" else None)
    yield bench
    bench.closing.close()


def test_who_knows_anothers_session_gets_nothing_while_it_is_there(bench: Bench) -> None:
    session = secrets.token_bytes(16)
    alice, mallory = bench.peer("alice"), bench.peer("mallory")
    assert bench.opens(alice, session)
    for theft in (data(session, 0), Ping(session, 1, 0), Bye(session, ByeCode.DONE), hello(session)):
        answers = bench.ask(mallory, theft, 0.08)
        assert all(isinstance(answer, Reject) or answer == Nak(session, 0, 0, NakCode.NO_SESSION) for answer in answers)
        (pong,) = [a for a in [*bench.ask(alice, Ping(session, 2, 0)), *_more(alice)] if isinstance(a, Pong)]
        assert pong.nonce == 2
    (answer,) = bench.ask(alice, data(session, 0))
    assert answer.session == session
    assert mallory.poll(100) == 0


def _more(socket: "zmq.Socket[bytes]") -> list[Message]:
    found = []
    while socket.poll(50):
        found.append(decode(socket.recv_multipart()))
    return found


def test_who_comes_back_on_a_new_connection_goes_on_within_a_second(bench: Bench) -> None:
    session = secrets.token_bytes(16)
    alice = bench.peer("alice")
    assert bench.opens(alice, session)
    assert bench.ask(alice, data(session, 0))
    alice.close(0)
    again, begun = bench.peer("alice"), time.monotonic()
    assert bench.opens(again, session)
    assert time.monotonic() - begun < 1.5
    assert bench.ask(again, data(session, 1))
    (peer,) = bench.receiver.table.peers.values()
    assert (peer.sequence.highest, peer.sequence.lost) == (1, 0)


@pytest.mark.parametrize("bench", ["keys"], indirect=True)
def test_who_takes_the_identity_of_one_that_left_learns_a_session_that_is_no_use(bench: Bench) -> None:
    session = secrets.token_bytes(16)
    alice = bench.peer("alice", identity=b"alice")
    assert bench.opens(alice, session)
    alice.send_multipart(encode(data(session, 0)))
    alice.close(0)
    mallory: zmq.Socket[bytes] = bench.peer("mallory", identity=b"alice")
    assert not bench.opens(mallory, session, 0.9)  # silent, and gone, and at the same identity: but another key
    said: Callable[[Message], list[Message]] = lambda message: bench.ask(mallory, message, 0.1)  # noqa: E731
    assert all(isinstance(answer, Nak | Reject) for answer in [*said(data(session, 1)), *said(Ping(session, 1, 0))])
    assert bench.opens(bench.peer("alice"), session)
