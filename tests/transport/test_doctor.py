"""`--check`: each thing that must be right is looked at by itself, and what is wrong is said with what to do."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.proxy import Proxy
from common.errors import ConfigError
from common.protocol.frames import decode, encode, split
from common.protocol.messages import Nak, NakCode
from common.transport import doctor
from common.transport.doctor import Home, Note, examine, to_peer, who_is_at
from common.transport.endpoints import parse_peer
from common.transport.keystore import Keys, make_keys
from common.transport.listener import Listener
from common.transport.waiting.watch import Watch


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 1.0)


def serving(keys: Keys | None) -> Iterator[str]:
    """Somebody who listens as a receiver does; the address."""
    context = zmq.Context[zmq.Socket[bytes]]()
    listener = Listener(context, "rx", "tcp://127.0.0.1:0", keys)
    watch, over = Watch(context), threading.Event()
    listener.watch(watch)

    def serve() -> None:
        while not over.is_set():
            listener.serve(watch.wait(20))

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.address
    over.set()
    thread.join()
    listener.close()
    context.destroy(linger=0)


@pytest.fixture
def plain() -> Iterator[str]:
    yield from serving(None)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_what_is_well_is_said_line_by_line(plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine([[("--model", lambda: "digits")], to_peer(plain, None, "scrx", "--peer")]) == 0
    lines = said(capsys)
    assert [line.split(":")[0] for line in lines[:-1]] == [
        "ok    --model", "ok    --peer name", "ok    --peer port", "ok    --peer handshake"
    ]  # fmt: skip
    assert lines[-1] == "all is well"


def test_what_is_wrong_ends_its_own_way_only_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> str:
        raise ConfigError("no such pair")

    address = parse_peer("no-such-host.invalid:5555")
    assert examine([[("--model", wrong), ("never", wrong)], to_peer(address, None, "scrx", "--peer")]) == 1
    lines = said(capsys)
    assert lines[0] == "FAIL  --model: no such pair"
    assert lines[1].startswith("FAIL  --peer name: nobody here knows a host no-such-host.invalid: mend")
    assert lines[2:] == ["2 of 2 checks failed; mend what says FAIL"]


def test_nobody_there_and_somebody_who_does_not_speak(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        assert examine([to_peer(address, None, "scrx", "--peer")]) == 1
        assert "FAIL  --peer handshake: what listens there does not answer" in said(capsys)[2]
        assert examine([[Home("scrx").port(lambda: address, lambda: None)]]) == 1
        lines = said(capsys)
        assert lines[0].startswith("FAIL  --listen port: ")
        assert lines[1] == "1 of 1 checks failed; mend what says FAIL"
    assert examine([to_peer(address, None, "scrx", "--peer")]) == 1
    assert "start scrx there" in said(capsys)[1]
    assert examine([[Home("scrx").port(lambda: address, lambda: None)]]) == 0


def test_keys_on_one_side_and_keys_that_are_not_trusted(
    plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = make_keys(tmp_path / "ours", "tx"), make_keys(tmp_path / "theirs", "rx")
    ours.trust("127.0.0.1", theirs.own.public)
    assert examine([to_peer(plain, ours, "scrx", "--peer")]) == 1
    told = said(capsys)[2]  # libzmq tells the one or the other first
    assert told.endswith("or it was started without keys") or "one side encrypts and the other does not" in told
    for trusted, code, word in ((False, 1, "it does not trust this host's key"), (True, 0, "encrypted")):
        if trusted:
            theirs.trust("tx", ours.own.public)
        for address in serving(theirs):
            assert examine([to_peer(address, ours, "scrx", "--peer")]) == code
            assert word in said(capsys)[2]
            time.sleep(0.01)


@contextmanager
def turning(turn: Callable[[], object], *closes: Callable[[], object]) -> Iterator[None]:
    """Somebody who takes turns in a thread of his own, and is closed afterwards."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            turn()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for close in closes:
            close()


@contextmanager
def emulator(keys: Keys | None, listen: str = "tcp://127.0.0.1:0") -> Iterator[str]:
    """A real one with nobody behind it; its address."""
    context = zmq.Context[zmq.Socket[bytes]]()
    proxy = Proxy(context, Channel(ChannelSpec()), listen, "tcp://127.0.0.1:9", keys=keys)
    with turning(lambda: proxy.step(20), proxy.close, lambda: context.destroy(linger=0)):
        yield proxy.address


@contextmanager
def answering(code: NakCode) -> Iterator[str]:
    """Somebody who answers every frame with this NAK; the address."""
    context = zmq.Context[zmq.Socket[bytes]]()
    listener = Listener(context, "rx", "tcp://127.0.0.1:0")

    def turn() -> None:
        if listener.socket.poll(20):
            envelope, body = split(listener.socket.recv_multipart())
            asked = decode(body)
            nak = encode(Nak(asked.session, asked.seq, 0, code))  # type: ignore[union-attr]
            listener.socket.send_multipart([*envelope, *nak])

    with turning(turn, listener.close, lambda: context.destroy(linger=0)):
        yield listener.address


@pytest.mark.parametrize("kind", ["tcp", "ipc", "every interface", "keys"])
def test_an_emulator_that_runs_already_is_noted_and_not_disturbed(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    keys = make_keys(tmp_path / "keys", "emu") if kind == "keys" else None
    listen = {"ipc": f"ipc://{tmp_path}/emu", "every interface": "tcp://*:0"}.get(kind, "tcp://127.0.0.1:0")
    with caplog.at_level(logging.WARNING, "common.channel"), emulator(keys, listen) as address:
        home = Home("channel-emu")
        steps = [home.port(lambda: address, lambda: keys), home.own("--control port", lambda: "free")]
        assert examine([[step] for step in steps]) == 0
        assert said(capsys) == [
            f"note  --listen port: channel-emu runs at {address} already",
            "note  --control port: not looked at: the channel-emu that runs there may have it",
            "all is well",
        ]
        assert examine([[Home("scrx").port(lambda: address, lambda: keys)]]) == 1, "it is no receiver"
    assert not [record for record in caplog.records if record.message == "refused"]


def test_who_is_there_is_known_by_the_answer_and_by_nothing_less(plain: str) -> None:
    for code, what in ((NakCode.NO_SESSION, "scrx"), (NakCode.BAD_SYMBOLS, "channel-emu"), (NakCode.OVER_WINDOW, "")):
        with answering(code) as address:
            assert who_is_at(address, None) == what
    assert who_is_at(plain, None) == "", "a handshake alone says nothing"


def test_who_has_the_address_of_another_host_is_not_one_that_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(NakCode.NO_SESSION) as address:
        monkeypatch.setattr(doctor, "is_here", lambda _: False)
        assert who_is_at(address, None) == ""


def test_a_port_that_is_free_cannot_be_had_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    home, other = Home("scrx"), Home("scrx")
    another = other.port(lambda: address, lambda: None)
    looks: list[tuple[str, Callable[[], str]]] = [
        home.port(lambda: address, lambda: None),
        home.own("--http", another[1]),
    ]
    assert examine([[look] for look in looks]) == 1
    assert said(capsys)[1].startswith("FAIL  --http: ")
    assert examine([[another]]) == 0, "nothing is kept"


def test_a_note_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine([[("receiver", lambda: Note("not asked")), ("--model", lambda: "digits")]]) == 0
    assert said(capsys) == ["note  receiver: not asked", "ok    --model: digits", "all is well"]
