"""A decoder in a process of its own: dials in to the receiver that started it, and answers batches until that leaves.

Knows nothing about transmitters, channels or deadlines. Started by `scrx/decoding/pool.py`, never by hand:

    python -m scrx.decoding.worker ADDRESS NAME MODEL MODEL_ID DEVICE BACKEND LOG_FORMAT

    worker -> receiver   [b""]                                                  ready for a batch
    receiver -> worker   [job, msgpack (rows, tasks per row), symbols, gamma]   complex64 and float32 [rows, S], raw
    worker -> receiver   [job, msgpack: one {task: answer} per row]

The receiver holds the other end of standard input: when that closes, the worker ends. It is started with SIGTERM,
SIGINT and SIGHUP blocked, which are for the receiver: it drains first.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import numpy as np
import zmq
from numpy.typing import NDArray

from common import log
from common.console import tell
from common.errors import ModelError, SemlinkError
from common.transport.sockets import connect, make_socket

Answer = Callable[[NDArray[np.complex64], NDArray[np.float32], Sequence[Sequence[str]]], list[Any]]
"""symbols [B, S], gamma [B, S], tasks per row -> one {task: answer} per row: what any decoder is to a receiver."""


def pool_socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int) -> "zmq.Socket[bytes]":
    """Either end of the wire between receiver and worker: batches may be large, and only the pool judges silence."""
    socket = make_socket(context, kind, "rx")
    socket.maxmsgsize = -1
    socket.heartbeat_ivl = 0
    socket.immediate = False  # a worker whose receiver died must come back from `send` to see it
    return socket


def pack_batch(
    symbols: NDArray[np.complex64], gamma: NDArray[np.float32], tasks: Sequence[Sequence[str]]
) -> list[bytes]:
    """symbols: complex64 [B, S]; gamma: float32 [B, S]; tasks: names per row."""
    return [msgpack.packb((len(symbols), tasks)), symbols.tobytes(), gamma.tobytes()]


def unpack_batch(parts: Sequence[bytes]) -> tuple[NDArray[np.complex64], NDArray[np.float32], list[list[str]]]:
    """What `pack_batch` packed, bit for bit."""
    rows, tasks = msgpack.unpackb(parts[0])
    symbols, gamma = np.frombuffer(parts[1], "<c8"), np.frombuffer(parts[2], "<f4")
    # Copies: torch does not take memory that it may not write to.
    return symbols.reshape(rows, -1).copy(), gamma.reshape(rows, -1).copy(), tasks


def serve(address: str, name: str, answer: Answer) -> None:
    """Say that this worker is ready, then answer batches until standard input closes."""
    context = zmq.Context()
    socket = pool_socket(context, zmq.DEALER)
    socket.identity = name.encode()
    connect(socket, address, "ADDRESS")
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    try:
        socket.send(b"")
        while sys.stdin.fileno() not in dict(poller.poll()):
            job, *parts = socket.recv_multipart()
            socket.send_multipart([job, msgpack.packb(answer(*unpack_batch(parts)))])
    finally:
        context.destroy(linger=0)


def main() -> int:
    """Load the decoder, run it once (the first run of a device is slow), and serve."""
    address, name, model, model_id, device, backend, form = sys.argv[1:]
    log.set_up("warning", form)
    from common.pair.manifest import find_pair
    from scrx.decoding.answerer import Answerer

    try:
        manifest = find_pair(model)
        if manifest.id != model_id:
            raise ModelError(f"the pair in {model} is no longer the one that scrx was started with; start scrx again")
        answerer = Answerer(manifest, device, backend, threads=1, place=int(name.partition(".")[0]))
    except SemlinkError as error:
        tell(f"error: worker {name}: {error}", "error")
        return error.exit_code
    blank = np.zeros((1, manifest.layout.max_symbols), np.complex64)
    answerer.answer(blank, blank.real.copy(), [manifest.tasks])
    serve(address, name, answerer.answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
