"""What every test may use. Knows nothing about any one room of the project."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from typing import get_args

import pytest
import zmq
from hypothesis import settings
from threadpoolctl import threadpool_limits

from common.pair import backend as seam
from common.pair.networks import AUTO, Backend
from tests.quick import Quick
from tests.warm import Stem
from training.lab.processes import Command

# The same examples in every run, and no clock: a busy machine fails nothing.
settings.register_profile("semlink", derandomize=True, deadline=None, database=None)
settings.load_profile("semlink")

# What is ignored here, as under nohup or in the background of a script, every process that a test starts would ignore.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# Not the keys of whoever runs the tests, and no notes among theirs.
_NOT_THEIRS = tempfile.TemporaryDirectory(prefix="semlink-tests-")
os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_STATE_HOME"] = _NOT_THEIRS.name


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make quick` and `make full`."""
    parser.addoption("--quick", action="store_true", help="Only tests that start no process and train nothing.")
    parser.addoption(
        "--backend", choices=get_args(Backend), help="What encodes in tests/integration where none is named."
    )


def pytest_configure(config: pytest.Config) -> None:
    """What `--quick` means is said in `tests/quick.py`.

    numpy's linear algebra takes one thread here: several files run at a time, and threads that wait for others burn
    most of what the products of small networks cost. Commands that are started choose for themselves.
    """
    threadpool_limits(1, "blas")
    if config.getoption("--quick"):
        config.pluginmanager.register(Quick())
    if backend := config.getoption("--backend"):
        os.environ["SCTX_BACKEND"] = backend  # of the commands that are started; and of transmitters in this process:
        pick = seam.pick_backend
        seam.pick_backend = lambda networks, asked, device: pick(networks, backend if asked == AUTO else asked, device)


@pytest.fixture(scope="session")
def stem() -> Iterator[Stem]:
    """The process from which commands are forked, with what others wrote loaded."""
    grown = Stem()
    yield grown
    grown.close()


@pytest.fixture
def warm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Command("sctx", ...)` and the like find libraries loaded, except in a test that is marked `cold`."""
    if request.node.get_closest_marker("cold") is None:
        monkeypatch.setattr(Command, "begin", request.getfixturevalue("stem").begin)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small lose to the hand-over between threads, on a busy machine by a factor of ten."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    """A ZeroMQ context that ends within 5 s: a socket left open fails the test instead of hanging it."""
    context = zmq.Context()
    yield context
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(5)
    if ending.is_alive():
        pytest.fail("the test left a ZeroMQ socket open")
