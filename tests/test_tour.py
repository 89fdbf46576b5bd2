"""The tour is walked as it is written: every line with a prompt, in its order, only ports and photographs replaced."""

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_documents import ROOT
from training.lab.processes import Command

TOUR = (ROOT / "deploy" / "TOUR.md").read_text(encoding="utf-8")
LINE = re.compile(r"^    (one|two|three|four)\$ (.+)$", re.M)
STOP, LATER = "^C", " &"


class Walk:
    """Terminals with what runs in them. Ports are those that were free when the tour began."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self.folder, self.ports = folder, ports
        self.running: dict[str, Command] = {}
        self.background: dict[str, Command] = {}
        self.printed: list[str] = []

    def type(self, terminal: str, line: str) -> None:
        if line == STOP:
            ended = self.running.pop(terminal)
            ended.process.send_signal(signal.SIGINT)
            assert ended.wait(30) == 0, ended.said
            ended.stop()  # closes its pipes
            return
        if line == "wait":
            return self.finish(self.background.pop(terminal))
        assert terminal not in self.running, f"{terminal} is taken: {line}"
        words = shlex.split(re.sub(r"\b555\d\b", lambda port: self.ports[port[0]], line.removesuffix(LATER)))
        words = [
            word.replace("DIR_OF_PHOTOS", str(self.folder)).replace("build/", f"{self.folder}/out/") for word in words
        ]
        if words[0] == "make":
            return self.make(terminal, words[1])
        if words[0] == "channel-emu":
            words += ["--control", self.ports["5557"]]
        if words[0] == "channel-emu" and words[1] not in ("set", "status"):
            words += ["--listen", self.ports["5556"], "--upstream", f"127.0.0.1:{self.ports['5555']}"]
        command = Command(*words)
        if line.endswith(LATER):
            command.wait_for("sctx: encodes by")
            self.background[terminal] = command
        elif words[0] == "scrx" or (words[0] == "channel-emu" and words[1] not in ("set", "status")):
            command.port()
            self.running[terminal] = command
        else:
            self.finish(command)

    def finish(self, command: Command) -> None:
        """Wait until it has ended well, and keep what it printed."""
        self.printed.append("".join(command.lines()))
        assert command.wait(120) == 0, (command.name, command.arguments, command.said)
        command.stop()

    def make(self, terminal: str, target: str) -> None:
        """What the Makefile says, by the Python that runs the tests."""
        told = re.search(rf"^{target}: install.*\n\t@\$\(PY\) -m (\S+)$", (ROOT / "Makefile").read_text(), re.M)
        assert told
        if target == "live":
            self.running[terminal] = Live(told[1])
            return
        ran = subprocess.run(
            [sys.executable, "-m", told[1]], capture_output=True, text=True, cwd=self.folder, timeout=600
        )
        assert ran.returncode == 0, ran.stderr
        self.printed.append(ran.stdout)

    def close(self) -> None:
        for command in (*self.running.values(), *self.background.values()):
            command.stop()


class Live(Command):
    """`make live`, whose page is asked for as soon as its address is printed."""

    def __init__(self, module: str) -> None:
        self._module = module
        super().__init__("python", "-m", module, "--http", "0")
        address = next(self.lines()).split()[1]
        page = urllib.request.urlopen(address.partition("#")[0], timeout=30).read().decode()
        assert "<title>semlink live</title>" in page


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    from training.lab.live import free_port

    for k, name in enumerate(("cat", "dog", "ship")):
        place = tmp_path / name
        place.mkdir()
        pixels = np.random.default_rng(k).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(place / "a.jpg")
    walk = Walk(tmp_path, {port: str(free_port()) for port in ("5555", "5556", "5557")})
    yield walk
    walk.close()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_every_line_of_the_tour_does_what_it_says(walk: Walk) -> None:
    for terminal, line in LINE.findall(TOUR):
        walk.type(terminal, line)
    assert walk.running == walk.background == {}
    first, checked, _, second, status, _, photographs, demo = walk.printed
    assert "200 of 200 images answered" in first
    assert "200 of 200 images answered" in second
    symbols = [float(re.search(r"mean_symbols=([\d.]+)", one)[1]) for one in (first, second)]  # type: ignore[index]
    assert symbols[0] < symbols[1]
    right = [int(re.search(r" correct=(\d+)", one)[1]) for one in (first, second)]  # type: ignore[index]
    assert right[0] > right[1]
    assert json.loads(status)
    assert "3 of 3 images answered" in photographs
    assert "awgn" in demo
    assert checked
    entries = [json.loads(line) for line in (walk.folder / "out" / "tour.jsonl").read_text().splitlines()]
    assert sorted(one["index"] for one in entries[:-1]) == list(range(300))
    assert entries[-1]["summary"]["lost"] == 0


def test_the_tour_leaves_no_terminal_taken_and_ends_what_it_began() -> None:
    taken: dict[str, str] = {}
    lines = LINE.findall(TOUR)
    assert len(lines) > 15
    for terminal, line in lines:
        if line in (STOP, "wait"):
            del taken[terminal]
            continue
        assert terminal not in taken, line
        first, *rest = shlex.split(line)
        if line.endswith(LATER) or first == "scrx" or line == "make live":
            taken[terminal] = line
        if first == "channel-emu" and rest[0].startswith("--"):
            taken[terminal] = line
    assert taken == {}
