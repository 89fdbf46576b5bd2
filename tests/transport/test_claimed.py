"""The file of a local socket: one process's at a time, gone when that ends, and never taken from another that runs."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.raw import RawWire
from common.errors import ConfigError
from common.transport import claimed as module
from common.transport.claimed import Claim, check_free
from common.transport.listener import Listener
from common.transport.sockets import bind, make_socket
from training.lab.processes import Command

BARE = Path(__file__).parents[1] / "integration" / "bare_receiver.py"
Context = zmq.Context[zmq.Socket[bytes]]


def hears(context: Context, listener: Listener) -> bool:
    with make_socket(context, zmq.DEALER, "tx") as dealer:
        dealer.connect(listener.address)
        dealer.setsockopt(zmq.SNDTIMEO, 5000)
        dealer.send(b"hello")
        return bool(listener.socket.poll(5000)) and listener.socket.recv_multipart()[1:] == [b"hello"]


def test_a_port_that_was_a_file_leaves_nothing_and_nobody_takes_it_before(context: Context, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/link"
    listener = Listener(context, "rx", address)
    for again in (lambda: Listener(context, "emu", address), lambda: check_free(address)):
        with pytest.raises(ConfigError, match=r"listen: cannot listen on .*: another process does; choose another"):
            again()
    assert hears(context, listener)
    listener.reopen()  # as after a flood: another socket, the same file
    assert hears(context, listener)
    listener.close()
    assert list(tmp_path.iterdir()) == []
    check_free(address)
    assert list(tmp_path.iterdir()) == []


def test_both_ends_of_a_raw_wire_that_are_bound_leave_nothing(context: Context, tmp_path: Path) -> None:
    RawWire(context, Channel(ChannelSpec()), f"ipc://{tmp_path}/in", f"@ipc://{tmp_path}/out").close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="no/such/out"):
        RawWire(context, Channel(ChannelSpec()), f"ipc://{tmp_path}/in", f"@ipc://{tmp_path}/no/such/out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_left_that_was_killed_is_taken_over(context: Context, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/link"
    script = "import os, zmq; from common.transport.listener import Listener; "
    script += f"Listener(zmq.Context(), 'rx', {address!r}); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "link.lock"]
    check_free(address)
    listener = Listener(context, "rx", address)
    assert hears(context, listener)
    listener.close()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_of_a_program_that_knows_no_locks_is_not_taken_from_it(context: Context, tmp_path: Path) -> None:
    with make_socket(context, zmq.ROUTER, "rx") as theirs:
        bind(theirs, address := f"ipc://{tmp_path}/link")
        with pytest.raises(ConfigError, match="another process does"):
            Listener(context, "rx", address)
        assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_who_was_robbed_takes_nothing_away(context: Context, tmp_path: Path) -> None:
    """ZeroMQ puts its file in the place of one that is there: what is there at the end may be another's."""
    listener = Listener(context, "rx", address := f"ipc://{tmp_path}/link")
    with make_socket(context, zmq.ROUTER, "rx") as theirs:
        bind(theirs, address)
        listener.close()
        assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_lock_that_is_taken_away_while_it_is_asked_for_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, times = tmp_path / "link.lock", []

    def late(number: int, how: int) -> None:
        times.append(number)
        if len(times) == 1:  # whoever had it ends just now
            lock.unlink()
        fcntl.flock(number, how)

    ours = SimpleNamespace(flock=late, LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB)
    monkeypatch.setattr(module, "fcntl", ours)
    claim = Claim(f"ipc://{tmp_path}/link")
    assert len(times) == 2
    with pytest.raises(ConfigError, match="another process does"):
        Claim(f"ipc://{tmp_path}/link")
    claim.release()
    claim.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["ipc://@semlink-test", "ipc://*", "tcp://127.0.0.1:0"])
def test_what_is_no_file_of_ours_has_no_lock(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    claim = Claim(address)
    with make_socket(context, zmq.ROUTER, "rx") as socket:
        assert claim.bind(socket).startswith(address.rstrip("*0"))
    claim.release()
    assert list(tmp_path.glob("*.lock")) == []


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years")
    for again in (Claim, check_free):
        with pytest.raises(ConfigError, match="is there and is no socket"):
            again(f"ipc://{tmp_path}/thesis")
    assert (tmp_path / "thesis").read_text() == "years"


def test_commands_that_end_leave_nothing(tmp_path: Path) -> None:
    rx, emu, control = (f"ipc://{tmp_path}/{name}" for name in ("rx", "emu", "control"))
    receiver = Command("python", str(BARE), rx)
    with receiver, Command("channel-emu", "--listen", emu, "--upstream", rx, "--control", control) as emulator:
        for one in (receiver, emulator):
            one.wait_for("listening on ipc://")
            assert one.stop() == 0, one.said
    assert list(tmp_path.iterdir()) == []
