"""Only trusted keys come in, in both directions, and whoever is refused is told."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from common.errors import ConfigError
from common.transport.curve import DOMAIN, Doorman, secure_client, secure_server
from common.transport.keystore import Keys, make_keys
from common.transport.listener import Listener
from common.transport.monitor import CLOSES, REFUSED_KEY, REFUSED_MECHANISM, REFUSED_OTHER, Monitor
from common.transport.sockets import bind, connect, make_socket

Context = zmq.Context[zmq.Socket[bytes]]


class Client:
    """A DEALER with its monitor."""

    def __init__(self, context: Context, address: str, keys: Keys | None) -> None:
        self.socket = make_socket(context, zmq.DEALER, "tx")
        if keys:
            secure_client(self.socket, keys, address)
        self.monitor = Monitor(self.socket)
        connect(self.socket, address)

    def can_send(self) -> bool:
        return bool(self.socket.getsockopt(zmq.EVENTS) & zmq.POLLOUT)

    def close(self) -> None:
        self.monitor.close()
        self.socket.close(0)


class Bench:
    """A listener in this thread, and clients before it; `until` runs the listener."""

    def __init__(self, context: Context, tmp_path: Path) -> None:
        self.context, self.tmp_path = context, tmp_path
        self.keys = make_keys(tmp_path / "rx", "rxhost")
        self.listener: Listener | None = None
        self.clients: list[Client] = []

    def listen(self, keys: Keys | None) -> Listener:
        self.listener, self.poller = Listener(self.context, "rx", "tcp://127.0.0.1:0", keys), zmq.Poller()
        self.listener.watch(self.poller)
        return self.listener

    def client(self, keys: Keys | None) -> Client:
        assert self.listener is not None
        self.clients.append(Client(self.context, self.listener.address, keys))
        return self.clients[-1]

    def stranger(self, name: str = "txhost") -> Keys:
        """The keys of a host that takes the listener's host for the one it knows as 127.0.0.1."""
        keys = make_keys(self.tmp_path / name, name)
        keys.trust("127.0.0.1", self.keys.own.public)
        return keys

    def until(self, happened: Callable[[], object]) -> None:
        assert self.listener is not None
        for _ in range(1000):
            for client in self.clients:
                client.monitor.drain()
            if happened():
                return
            self.listener.serve(dict(self.poller.poll(10)))
        pytest.fail("it did not happen")

    def heard(self) -> bytes:
        assert self.listener is not None
        listener = self.listener
        self.until(lambda: listener.socket.poll(0))
        return listener.socket.recv_multipart()[1]


