"""What it costs a receiver to be looked at: the part of a processor that a Prometheus takes which scrapes it once a
second, a page that is open (five looks a second), and a browser that hangs, with 64 transmitters connected that have
sent a thousand frames.

A receiver works in one thread, so what looks take of a processor is the most that they can take of its throughput.
Measured between frames, where nothing else moves: while frames pass, its processor time for one of them differs by a
third from second to second, by how many are decoded together. Windows with looks and without alternate.
"""

import http.client
import socket
import time
from contextlib import ExitStack, closing

import numpy as np
import pytest

from tests.bench.conftest import Tell
from tests.bench.results import Recorder, shown
from tests.integration.fleet import Fleet
from training.lab.processes import Command

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]
ROUNDS, TRANSMITTERS, FRAMES = 10, 64, 16
WINDOW_S, LOOK_S = 3.0, 0.25
"""Looks are so far apart that each is shown a fresh snapshot, which is taken for it."""
A_SECOND = {"/metrics": 1, "/live.json": 5}
ASK = b"GET /live.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
HUNG = 6
"""Connections of a browser to one host; a hung one has asked on each, and reads nothing."""
MOST = 0.05
"""Of a processor, at so many looks a second."""


def processor_s(pid: int) -> float:
    """Time that a process has had of the processors, threads that have ended included: Linux has a clock for each."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def http_port(command: Command) -> int:
    return int(command.wait_for(r"live page at http://127\.0\.0\.1:(\d+)/").group(1))


def window(scrx: Command, fleet: Fleet, port: int, path: str | None) -> tuple[float, int]:
    """Processor time of the receiver over WINDOW_S, in which it is asked for `path`, and how often it was."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        began, before_s, looks = time.monotonic(), processor_s(scrx.process.pid), 0
        while (now := time.monotonic()) < began + WINDOW_S:
            if path is not None and now >= began + looks * LOOK_S:
                connection.request("GET", path)
                assert len(connection.getresponse().read()) > 100
                looks += 1
            fleet.step()  # their heartbeats go on
        return processor_s(scrx.process.pid) - before_s, looks


def hung(scrx: Command, fleet: Fleet, port: int) -> float:
    """Processor time of the receiver over WINDOW_S that begin when a browser has hung."""
    with ExitStack() as stack:
        for _ in range(HUNG):
            browser = stack.enter_context(socket.socket())
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            browser.connect(("127.0.0.1", port))
            browser.sendall(ASK)
        return window(scrx, fleet, port, None)[0]


def test_to_be_looked_at_costs_a_receiver_little(tell: Tell, figures: Recorder) -> None:
    with ExitStack() as stack:
        scrx = stack.enter_context(Command("scrx", "--listen", "0", "--http", "0"))
        port = http_port(scrx)
        fleet = stack.enter_context(Fleet(f"127.0.0.1:{scrx.port()}", TRANSMITTERS))
        assert fleet.connect() == TRANSMITTERS
        fleet.run(FRAMES)
        costs: dict[str, list[float]] = {path: [] for path in A_SECOND}
        hanging: list[float] = []
        for _ in range(ROUNDS):
            idle_s, _ = window(scrx, fleet, port, None)
            for path, found in costs.items():
                spent_s, looks = window(scrx, fleet, port, path)
                found.append((spent_s - idle_s) / looks)
            hanging.append((hung(scrx, fleet, port) - idle_s) / WINDOW_S)
    for path, found in costs.items():
        each = figures.add(f"seen: {path}", "ms", 1e3 * np.array(found))
        share = figures.add(f"seen: {path} of a processor", "", A_SECOND[path] * np.array(found))
        tell(f"{path}: {shown(each)} ms of scrx; {A_SECOND[path]} a second take {shown(share)} of a processor")
    both = np.array([sum(A_SECOND[path] * costs[path][turn] for path in costs) for turn in range(ROUNDS)])
    whole = figures.add("seen: both of a processor", "", both)
    tell(f"both: {shown(whole)} of a processor")
    nothing = figures.add("seen: a browser that hangs, of a processor", "", hanging)
    tell(f"a browser that hangs: {shown(nothing)} of a processor")
    assert whole.value < MOST
