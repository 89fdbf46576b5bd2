"""Whatever addresses a peer's name has, the one that answers is found, and found again where it moves."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import zmq

from common.errors import ConfigError
from common.transport import dialer as module
from common.transport import memory
from common.transport.dialer import Dialer
from common.transport.keystore import make_keys
from common.transport.listener import Listener
from common.transport.monitor import CLOSES_IN_THE_CLEAR, REFUSED_OTHER
from common.transport.sockets import bind, make_socket

Context = zmq.Context[zmq.Socket[bytes]]


class Bench:
    """A dialer of "many.test" whose addresses the test says; hosts that listen are 127.0.0.2 and others like it."""

    def __init__(self, context: Context, port: int) -> None:
        self.context, self.port = context, port
        self.stands_for: list[str] = []
        self.closing = ExitStack()

    def call(self, keys: object = None) -> Dialer:
        self.dialer = Dialer(
            self.context, "tx", f"tcp://many.test:{self.port}", keys, find=lambda host, port: list(self.stands_for)
        )
        self.closing.callback(lambda: self.dialer.close())
        return self.dialer

    def at(self, host: str) -> str:
        return f"tcp://{host}:{self.port}"

    def listen(self, host: str) -> "zmq.Socket[bytes]":
        router = self.closing.enter_context(make_socket(self.context, zmq.ROUTER, "rx"))
        bind(router, self.at(host))
        return router

    def until(self, happened: Callable[[], object], limit_s: float = 8.0) -> float:
        begun = time.monotonic()
        while not happened():
            assert time.monotonic() - begun < limit_s, self.dialer.found
            self.dialer.serve()
            time.sleep(0.005)
        return time.monotonic() - begun

    def gets_through(self, router: "zmq.Socket[bytes]") -> bool:
        self.until(lambda: self.dialer.connected)
        self.dialer.socket.send(b"hello", zmq.NOBLOCK)
        return bool(router.poll(5000)) and router.recv_multipart()[1:] == [b"hello"]


@pytest.fixture
def bench(context: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("PATIENCE_S", "ASK_EVERY_S"):
        monkeypatch.setattr(module, name, 0.1)
    bench = Bench(context, free_port())
    yield bench
    bench.closing.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ALL = ["127.0.0.2", "127.0.0.3", "[::1]"]


@pytest.mark.parametrize("only", ALL)
def test_every_address_of_a_name_is_tried(bench: Bench, only: str) -> None:
    bench.stands_for = [bench.at(host) for host in ALL]
    router = bench.listen(only)
    bench.call()
    assert bench.gets_through(router)


def test_the_real_localhost_is_both_of_its_addresses(context: Context) -> None:
    with make_socket(context, zmq.ROUTER, "rx") as router:
        port = bind(router, "tcp://[::1]:0").rpartition(":")[2]
        dialer, until = Dialer(context, "tx", f"tcp://localhost:{port}"), time.monotonic() + 8
        while not dialer.connected and time.monotonic() < until:
            dialer.serve()
            time.sleep(0.005)
        assert dialer.connected
        dialer.close()


def test_who_listens_later_is_found_wherever_it_is_and_a_name_may_move(bench: Bench) -> None:
    bench.stands_for = [bench.at("127.0.0.2"), bench.at("127.0.0.3")]
    dialer = bench.call()
    bench.until(lambda: "127.0.0.3" in dialer.found)
    late = bench.listen("127.0.0.3")
    assert bench.gets_through(late)
    bench.stands_for = [bench.at("127.0.0.4")]
    moved = bench.listen("127.0.0.4")
    late.close(0)
    bench.until(lambda: not dialer.connected)
    assert bench.gets_through(moved)
    assert dialer.connections == 2


def test_a_connection_that_stands_is_left_alone(bench: Bench) -> None:
    bench.stands_for = [bench.at("127.0.0.2"), bench.at("127.0.0.3")]
    routers = [bench.listen("127.0.0.2"), bench.listen("127.0.0.3")]
    dialer = bench.call()
    bench.until(lambda: dialer.connected)
    first, begun = dialer.socket, time.monotonic()
    bench.until(lambda: time.monotonic() - begun > 0.4)  # longer than any patience
    assert dialer.socket is first
    assert not routers[1].poll(0)


def test_what_speaks_something_else_at_one_address_is_passed_over(bench: Bench) -> None:
    other = bench.closing.enter_context(bench.context.socket(zmq.ROUTER))
    other.curve_server, other.curve_secretkey = True, zmq.curve_keypair()[1]
    other.bind(bench.at("127.0.0.2"))
    bench.stands_for = [bench.at("127.0.0.2"), bench.at("127.0.0.3")]
    router = bench.listen("127.0.0.3")
    dialer = bench.call()
    assert bench.gets_through(router)
    assert dialer.refusal == ""


def test_a_refusal_at_all_addresses_is_one(bench: Bench) -> None:
    for host in ("127.0.0.2", "127.0.0.3"):
        other = bench.closing.enter_context(bench.context.socket(zmq.ROUTER))
        other.curve_server, other.curve_secretkey = True, zmq.curve_keypair()[1]
        other.bind(bench.at(host))
        bench.stands_for.append(bench.at(host))
    dialer = bench.call()
    bench.until(lambda: dialer.refusal)
    assert dialer.refusal != REFUSED_OTHER


def test_who_has_no_keys_is_not_told_of_keys(bench: Bench) -> None:
    with socket.create_server(("127.0.0.2", bench.port)) as closes:
        closes.settimeout(0)
        bench.stands_for = [bench.at("127.0.0.2")]
        dialer = bench.call()

        def suspected() -> str:
            with suppress(BlockingIOError):
                closes.accept()[0].close()
            return dialer.suspicion

        bench.until(suspected)
    assert dialer.suspicion == CLOSES_IN_THE_CLEAR


def test_what_is_there_is_told(bench: Bench) -> None:
    dialer = bench.call()
    assert dialer.found == "nobody here knows a host many.test"
    bench.stands_for = [bench.at("127.0.0.2"), bench.at("[::1]")]
    both = ", ".join(one.removeprefix("tcp://") for one in bench.stands_for)
    bench.until(lambda: dialer.found == f"nothing listens at {both}, or no way leads there")
    with socket.create_server(("127.0.0.2", bench.port)):
        bench.until(lambda: "it is stopped, or speaks something else" in dialer.found)
    bench.listen("127.0.0.2")
    bench.until(lambda: dialer.found == "it is connected")


def test_a_name_that_takes_long_to_be_known_holds_nothing_up(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    enough, known = threading.Event(), threading.Event()

    def slow(host: str, port: int) -> list[str]:
        enough.wait(60)
        known.set()
        return []

    dialer = Dialer(context, "tx", "tcp://slow.test:5", find=slow)
    for _ in range(10):
        dialer.serve()
    assert not known.is_set()
    enough.set()
    dialer.close()


def test_the_key_is_that_of_the_name_whatever_the_address(bench: Bench, tmp_path: Path) -> None:
    server, client = (make_keys(tmp_path / name, name) for name in ("server", "client"))
    server.trust("client", client.own.public)
    client.trust("many.test", server.own.public)
    listener = Listener(bench.context, "rx", bench.at("127.0.0.3"), server)
    bench.closing.callback(listener.close)
    poller = zmq.Poller()
    listener.watch(poller)
    bench.stands_for = [bench.at("127.0.0.2"), bench.at("127.0.0.3")]
    dialer = bench.call(client)
    bench.until(lambda: listener.serve(dict(poller.poll(0))) or dialer.connected)
    with pytest.raises(ConfigError, match=r"no trusted key for other\.test"):
        Dialer(bench.context, "tx", "tcp://other.test:5", client)


def test_a_peer_that_makes_us_grow_is_cut_and_the_connection_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = [100 << 20]
    monkeypatch.setattr(memory, "own_bytes", lambda: held[0])
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    bench.stands_for = [bench.at("127.0.0.2")]
    router = bench.listen("127.0.0.2")
    dialer, poller = bench.call(), zmq.Poller()
    dialer.watch(poller)
    assert bench.gets_through(router)
    old, held[0] = dialer.socket, held[0] + memory.MEMORY_STEP + 1
    bench.until(lambda: dialer.socket is not old)
    held[0] = 100 << 20
    assert old.closed
    assert "memory_grown" in caplog.messages
    assert bench.gets_through(router)
    assert dialer.connections == 2
    assert [socket for socket, _ in poller.sockets] == [dialer.socket]
