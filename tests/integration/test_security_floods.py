"""Floods from strangers, in the clear: memory stays bounded and a well-behaved transmitter finishes its images.

With `-s` each flood tells how long the answers took meanwhile, and what one cost the process that is flooded.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.transport.memory import MEMORY_STEP
from tests.bench.bench_seen import processor_s
from tests.integration.fleet import Fleet
from training.lab.processes import Command

BARE, FLOODER = (str(Path(__file__).with_name(name)) for name in ("bare_receiver.py", "flooder.py"))
ENDLESS = r"""
import socket, sys, threading
READY = b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER"
PART = b"\x03" + (1 << 16).to_bytes(8, "big") + bytes(1 << 16)
def serve(peer):
    try:
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\0" + b"NULL".ljust(20, b"\0") + bytes(32))
        peer.recv(64, socket.MSG_WAITALL)
        peer.sendall(b"\x04" + bytes([len(READY)]) + READY)
        peer.recv(1)
        while True:
            peer.sendall(PART)
    except OSError:
        pass
server = socket.create_server(("127.0.0.1", 0))
print("listening on x:%d" % server.getsockname()[1], file=sys.stderr, flush=True)
while True:
    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
"""
"""Whoever is connected to answers with messages that never end."""
KINDS = (
    "hellos", "sessions", "strangers", "garbage", "parts", "empties", "envelopes", "frames", "endless", "connections",
)  # fmt: skip
IMAGES, FPS = 30, 20.0
LIMIT = MEMORY_STEP + (192 << 20)
"""What memory may grow by: the step at which a port is opened anew, and what arrives until that is seen and done."""

Start = Callable[..., Command]
pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(1800),  # who floods takes the processors as well, and may have to share them with others
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is watched on Linux only"),
]


class Scales:
    """The most that a process has held since this was made, in bytes above what it held then."""

    def __init__(self, process: int) -> None:
        self._path, self._ended = f"/proc/{process}/statm", threading.Event()
        self._begun = self._most = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def grown(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._most - self._begun

    def _now(self) -> int:
        return int(Path(self._path).read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _watch(self) -> None:
        while not self._ended.wait(0.01) and Path(self._path).exists():
            self._most = max(self._most, self._now())


@pytest.mark.parametrize("behind_an_emulator", [False, True], ids=["direct", "emulator"])
@pytest.mark.parametrize("kind", KINDS)
def test_well_behaved_transmitters_finish_during_a_flood(kind: str, behind_an_emulator: bool, start: Start) -> None:
    if kind == "empties" and behind_an_emulator:
        pytest.skip("not promised: messages of so many parts hold up those of others for too long (SECURITY.md, Time)")
    receiver = start("python", BARE, "0")
    port = receiver.port()
    if behind_an_emulator:
        emulator = start("channel-emu", "--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{port}")
        port = emulator.port()
    watched = [receiver, *([emulator] if behind_an_emulator else [])]
    with Fleet(f"127.0.0.1:{port}", 1) as fleet:  # one that is there already, and one that comes during the flood
        assert fleet.connect() == 1
        fleet.run(2)
        scales = [Scales(command.process.pid) for command in watched]
        for flooder in [start("python", FLOODER, kind, str(port)) for _ in range(2)]:
            flooder.wait_for("flooding")
        if kind == "endless":
            watched[-1].wait_for("memory_grown")
        begun_s, spent_s = time.monotonic(), processor_s(watched[-1].process.pid)
        fleet.run(IMAGES, FPS)
        took_s, spent_s = time.monotonic() - begun_s, processor_s(watched[-1].process.pid) - spent_s
        with Fleet(f"127.0.0.1:{port}", 1) as late:
            assert late.connect() == 1
            late.run(IMAGES, FPS)
            assert late.summary()["counts"]["answered"] == IMAGES
        summary = fleet.summary()
        assert summary["counts"]["answered"] == IMAGES + 2
    flooded, each_ms = watched[-1].name, 1e3 * spent_s / IMAGES
    print(f"\n{kind}: {IMAGES} answers in {took_s:.1f} s, the longest after {summary['max_ms']:.0f} ms;", end=" ")
    print(f"{flooded} took {each_ms:.0f} ms for each, and {spent_s / took_s:.0%} of a processor")
    for command, scale in zip(watched, scales, strict=True):
        assert scale.grown() < LIMIT, command.name
        assert command.process.poll() is None, command.said


@pytest.mark.parametrize("victim", ["sctx", "channel-emu"])
def test_whoever_is_connected_to_cannot_fill_the_memory(victim: str, start: Start, tmp_path: Path) -> None:
    program = tmp_path / "endless.py"
    program.write_text(ENDLESS)
    port = start("python", str(program)).port()
    where = f"127.0.0.1:{port}"
    if victim == "sctx":
        command = start("sctx", "--peer", where, "--give-up", "30")
        command.wait_for("waiting for a receiver|memory_grown")
    else:
        command = start("channel-emu", "--listen", "0", "--control", "0", "--upstream", where)
        poker = start("sctx", "--peer", f"127.0.0.1:{command.port()}", "--give-up", "60")
        poker.wait_for("waiting for a receiver")
    scale = Scales(command.process.pid)
    command.wait_for("memory_grown", 60)
    time.sleep(5)
    assert scale.grown() < LIMIT
    assert command.process.poll() is None, command.said
