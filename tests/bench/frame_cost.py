"""Prints what one frame costs in Python, by stage, without sockets: `python -m tests.bench.frame_cost [REPEATS]`.

Microseconds, the least of many repetitions: what other work does to the machine adds time and takes none away. The
frame is that of `bench_link.py`: 1,024 symbols (8 KB), AWGN, an instant decoder. Knows nothing about sockets.
"""

import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire import proxy
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode, split
from common.protocol.messages import Accept, Hello
from scrx.decoding.batcher import Batcher
from scrx.demodulation.demodulate import Demodulator
from scrx.feedback import answer
from scrx.receiver import received
from scrx.sessions import table as rx_session
from sctx import session as tx_session
from sctx.actions import Frame, Terms
from tests.bench.link_parts import ANSWER, SYMBOLS, manifest_8kb

FRAMES = 8
STAGES = (
    "transmitter: session, header", "emulator: forward, noise", "receiver: checks, table, queue",
    "receiver: estimate, equalise", "receiver: result, header", "emulator: back", "transmitter: answer",
)  # fmt: skip


class Path:
    """All that a frame runs through, stage by stage, with the time of each."""

    def __init__(self) -> None:
        manifest = manifest_8kb()
        layout, model = manifest.layout, bytes.fromhex(manifest.id)
        now = time.monotonic_ns()
        terms = Terms(bytes(range(16)), model, "cost", layout.slot, False, 10_000, 60.0)
        self.tx = tx_session.Session(terms, now)
        accept = Accept(terms.session, 1, model, 2, layout.slot, layout.slot, 60_000, 250, 3, 1, (), now, now, now)
        self.tx.on_message(accept, now)
        rates = range(len(layout.increments))
        frame_symbols = {(s, r): layout.frame_symbols(s, r) for r in rates for s in range(r + 1)}
        self.table = rx_session.SessionTable(
            rx_session.Terms(model, layout.slot, frame_symbols, layout.slot, manifest.tasks)
        )
        self.table.on_message(Hello(terms.session, 1, 1, "cost", model, (0,), (), now), (b"r",), now)
        self.batcher, self.demodulator = Batcher(), Demodulator(layout)
        self.passed: list[list[bytes]] = []
        proxy.put = lambda socket, parts: self.passed.append(parts)  # type: ignore[assignment]
        self.emulator = proxy.Proxy(
            zmq.Context(), Channel(ChannelSpec(snr_db=10.0)), "tcp://127.0.0.1:0", "tcp://127.0.0.1:1"
        )
        symbols = np.exp(1j * np.arange(SYMBOLS - 8)).astype(np.complex64)
        self.payload = np.concatenate((pilot_sequence(8), symbols)).astype("<c8").tobytes()
        self.seq = 0
        self.spent: dict[str, int] = {}

    def send(self) -> None:
        """One frame there and its answer back."""
        self.seq += 1
        clock, stage, marks = time.perf_counter_ns, self._stage, [time.perf_counter_ns()]
        frame = Frame(self.seq, 0, 0, self.seq * SYMBOLS, 0, 4, time.monotonic_ns(), self.payload)
        (action,) = self.tx.submit(frame, time.monotonic_ns())
        parts = encode(action.message)  # type: ignore[union-attr]
        marks.append(clock())
        self.emulator._forward([b"r", *parts])
        parts = self.passed.pop()
        marks.append(clock())
        envelope, body = split(parts)
        now = time.monotonic_ns()
        (work,) = self.table.on_message(decode(body, rx_session.INBOUND), tuple(envelope), now)
        self.batcher.put(work)  # type: ignore[arg-type]
        marks.append(clock())
        batch = self.batcher.take(32)
        _, estimates = self.demodulator.demodulate([received(one) for one in batch])
        marks.append(clock())
        result = answer(batch[0], ANSWER, estimates[0], 1000, 2000, 2)
        (reply,) = self.table.on_result(result)
        parts = [*reply.route, *encode(reply.message)]  # type: ignore[union-attr]
        self.batcher.finished()
        marks.append(clock())
        self.emulator._return(parts)
        parts = self.passed.pop()
        marks.append(clock())
        self.tx.on_message(decode(parts[1:], tx_session.INBOUND), time.monotonic_ns())
        marks.append(clock())
        stage(marks)

    def _stage(self, marks: list[int]) -> None:
        for name, (begun, ended) in zip(STAGES, pairwise(marks), strict=True):
            self.spent[name] = self.spent.get(name, 0) + ended - begun


def least(work: Callable[[], dict[str, int]], repeats: int) -> dict[str, float]:
    """The least of each stage over `repeats`, in us per frame."""
    found = [work() for _ in range(repeats)]
    return {name: min(one[name] for one in found) / FRAMES / 1e3 for name in found[0]}


def main() -> None:
    path = Path()

    def frames() -> dict[str, Any]:
        path.spent = {}
        for _ in range(FRAMES):
            path.send()
        return path.spent

    frames()
    found = least(frames, int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(json.dumps({**{name: round(us, 2) for name, us in found.items()}, "all": round(sum(found.values()), 2)}))


if __name__ == "__main__":
    main()
