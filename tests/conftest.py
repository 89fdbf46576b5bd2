"""What every test may use. Knows nothing about any one room of the project."""

import os
import tempfile
import threading
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import settings

# The same examples in every run, and no clock: a busy machine fails nothing.
settings.register_profile("semlink", derandomize=True, deadline=None, database=None)
settings.load_profile("semlink")

# Not the keys of whoever runs the tests, and no notes among theirs.
_NOT_THEIRS = tempfile.TemporaryDirectory(prefix="semlink-tests-")
os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_STATE_HOME"] = _NOT_THEIRS.name


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
