"""Sessions that come and go leave nothing behind, in the receiver nor in the emulator."""

import gc
import secrets
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import zmq

import scrx
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.proxy import Proxy
from common.pair.manifest import find_pair
from common.protocol.frames import decode, encode
from common.protocol.messages import VERSION, Accept, Bye, ByeCode, Data, Hello, Message, Result
from common.transport.memory import own_bytes
from common.transport.sockets import connect, make_socket

MANIFEST = find_pair("digits")
LAYOUT = MANIFEST.layout
SYMBOLS = np.exp(1j * np.arange(LAYOUT.frame_symbols(0, 0))).astype("<c8").tobytes()
ANSWER = {"classify": {"index": 1, "name": "1", "confidence": 1.0}}


class Chain:
    """A receiver whose decoder computes nothing, and an emulator before it, in this process."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.context = context
        self.receiver = scrx.Receiver("0", MANIFEST.path, decoder=lambda symbols, gamma, tasks: [ANSWER for _ in tasks])
        channel = Channel(ChannelSpec(snr_db=20.0, fading="rayleigh"))
        self.proxy = Proxy(context, channel, "tcp://127.0.0.1:0", self.receiver.address)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._forward)
        self._thread.start()

    def _forward(self) -> None:
        while not self._stop.is_set():
            self.proxy.step()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.proxy.close()
        self.receiver.close()

    def live(self, sessions: int, of_a_connection: int = 10) -> None:
        """So many sessions of two images each, some after one another on a connection, the last without goodbye."""
        for _ in range(0, sessions, of_a_connection):
            with make_socket(self.context, zmq.DEALER, "tx") as socket:
                connect(socket, self.proxy.address)
                for _ in range(of_a_connection):
                    self._session(socket)

    def _session(self, socket: "zmq.Socket[bytes]") -> None:
        session, stream = secrets.token_bytes(16), secrets.randbits(32)
        hello = Hello(session, VERSION, VERSION, "test", bytes.fromhex(MANIFEST.id), (0,), (), 0)
        assert isinstance(self._ask(socket, hello), Accept)
        for seq in range(2):
            place = LAYOUT.air_start(seq, 0)
            n = len(SYMBOLS) // 8
            data = Data(session, seq, stream, place, 0, 0, 0, 0, n, 0, 60_000, 0, SYMBOLS)
            assert isinstance(self._ask(socket, data), Result)
        if secrets.randbelow(10):
            socket.send_multipart(encode(Bye(session, ByeCode.DONE)))

    def _ask(self, socket: "zmq.Socket[bytes]", message: Message) -> Message:
        for _ in range(20):
            socket.send_multipart(encode(message))
            while socket.poll(500):
                answer = decode(socket.recv_multipart())
                if answer.session == message.session and isinstance(answer, Accept | Result):
                    return answer
        raise AssertionError("no answer")

    def kept(self) -> dict[str, int]:
        """What is held for sessions, here and there."""
        table, batcher, demodulator = self.receiver.table, self.receiver._batcher, self.receiver._demodulator
        return {
            "peers": len(table.peers), "strangers": len(table._strangers), "asked": len(table._asked),
            "known": len(batcher._known), "tracked": len(demodulator._trackers), "streams": len(self.proxy._streams),
        }  # fmt: skip


@pytest.fixture
def chain(context: "zmq.Context[zmq.Socket[bytes]]") -> Iterator[Chain]:
    chain = Chain(context)
    yield chain
    chain.close()


LIMITS = {"peers": 64, "strangers": 256, "asked": 1024, "known": 65, "tracked": 66, "streams": 4096}


def test_sessions_that_come_and_go_leave_nothing(chain: Chain) -> None:
    chain.live(60)
    kept = chain.kept()
    assert all(kept[name] <= limit for name, limit in LIMITS.items()), kept
    assert chain.receiver.answered == 120


@pytest.mark.full
@pytest.mark.timeout(900)
def test_ten_thousand_sessions_leave_the_memory_flat(chain: Chain) -> None:
    chain.live(5000)  # by then every table that is bounded is full
    gc.collect()
    before, begun = own_bytes(), time.monotonic()
    chain.live(10_000)
    gc.collect()
    grown, kept = own_bytes() - before, chain.kept()
    print(f"{time.monotonic() - begun:.0f} s, grown by {grown / 2**20:.1f} MiB, {kept}")
    assert all(kept[name] <= limit for name, limit in LIMITS.items()), kept
    assert grown < 8 << 20
