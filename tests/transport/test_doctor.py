"""`--check`: each thing that must be right is looked at by itself, and what is wrong is said with what to do."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from common.errors import ConfigError
from common.transport import doctor
from common.transport.doctor import examine, to_listen, to_peer
from common.transport.endpoints import parse_peer
from common.transport.keystore import Keys, make_keys
from common.transport.listener import Listener
from common.transport.watch import Watch


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 1.0)


def serving(keys: Keys | None) -> Iterator[str]:
    """Somebody who listens as a receiver does; the address."""
    context = zmq.Context[zmq.Socket[bytes]]()
    listener = Listener(context, "rx", "tcp://127.0.0.1:0", keys)
    watch, over = Watch(), threading.Event()
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
    assert lines[2:] == ["2 of 2 ways are blocked; mend what says FAIL"]


def test_nobody_there_and_somebody_who_does_not_speak(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        assert examine([to_peer(address, None, "scrx", "--peer")]) == 1
        assert "FAIL  --peer handshake: what listens there does not answer" in said(capsys)[2]
        assert examine([[to_listen(address)]]) == 1
        assert said(capsys)[0].startswith("FAIL  --listen port: ")
    assert examine([to_peer(address, None, "scrx", "--peer")]) == 1
    assert "start scrx there" in said(capsys)[1]
    assert examine([[to_listen(address)]]) == 0


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
