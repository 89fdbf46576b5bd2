"""What goes wrong between and in the processes: stopped, cut off, slow, hung. The decoder is bare, the link is real.

A finite source loses nothing and counts nothing twice; a live source shows nothing past its deadline.
"""

import ast
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import common
import scrx
from tests.integration.fleet import Fleet
from training.lab.processes import Command, start_emulator
from training.lab.relay import Relay

BARE = str(Path(__file__).with_name("bare_receiver.py"))
ROOT = Path(common.__file__).parents[1]
DEADLINE_MS = 400
Start = Callable[..., Command]


def through_an_outage(peer: str, live: bool, fault: Callable[[], object], heal: Callable[[], object]) -> Fleet:
    """Two transmitters; the fault comes when they have sent 40 frames and goes when both have noticed it."""
    state, answered_before = "before", 0
    with Fleet(peer, 2, live, DEADLINE_MS if live else 10_000) as fleet:

        def each_step() -> None:
            nonlocal state, answered_before
            if state == "before" and min(member.taken for member in fleet.members) >= 40:
                fault()
                state = "during"
            elif state == "during" and not any(member.session.up for member in fleet.members):
                heal()
                state, answered_before = "after", sum(member.outcomes["answered"] for member in fleet.members)

        assert fleet.connect() == 2
        fleet.run(300 if live else 120, fps=240, each_step=each_step)
        if live:  # the outage may outlast the pictures of a busy machine
            while state != "after" or not all(member.session.up for member in fleet.members):
                fleet.step()
                each_step()
            fleet.run(60, fps=240)
    assert state == "after"
    assert sum(member.outcomes["answered"] for member in fleet.members) > answered_before
    return fleet


def check_finite(fleet: Fleet, frames: int) -> None:
    for member in fleet.members:
        assert sorted(member.answered) == list(range(frames))
        assert (member.outcomes["expired"], member.outcomes["failed"], member.error) == (0, 0, None)


def check_live(fleet: Fleet, frames: int) -> None:
    for member in fleet.members:
        counted = member.outcomes["answered"] + member.outcomes["expired"] + member.outcomes["skipped"]
        assert counted == frames
        assert len(set(member.answered)) == len(member.answered)
        assert max(member.latency_ns) <= DEADLINE_MS * 1e6
        assert member.error is None


@pytest.mark.parametrize("victim", ["receiver", "network", pytest.param("emulator", marks=pytest.mark.full)])
def test_an_outage_loses_nothing_and_shows_nothing_late(start: Start, victim: str) -> None:
    receiver = start("python", BARE, "0", "1")
    emulator, port = start_emulator(receiver.port())
    with ExitStack() as running:
        running.enter_context(emulator)
        relay = running.enter_context(Relay(port))
        stopped = {"receiver": receiver, "emulator": emulator}.get(victim)
        fault, heal = relay.cut, relay.mend
        if stopped is not None:
            running.callback(stopped.process.send_signal, signal.SIGCONT)
            fault = lambda: stopped.process.send_signal(signal.SIGSTOP)  # noqa: E731
            heal = lambda: stopped.process.send_signal(signal.SIGCONT)  # noqa: E731
        peer = f"127.0.0.1:{relay.port}"
        check_finite(through_an_outage(peer, False, fault, heal), 120)
        check_live(through_an_outage(peer, True, fault, heal), 360)


def test_a_slow_network_delays_and_loses_nothing(start: Start) -> None:
    receiver = start("python", BARE, "0", "1")
    with Relay(receiver.port(), delay_s=0.05, bytes_per_s=50_000) as relay:
        with Fleet(f"127.0.0.1:{relay.port}", 2) as fleet:
            assert fleet.connect() == 2
            fleet.run(20)
        check_finite(fleet, 20)
        assert fleet.summary()["p50_ms"] > 100  # the network was slow indeed
        with Fleet(f"127.0.0.1:{relay.port}", 2, live=True, deadline_ms=DEADLINE_MS) as fleet:
            assert fleet.connect() == 2
            fleet.run(60, fps=60)
        check_live(fleet, 60)


def test_a_transmitter_that_was_kept_from_running_loses_nothing_and_shows_nothing_late(start: Start) -> None:
    peer = f"127.0.0.1:{start('python', BARE, '0', '1').port()}"
    for live in (False, True):
        stopped_ns = 0
        deadline_ms = DEADLINE_MS if live else 10_000
        with Fleet(peer, 2, live, deadline_ms, clock=lambda: time.monotonic_ns() + stopped_ns) as fleet:  # noqa: B023

            def each_step() -> None:
                nonlocal stopped_ns
                if not stopped_ns and min(member.taken for member in fleet.members) >= 40:
                    stopped_ns = 20 * 10**9  # from one step to the next: longer than every limit but --give-up

            assert fleet.connect() == 2
            fleet.run(120, fps=120, each_step=each_step)
            if live:
                fleet.run(30, fps=120)
        assert stopped_ns
        check_live(fleet, 150) if live else check_finite(fleet, 120)


