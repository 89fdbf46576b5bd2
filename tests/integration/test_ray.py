"""A receiver whose decoder Ray serves: it answers as the pair's own does, and goes on when a replica is killed."""

import json
import os
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.conftest import Start
from tests.test_documents import ROOT
from training.lab.processes import Command

SCRIPT = str(ROOT / "deploy" / "ray" / "serve_decoder.py")
pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'ray[serve]'")


def test_what_is_missing_or_wrong_is_one_line(start: Start) -> None:
    here = find_spec("ray") is not None
    wrong, told, code = ("no model pair 'nosuch': ", ": give", 2) if here else ("this needs Ray", ": pip", 1)
    command = start("python", SCRIPT, "0", "--model", "nosuch")
    assert command.wait(120) == code
    assert command.said.startswith(f"error: {wrong}")
    assert told in command.said
    assert len(command.said.splitlines()) == 1


SLOW = """
import os, time
with open("/proc/self/cmdline", "rb") as file:
    ours = b"dashboard/agent.py" in file.read()
try:
    os.close(os.open(os.environ["SLOW_ONCE"], os.O_CREAT | os.O_EXCL)) if ours else None
except FileExistsError:
    ours = False
time.sleep(25 if ours else 0)
"""
"""What Python reads first in a process: holds up the first of Ray's agents for longer than Ray waits for it."""


@with_ray
def test_a_ray_whose_agents_are_slow_is_tried_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SLOW_ONCE", str(tmp_path / "once"))
    command = start("python", SCRIPT, "0")
    command.wait_for(r"listening on", 280)
    assert "waiting for a Ray to come up on this host, 300 s at most" in command.said
    assert "Ray did not come up" in command.said
    assert "trying again" in command.said
    names = [Path(f"/proc/{one}/cmdline").read_bytes() for one in below(command.process.pid)]
    servers = [name for name in names if name.split(b"\0")[0].endswith(b"/gcs_server")]
    assert len(servers) == 1  # nothing is left of the first attempt


@with_ray
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--cluster", "127.0.0.1:1"), "no Ray can be reached at 127.0.0.1:1: "),
        (
            ("--replicas", "999", "--wait", "60"),
            "of 999 replicas came up in time; each takes one processor, and Ray has",
        ),
    ],
)
def test_what_cannot_come_up_is_told_in_a_line(start: Start, flags: tuple[str, ...], told: str) -> None:
    command = start("python", SCRIPT, "0", *flags)
    assert command.wait(240) == 1
    assert told in command.said.splitlines()[-1]
    assert "Traceback" not in command.said


@pytest.fixture
def served() -> Iterator[Command]:
    with Command("python", SCRIPT, "0", "--replicas", "2") as command:
        command.wait_for("listening on", 280)  # it takes 300 s itself, where other work keeps the processors
        yield command
        assert command.stop() == 0, command.said


def below(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from below(int(child))


def replicas(pid: int) -> list[int]:
    names = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in below(pid)}
    return [one for one, name in names.items() if b"ServeReplica:semlink:decoder" in name]


def answers(start: Start, port: int, *flags: str) -> list[dict[str, object]]:
    tx = start("sctx", "--peer", f"127.0.0.1:{port}", "--json", "--stream", "1", "--window", "1", *flags)
    lines = [json.loads(line) for line in tx.lines()]
    assert tx.wait(60) == 0, tx.said
    assert lines.pop()["summary"]["lost"] == 0
    return [{name: one[name] for name in ("index", "answer", "confidence", "symbols")} for one in lines]


@with_ray
def test_ray_answers_as_the_receiver_itself_does(served: Command, start: Start) -> None:
    rx = start("scrx", "--listen", "0")
    assert answers(start, served.port(), "--count", "40") == answers(start, rx.port(), "--count", "40")


@with_ray
def test_no_image_is_lost_when_a_replica_is_killed(served: Command, start: Start) -> None:
    found = replicas(served.process.pid)
    assert len(found) == 2
    tx = start("sctx", "--peer", f"127.0.0.1:{served.port()}", "--count", "400", "--fps", "50", "--json")
    lines = tx.lines()
    for _ in range(50):
        next(lines)
    os.kill(found[0], signal.SIGKILL)
    summary = json.loads(list(lines)[-1])["summary"]
    assert (summary["answered"], summary["lost"]) == (400, 0)
    until = time.monotonic() + 60
    while len(set(replicas(served.process.pid)) - {found[0]}) < 2:
        assert time.monotonic() < until
        time.sleep(0.5)