@pytest.fixture
def bench(context: Context, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(context, tmp_path)
    yield bench
    for client in bench.clients:
        client.close()
    if bench.listener:
        bench.listener.close()


def test_a_trusted_key_comes_in(bench: Bench) -> None:
    bench.listen(bench.keys)
    friend = bench.stranger()
    bench.keys.trust("txhost", friend.own.public)
    client = bench.client(friend)
    bench.until(client.can_send)
    client.socket.send(b"hello")
    assert bench.heard() == b"hello"
    assert (client.monitor.refusal, client.monitor.suspicion) == ("", "")


def test_on_one_host_its_own_key_is_enough(bench: Bench) -> None:
    bench.listen(bench.keys)
    bench.until(bench.client(Keys(bench.keys.folder)).can_send)


def test_a_key_that_is_not_trusted_is_refused_and_both_sides_say_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.listen(bench.keys)
    stranger = bench.stranger()
    client = bench.client(stranger)
    bench.until(lambda: client.monitor.refusal)
    assert client.monitor.refusal == REFUSED_KEY
    (told,) = [record for record in caplog.records if record.getMessage() == "key_refused"]
    assert vars(told)["who"] == f"unknown key {stranger.own.public.hex()[:12]}"
    assert vars(told)["address"] == "127.0.0.1"
    assert not client.can_send()


def test_a_server_with_another_key_than_the_trusted_one_gets_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.listen(bench.keys)
    client = bench.client(make_keys(bench.tmp_path / "tx", "txhost"))  # expects its own key at 127.0.0.1
    bench.until(lambda: client.monitor.suspicion)
    assert (client.monitor.suspicion, client.monitor.refusal) == (CLOSES, "")
    assert {"handshakes_ended_by_peer", "handshake_failed_protocol"} <= {r.getMessage() for r in caplog.records}


@pytest.mark.parametrize("server_has_keys", [True, False])
def test_one_side_in_the_clear_is_refused(bench: Bench, server_has_keys: bool) -> None:
    bench.listen(bench.keys if server_has_keys else None)
    client = bench.client(None if server_has_keys else bench.stranger())
    bench.until(lambda: client.monitor.refusal)
    assert client.monitor.refusal == REFUSED_MECHANISM


def test_a_key_that_is_forgotten_loses_its_connection_and_the_others_come_back(bench: Bench) -> None:
    listener = bench.listen(bench.keys)
    friends = [bench.stranger(f"tx{n}") for n in range(2)]
    for friend in friends:
        bench.keys.trust(friend.own.name, friend.own.public)
    clients = [bench.client(friend) for friend in friends]
    bench.until(lambda: all(client.can_send() for client in clients))
    address = listener.address
    Keys(bench.keys.folder).forget("tx0")  # another process edits the list
    bench.until(lambda: clients[0].monitor.refusal)
    assert clients[0].monitor.refusal == REFUSED_KEY
    bench.until(clients[1].can_send)
    clients[1].socket.send(b"still here")
    assert bench.heard() == b"still here"
    assert listener.address == address


def test_a_key_that_is_added_is_let_in_without_cutting_anybody(bench: Bench) -> None:
    listener = bench.listen(bench.keys)
    bench.until(bench.client(Keys(bench.keys.folder)).can_send)
    socket, late = listener.socket, bench.stranger()
    Keys(bench.keys.folder).trust("txhost", late.own.public)
    bench.until(bench.client(late).can_send)
    assert listener.socket is socket


def test_without_a_doorman_nobody_comes_in(context: Context, tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", "here")
    with make_socket(context, zmq.ROUTER, "rx") as router:
        secure_server(router, keys)
        client = Client(context, bind(router, "tcp://127.0.0.1:0"), keys)
        while not client.monitor.suspicion:  # the server ends every handshake
            assert client.monitor.socket.poll(5000)
            client.monitor.drain()
            assert not client.can_send()
        client.close()


@pytest.mark.parametrize(
    ("domain", "mechanism", "credentials", "code"),
    [
        (DOMAIN, b"CURVE", ["own"], b"200"),
        (b"", b"CURVE", ["own"], b"400"),
        (b"other", b"CURVE", ["own"], b"400"),
        (DOMAIN, b"NULL", [], b"400"),
        (DOMAIN, b"PLAIN", ["own", "own"], b"400"),
        (DOMAIN, b"CURVE", [], b"400"),
    ],
)
def test_the_doorman_looks_at_domain_and_mechanism_as_well(
    context: Context, tmp_path: Path, domain: bytes, mechanism: bytes, credentials: list[str], code: bytes
) -> None:
    keys = make_keys(tmp_path / "keys", "here")
    doorman = Doorman(context, keys)
    with context.socket(zmq.REQ) as asking:
        asking.connect("inproc://zeromq.zap.01")
        asking.send_multipart([b"1.0", b"7", domain, b"::1", b"", mechanism, *(keys.own.public for _ in credentials)])
        assert doorman.socket.poll(5000)
        doorman.serve()
        assert asking.recv_multipart()[1:3] == [b"7", code]
    doorman.close()


def test_a_flood_of_refused_keys_is_a_few_lines_in_bounded_memory(
    context: Context, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    doorman = Doorman(context, make_keys(tmp_path / "keys", "here"), lambda: now[0])
    for second in (0, 30, 60):
        now[0] = second
        doorman._tell(b"k" * 32, b"::1")
    assert len(caplog.records) == 2
    for n in range(1000):
        doorman._tell(n.to_bytes(32, "big"), b"::1")
    assert len(doorman._told) == 256
    doorman.close()


def test_a_host_without_a_trusted_key_is_told_before_anything_is_sent(context: Context, tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", "here")
    with make_socket(context, zmq.DEALER, "tx") as dealer, pytest.raises(ConfigError, match="no trusted key for rx"):
        secure_client(dealer, keys, "tcp://rxhost:5555")


class Events:
    """Feeds a monitor with events under a clock of its own."""

    def __init__(self, context: Context) -> None:
        self.now = 0.0
        self.socket = make_socket(context, zmq.DEALER, "tx")
        self.monitor = Monitor(self.socket, lambda: self.now)

    def handshake(self, end: int, value: int = 0, after_s: float = 0.01) -> None:
        self.monitor._judge(zmq.EVENT_CONNECTED, 0, self.now)
        self.now += after_s
        self.monitor._judge(end, value, self.now)


@pytest.fixture
def events(context: Context) -> Iterator[Events]:
    events = Events(context)
    yield events
    events.monitor.close()
    events.socket.close(0)


def test_handshakes_that_run_into_a_timeout_are_no_reason_for_suspicion(events: Events) -> None:
    for _ in range(20):
        events.handshake(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, after_s=2.0)
    assert events.monitor.suspicion == ""


def test_five_handshakes_that_the_peer_ends_are_suspicious_until_one_succeeds(events: Events) -> None:
    for _ in range(4):
        events.handshake(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    assert events.monitor.suspicion == ""
    events.handshake(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    assert events.monitor.suspicion == CLOSES
    events.handshake(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    assert events.monitor.suspicion == ""


@pytest.mark.parametrize(("value", "refusal"), [(300, ""), (400, REFUSED_KEY), (500, REFUSED_KEY)])
def test_a_temporary_failure_of_the_other_side_is_no_refusal(events: Events, value: int, refusal: str) -> None:
    events.handshake(zmq.EVENT_HANDSHAKE_FAILED_AUTH, value)
    assert events.monitor.refusal == refusal


def test_what_is_no_peer_at_all_is_told(events: Events) -> None:
    events.handshake(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, 0x10000000)
    assert events.monitor.refusal == REFUSED_OTHER


def test_a_flood_of_failed_handshakes_is_one_line_a_second(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    now = [0.0]
    with make_socket(context, zmq.ROUTER, "rx") as router:
        monitor = Monitor(router, lambda: now[0])
        port = int(bind(router, "tcp://127.0.0.1:0").rpartition(":")[2])
        for second in (0.0, 5.0):
            now[0] = second
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port)) as raw:
                    raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    raw.settimeout(5)
                    raw.recv(64)
            until = time.monotonic() + 5
            while monitor.socket.poll(200) and time.monotonic() < until:
                monitor.drain()
        monitor.close()
    assert 2 <= len(caplog.records) <= 4