def test_no_duration_comes_from_the_wall_clock() -> None:
    """Then a clock that is set forwards or back can do no harm. Log lines carry it, and one metric: when it started."""
    wall = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "datetime.now", "datetime.utcnow",
            "datetime.today", "date.today"}  # fmt: skip
    for room in ("common", "sctx", "scrx"):
        for path in sorted((ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            names = {
                f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }  # fmt: skip
            stamps = {"time.time"} if path.relative_to(ROOT).as_posix() == "common/live/board.py" else set()
            assert not (calls | names) & wall - stamps, path


def test_a_receiver_whose_decoder_never_returns_says_so_and_ends() -> None:
    released = threading.Event()

    def hang(symbols: object, gamma: object, tasks: object) -> list[object]:
        released.wait()
        return [{"classify": {"index": 0, "name": "0", "confidence": 1.0}}]

    rx = scrx.Receiver("0", "digits", decoder=hang)
    try:
        with Fleet(rx.address.removeprefix("tcp://"), 1, live=True, deadline_ms=200) as fleet:
            fleet.connect()
            fleet.run(3, fps=30)
            assert fleet.members[0].outcomes["expired"] > 0
            assert rx._batcher.progress_age_ms >= 200  # PONG carries it to every transmitter
        rx.close()
        assert rx.stuck
        assert list(rx.answers(timeout_s=5)) == []
    finally:
        released.set()


# -- in namespaces of their own, where this user and this kernel allow it

NAMES = ("semlink-rx", "semlink-veth0", "semlink-veth1")


def ip(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=20)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace at 10.213.0.2, joined by a cable to this one at 10.213.0.1."""
    space, near, far = NAMES
    if shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.skip("needs the commands ip and tc (iproute2)")
    try:
        ip("ip", "netns", "add", space)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot make a network namespace: {error.stderr.strip()}")
    try:
        ip("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        ip("ip", "address", "add", "10.213.0.1/30", "dev", near)
        ip("ip", "-n", space, "address", "add", "10.213.0.2/30", "dev", far)
        ip("ip", "link", "set", near, "up")
        ip("ip", "-n", space, "link", "set", far, "up")
        yield space
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot lay a cable between namespaces: {error.stderr.strip()}")
    finally:
        for words in (["ip", "link", "delete", near], ["ip", "netns", "delete", space]):
            subprocess.run(words, check=False, capture_output=True)


def in_namespace(space: str) -> subprocess.Popen[str]:
    words = ["ip", "netns", "exec", space, sys.executable, BARE, "10.213.0.2:5555", "1"]
    receiver = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert receiver.stderr is not None
    said = []
    for line in receiver.stderr:  # among them that it is open to others without encryption
        if "listening" in line:
            return receiver
        said.append(line)
    receiver.wait(timeout=30)
    pytest.fail(f"no receiver: {said}")


@pytest.mark.full  # the same troubles come from the relay above, without rights
@pytest.mark.parametrize("trouble", ["cut", "slow", "lossy"])
def test_a_cable_that_is_cut_or_slow_between_two_hosts(namespace: str, trouble: str) -> None:
    near = NAMES[1]
    slow = {
        "slow": ("tbf", "rate", "400kbit", "burst", "4kb", "latency", "300ms"),
        "lossy": ("netem", "delay", "30ms", "10ms", "loss", "5%"),
    }
    if trouble in slow:
        try:
            ip("tc", "qdisc", "add", "dev", near, "root", *slow[trouble])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel has no {slow[trouble][0]}: {error.stderr.strip()}")
    receiver = in_namespace(namespace)
    try:
        if trouble == "cut":
            fault, heal = (lambda state=state: ip("ip", "link", "set", near, state) for state in ("down", "up"))
            check_finite(through_an_outage("10.213.0.2:5555", False, fault, heal), 120)
            check_live(through_an_outage("10.213.0.2:5555", True, fault, heal), 360)
            return
        with Fleet("10.213.0.2:5555", 2) as fleet:
            assert fleet.connect() == 2
            fleet.run(40)
        check_finite(fleet, 40)
        with Fleet("10.213.0.2:5555", 2, live=True, deadline_ms=DEADLINE_MS) as fleet:
            assert fleet.connect() == 2
            fleet.run(60, fps=60)
        check_live(fleet, 60)
    finally:
        receiver.terminate()
        receiver.communicate(timeout=30)
