"""The processes that `bench_link.py` measures: `python link_parts.py echo PORT | hop PORT UPSTREAM | receive PORT`.

echo, hop: bare pyzmq and nothing else, the floor. receive: a whole receiver for frames of 1,024 symbols (8 KB) whose
decoder is instant; on SIGTERM it prints when each frame was where (monotonic ns, which processes of one host share).
"""

import json
import sys
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any

import zmq

from common.manifest import Manifest, find_pair
from common.phy.layout import Layout
from common.protocol.messages import Message, Result
from common.transport.signals import StopFlag
from scrx import receiver
from scrx.link import Link
from scrx.session import Route, Work

SYMBOLS = 1024


def manifest_8kb() -> Manifest:
    """The digits pair with longer increments: the whole ladder and its pilots make one frame of 8 KB."""
    return replace(find_pair("digits"), layout=Layout((200, 200, 200, 200, 216), pilots=8, slot=SYMBOLS))


def echo(port: str) -> None:
    """Answer each message with its own parts."""
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(f"tcp://127.0.0.1:{port}")
    while True:
        socket.send_multipart(socket.recv_multipart())


def hop(port: str, upstream: str) -> None:
    """Pass messages both ways."""
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.bind(f"tcp://127.0.0.1:{port}")
    back.connect(f"tcp://127.0.0.1:{upstream}")
    poller = zmq.Poller()
    for socket in (front, back):
        poller.register(socket, zmq.POLLIN)
    while True:
        for socket, _ in poller.poll():
            (back if socket is front else front).send_multipart(socket.recv_multipart())


def receive(port: str) -> None:
    """The receiver, with a note of the time at each hand-over."""
    times: dict[int, dict[str, int]] = defaultdict(dict)
    take, finish, send = receiver.Receiver._handle, receiver.Receiver._finish, Link._send

    def noted_take(self: receiver.Receiver, batch: list[Work]) -> None:
        for work in batch:
            times[work.data.seq] |= {"arrived": work.arrived_ns, "taken": time.monotonic_ns()}
        take(self, batch)

    def noted_finish(self: receiver.Receiver, works: list[Work], *more: Any) -> None:
        for work in works:
            times[work.data.seq]["decoded"] = time.monotonic_ns()
        finish(self, works, *more)

    def noted_send(self: Link, route: Route, message: Message) -> None:
        send(self, route, message)
        if isinstance(message, Result):
            times[message.seq]["answered"] = time.monotonic_ns()

    receiver.Receiver._handle, receiver.Receiver._finish, Link._send = noted_take, noted_finish, noted_send  # type: ignore[method-assign,assignment]
    receiver.find_pair = lambda model: manifest_8kb()  # type: ignore[assignment]
    stop, answer = StopFlag(), [{"classify": {"index": 0, "label": "0", "confidence": 1.0}}]
    with receiver.Receiver(port, decoder=lambda symbols, gamma, tasks: answer * len(tasks)) as rx:
        print(f"listening on {rx.address}", file=sys.stderr, flush=True)
        while not stop:
            time.sleep(0.05)
    print(json.dumps(times))


if __name__ == "__main__":
    {"echo": echo, "hop": hop, "receive": receive}[sys.argv[1]](*sys.argv[2:])
