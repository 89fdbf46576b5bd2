"""What systemd hears: ready once it is, fed by progress and by nothing else."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.live.board import About, Board
from common.live.supervised import Supervisor, supervisor


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def test_a_supervisor_hears_ready_progress_and_the_end(heard: socket.socket, tmp_path: Path) -> None:
    why = {"stuck": "", "away": ""}
    over = threading.Event()
    board = Board(About("scrx", "1"), lambda: ({}, {}), lambda: why["stuck"], lambda: why["away"])

    def loop() -> None:
        while not over.wait(0.02):
            board.turned()

    thread = threading.Thread(target=loop)
    thread.start()
    told = Supervisor(str(tmp_path / "notify"), watchdog_s=0.15)
    try:
        told.watch(board)
        assert heard.recv(1000) == b"READY=1"
        assert heard.recv(1000) == b"STATUS=ready\nWATCHDOG=1"
        why["away"] = "no receiver is heard"  # a restart would not help
        assert b"STATUS=no receiver is heard\nWATCHDOG=1" in {heard.recv(1000) for _ in range(3)}
        why["stuck"] = "work has waited"
        assert b"STATUS=work has waited" in {heard.recv(1000) for _ in range(5)}
        assert b"WATCHDOG" not in heard.recv(1000)
        why["stuck"] = why["away"] = ""
        assert b"STATUS=ready\nWATCHDOG=1" in {heard.recv(1000) for _ in range(5)}
    finally:
        told.close()
        over.set()
        thread.join()
    said = b""
    while said != b"STOPPING=1":
        said = heard.recv(1000)


@pytest.mark.parametrize("address", ["", "relative", "vsock:1:2"])
def test_without_a_socket_there_is_nobody_to_tell(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert supervisor() is None


def test_a_supervisor_that_left_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    found = supervisor()
    assert found is not None
    found.close()
