"""What it costs a receiver to be looked at: processor time per frame without --http, with it, and watched five times a
second by a page and once by Prometheus, in turn. 64 transmitters.

The model is the shipped one; wall time says little beside other work, so time of the processor is what is compared.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from tests.bench.bench_link import cpu_us
from tests.integration.fleet import Fleet
from training.lab.processes import Command

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
ROUNDS, TRANSMITTERS, FRAMES, FPS = 8, 64, 30, 30.0


def http_port(command: Command) -> int:
    return int(command.wait_for(r"live page at http://127\.0\.0\.1:(\d+)/").group(1))


@contextmanager
def watched(port: int) -> Iterator[None]:
    """A page that is open, and a Prometheus that scrapes once a second."""
    over = threading.Event()

    def look() -> None:
        turns = 0
        while not over.wait(0.2):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            for path in ("/live.json", "/metrics") if turns % 5 == 0 else ("/live.json",):
                connection.request("GET", path)
                connection.getresponse().read()
            connection.close()
            turns += 1

    thread = threading.Thread(target=look)
    thread.start()
    yield
    over.set()
    thread.join()


def test_to_be_looked_at_costs_a_receiver_little(capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        plain = stack.enter_context(Command("scrx", "--listen", "0"))
        shown = stack.enter_context(Command("scrx", "--listen", "0", "--http", "0"))
        port = http_port(shown)
        fleets = {one: stack.enter_context(Fleet(f"127.0.0.1:{one.port()}", TRANSMITTERS)) for one in (plain, shown)}
        for fleet in fleets.values():
            assert fleet.connect() == TRANSMITTERS
            fleet.run(5)

        def frame_us(command: Command, around: Callable[[], object] | None = None) -> float:
            before = cpu_us(command.process.pid)
            with watched(port) if around else ExitStack():
                fleets[command].run(FRAMES, FPS)
            return (cpu_us(command.process.pid) - before) / (FRAMES * TRANSMITTERS)

        took = np.array([[frame_us(plain), frame_us(shown), frame_us(shown, watched)] for _ in range(ROUNDS)])
    with capsys.disabled():
        print(f"\nprocessor time of scrx per frame, us: {np.median(took, 0).round(1).tolist()} without, with, watched")
        for name, column in (("with --http", 1), ("watched", 2)):
            ratios = took[:, column] / took[:, 0]
            low, high = np.percentile(ratios, [25, 75])
            print(f"{name}: {np.median(ratios):.3f} times without (quartiles {low:.3f} .. {high:.3f})")
    assert np.median(took[:, 2] / took[:, 0]) < 1.05
