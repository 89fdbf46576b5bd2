"""A decoder in a process of its own: dials in to the receiver that started it, and answers batches until that leaves.

Knows nothing about transmitters, channels or deadlines. Started by `scrx/decoding/pool.py`, never by hand:

    python -m scrx.decoding.worker ADDRESS NAME MODEL MODEL_ID LOG_FORMAT

    worker -> receiver   [b""]                                                  ready for a batch
    receiver -> worker   [job, msgpack (rows, tasks per row), symbols, gamma, place, pilots]   [rows, S] but the last,
                                                                                              [rows]; all raw
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

from common import log
from common.console import tell
from common.errors import ModelError, SemlinkError
from common.transport.sockets import connect, make_socket
from scrx.demodulation.demodulate import SoftBatch

Decode = Callable[[SoftBatch], list[Any]]
"""What any decoder is to a receiver: one {task: answer} per row."""


def pool_socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int) -> "zmq.Socket[bytes]":
    """Either end of the wire between receiver and worker: batches may be large, and only the pool judges silence."""
    socket = make_socket(context, kind, "rx")
    socket.maxmsgsize = -1
    socket.heartbeat_ivl = 0
    socket.immediate = False  # a worker whose receiver died must come back from `send` to see it
    return socket


def pack_batch(soft: SoftBatch) -> list[bytes]:
    """For the way to a worker."""
    head = msgpack.packb((len(soft.symbols), soft.tasks))
    return [head, soft.symbols.tobytes(), soft.gamma.tobytes(), soft.place.tobytes(), soft.behind.tobytes()]


def unpack_batch(parts: Sequence[bytes]) -> SoftBatch:
    """What `pack_batch` packed, bit for bit."""
    rows, tasks = msgpack.unpackb(parts[0])
    symbols, gamma, place, pilots = (
        np.frombuffer(part, kind) for part, kind in zip(parts[1:], ("<c8", "<f4", "<i2", "<f4"), strict=True)
    )
    shape = rows, -1
    return SoftBatch(symbols.reshape(shape), gamma.reshape(shape), place.reshape(shape), tasks, pilots)


def serve(address: str, name: str, decode: Decode) -> None:
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
            socket.send_multipart([job, msgpack.packb(decode(unpack_batch(parts)))])
    finally:
        context.destroy(linger=0)


def main() -> int:
    """Load the decoder and serve."""
    address, name, model, model_id, form = sys.argv[1:]
    log.set_up("warning", form)
    from common.pair.manifest import find_pair
    from scrx.decoding.answerer import Answerer

    try:
        manifest = find_pair(model)
        if manifest.id != model_id:
            raise ModelError(f"the pair in {model} is no longer the one that scrx was started with; start scrx again")
        answerer = Answerer(manifest)
    except SemlinkError as error:
        tell(f"error: worker {name}: {error}", "error")
        return error.exit_code
    serve(address, name, answerer.answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
