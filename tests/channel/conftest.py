"""A running `channel-emu` on a raw wire. Knows nothing about what is measured on it."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import zmq

from tests.warm import Stem

PIECE = 65_536


class RunningEmulator:
    """`channel-emu --wire cf32 FLAGS` as its own process; samples in, samples out."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", stem: Stem, flags: Sequence[str]) -> None:
        self._context = context
        self._sink, self._source = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self._sink.linger = self._source.linger = 0
        self._sink.bind("tcp://127.0.0.1:0")
        upstream = self._sink.getsockopt_string(zmq.LAST_ENDPOINT)
        wire = ["--wire", "cf32", "--listen", "tcp://127.0.0.1:0", "--upstream", upstream, "--control", "0"]
        self._process = stem.start("channel-emu", *wire, *flags)
        first = self._process.stderr.readline()
        found = re.search(r"listening on (\S+), forwarding to \S+, control on (\S+)", first)
        assert found, first
        self.control = found[2]
        self._source.connect(found[1])

    def send(self, x: np.ndarray, sizes: Sequence[int] = ()) -> np.ndarray:
        """x, complex64 [S], in messages of these sizes (then of 65,536); what comes out, complex64 [S]."""
        cuts = np.cumsum(sizes, dtype=int).tolist()
        cuts += range((cuts[-1] if cuts else 0) + PIECE, x.size, PIECE)
        pieces = np.split(x, [cut for cut in cuts if cut < x.size])
        feeding = threading.Thread(target=lambda: [self._source.send(piece.tobytes()) for piece in pieces])
        feeding.start()
        out, done = np.empty(x.size, np.complex64), 0
        while done < x.size:
            assert self._sink.poll(30_000), f"nothing came out after {done} of {x.size} samples"
            y = np.frombuffer(self._sink.recv(), np.complex64)
            out[done : done + y.size] = y
            done += y.size
        feeding.join()
        return out

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)
        self._sink.close()
        self._source.close()
        assert self._process.returncode == 0


@pytest.fixture
def emulator(context: "zmq.Context[zmq.Socket[bytes]]", stem: Stem) -> Iterator[Callable[..., RunningEmulator]]:
    """emulator("--snr", "5", ...) starts one; all are stopped at the end of the test."""
    running: list[RunningEmulator] = []

    def start(*flags: str) -> RunningEmulator:
        running.append(RunningEmulator(context, stem, flags))
        return running[-1]

    yield start
    for one in running:
        one.close()
