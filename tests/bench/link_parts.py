"""The processes that `bench_link.py` measures: `python link_parts.py echo | hop UPSTREAM | receive PORT`.

Each says where it listens; the port is the system's choice, so that nobody else can have taken it.

echo, hop: bare pyzmq and nothing else, the floor. answer, impair: the same loops with what no link of this kind can do
without: reading and writing headers, the channel's arithmetic, the receiver's estimator. receive: a whole receiver for
frames of 1,024 symbols (8 KB) whose decoder is instant; on SIGTERM it prints when each frame was where (monotonic ns,
which processes of one host share).
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.pair.manifest import Manifest, find_pair
from common.phy.layout import Layout
from common.protocol.frames import decode, encode, peek_data, split
from common.protocol.messages import Message, Result, Status
from common.shutdown import StopFlag
from scrx import receiver
from scrx.demodulation.demodulate import Demodulator, Received
from scrx.link import Link
from scrx.sessions.table import Route, Work

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.all_on import settings, shown

SYMBOLS = 1024
ANSWER = {"classify": {"index": 0, "name": "0", "confidence": 1.0}}


def manifest_8kb() -> Manifest:
    """The digits pair with longer increments: the whole ladder and its pilots make one frame of 8 KB."""
    pair, layout = find_pair("digits"), Layout((200, 200, 200, 200, 216), pilots=8, slot=SYMBOLS)
    longer = pair.words.right[-1:] * (layout.max_symbols - len(pair.words.right))
    return replace(pair, layout=layout, words=replace(pair.words, right=pair.words.right + longer))


def bound(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """A ROUTER at a port of its own, which it says."""
    socket = context.socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:0")
    print(f"listening on {socket.last_endpoint.decode()}", file=sys.stderr, flush=True)
    return socket


def echo() -> None:
    """Answer each message with its own parts."""
    socket = bound(zmq.Context())
    while True:
        socket.send_multipart(socket.recv_multipart())


def answer() -> None:
    """Read DATA, estimate and equalise, answer with a RESULT: no session, no deadline, one thread."""
    socket = bound(zmq.Context())
    demodulator = Demodulator(manifest_8kb().layout)
    while True:
        envelope, body = split(socket.recv_multipart())
        data = decode(body)
        _, (estimate,) = demodulator.demodulate(
            [Received(data.session, data.seq, data.symbols, data.air_start, data.start_id, data.rate_id, ())]
        )
        result = Result(
            data.session, data.seq, data.round, Status.OK, estimate.snr_inst_db, estimate.snr_avg_db,
            estimate.inst_error_db, estimate.avg_error_db, estimate.fd, data.air_start, 1.0, 0, 0, 2, ANSWER,
        )  # fmt: skip
        socket.send_multipart([*envelope, *encode(result)])


def impair(upstream: str) -> None:
    """`hop` that reads the head of DATA and adds noise to its symbols."""
    channel = Channel(ChannelSpec(snr_db=10.0))

    def noisy(parts: list[bytes]) -> list[bytes]:
        head = peek_data(parts[-2])
        y = channel.transform(head.stream, head.air_start, np.frombuffer(parts[-1], "<c8"), head.round)
        return [*parts[:-1], y.tobytes()]

    hop(upstream, noisy)


def hop(upstream: str, forward: Callable[[list[bytes]], list[bytes]] = lambda parts: parts) -> None:
    """Pass messages both ways."""
    context = zmq.Context()
    front, back = bound(context), context.socket(zmq.DEALER)
    back.connect(f"tcp://127.0.0.1:{upstream}")
    poller = zmq.Poller()
    for socket in (front, back):
        poller.register(socket, zmq.POLLIN)
    while True:
        for socket, _ in poller.poll():
            parts = socket.recv_multipart()
            if socket is front:
                back.send_multipart(forward(parts))
            else:
                front.send_multipart(parts)


def receive(port: str) -> None:
    """The receiver, with a note of the time at each hand-over."""
    times: dict[int, dict[str, int]] = defaultdict(dict)
    take, finish, send = receiver.Receiver._handle, receiver.Receiver._finish, Link._send

    def noted_take(self: receiver.Receiver, batch: list[Work]) -> None:
        for work in batch:
            times[work.data.seq] |= {"arrived": work.arrived_ns, "taken": time.monotonic_ns()}
        take(self, batch)

    def noted_finish(self: receiver.Receiver, works: list[Work], *more: Any, **named: Any) -> None:
        for work in works:
            times[work.data.seq]["decoded"] = time.monotonic_ns()
        finish(self, works, *more, **named)

    def noted_send(self: Link, route: Route, message: Message) -> None:
        send(self, route, message)
        if isinstance(message, Result):
            times[message.seq]["answered"] = time.monotonic_ns()

    receiver.Receiver._handle, receiver.Receiver._finish, Link._send = noted_take, noted_finish, noted_send  # type: ignore[method-assign,assignment]
    stop = StopFlag()
    instant = lambda symbols, gamma, tasks: [ANSWER] * len(tasks)  # noqa: E731
    with receiver.Receiver(port, manifest_8kb(), settings(), decoder=instant) as rx, shown(rx):
        print(f"listening on {rx.address}", file=sys.stderr, flush=True)
        while not stop:
            time.sleep(0.05)
    print(json.dumps(times))


if __name__ == "__main__":
    parts = {"echo": echo, "hop": hop, "answer": answer, "impair": impair, "receive": receive}
    parts[sys.argv[1]](*sys.argv[2:])
