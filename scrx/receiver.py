"""The receiver: symbols in, answers and channel reports out. The Python API of the receiving half.

    with scrx.Receiver("5555") as rx:
        for answer in rx.answers():      # where the answer is used
            print(answer.label, answer.confidence, answer.snr_est_db)

Knows nothing about how answers are shown. One thread does I/O, one decodes.
"""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import SemlinkError
from common.manifest import find_pair
from common.nn.device import pick_device
from common.protocol.messages import Result, Status
from common.transport.sockets import parse_listen
from scrx.batcher import Batcher
from scrx.feedback import answer, no_answer
from scrx.link import Link
from scrx.pipeline import Decoded, ReceiveChain, Received
from scrx.session import SessionTable, Terms, Work

DRAIN_S = 2.0
KEPT_ANSWERS = 4096


@dataclass(frozen=True, slots=True)
class ReceivedAnswer:
    """One answer at the receiver. `session`: 8 hex digits; `final`: no further round was asked for; SNR in dB; us."""

    session: str
    seq: int
    round: int
    answer: int
    label: str
    confidence: float
    outputs: dict[str, Any]
    final: bool
    snr_est_db: float | None
    queue_us: int
    decode_us: int


class Receiver:
    """Answers any number of transmitters.

    listen: "PORT" or "ADDRESS:PORT" (port 0 takes a free one; `address` says which). model: a shipped pair's name or a
    directory. insecure: let other hosts reach the port without encryption. max_batch: frames decoded together;
    batch_wait_ms: how long to wait for a fuller batch (0: a lone frame never waits). window: frames a transmitter may
    have in flight. device: "auto", "cpu", "cuda".

    Raises ConfigError (port taken, no such model), ModelError (damaged weights) on opening.
    """

    def __init__(
        self,
        listen: str = "5555",
        model: str | Path = "digits",
        *,
        insecure: bool = False,
        device: str = "auto",
        max_batch: int = 32,
        batch_wait_ms: float = 0.0,
        window: int = 2,
        deadline_cap_ms: int = 60_000,
        max_sessions: int = 64,
    ) -> None:
        self.manifest = find_pair(model)
        address = parse_listen(listen, insecure)
        self.chain = ReceiveChain(self.manifest, pick_device(device))
        layout = self.manifest.layout
        rates = range(len(layout.increments))
        terms = Terms(
            model_id=bytes.fromhex(self.manifest.id),
            slot=layout.slot,
            frame_symbols={
                (start, rate): layout.frame_symbols(start, rate) for rate in rates for start in range(rate + 1)
            },
            max_symbols=layout.slot,
            tasks=self.manifest.tasks,
            window=window,
            deadline_cap_ms=deadline_cap_ms,
            max_sessions=max_sessions,
        )
        self._max_batch, self._wait_s, self._window = max_batch, batch_wait_ms / 1000, window
        self._answers: queue.Queue[ReceivedAnswer | Exception | None] = queue.Queue(KEPT_ANSWERS)
        self._batcher = Batcher()
        self.answered = self.expired = 0
        self.table = SessionTable(terms)
        self.link = Link(address, self.table, self._batcher, self._publish)
        self.address = self.link.address
        self._thread = threading.Thread(target=self._decode_loop, name="scrx-decode", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answers(self, timeout_s: float | None = None) -> Iterator[ReceivedAnswer | None]:
        """Answers as they are made; None each time nothing came for `timeout_s`. Ends when the receiver is closed.

        Nobody has to read them: only the last 4,096 are kept.
        """
        while True:
            try:
                item = self._answers.get(timeout=timeout_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item

    def close(self) -> None:
        """Drain: BYE to every session, decode what is queued for at most 2 s, close."""
        if self._batcher.closed:
            return
        self.link.drain()
        self._batcher.close()
        self._thread.join(timeout=DRAIN_S)
        self.link.close()

    # -- the decode thread

    def _decode_loop(self) -> None:
        try:
            while (batch := self._batcher.take(self._max_batch, self._wait_s)) is not None:
                self._handle(batch)
                self._batcher.finished()
        except Exception as error:  # told to whoever reads the answers
            self._publish(error if isinstance(error, SemlinkError) else SemlinkError(f"decoding failed: {error!r}"))
        self._publish(None)

    def _handle(self, batch: Sequence[Work]) -> None:
        for session in self._batcher.ended:
            self.chain.forget(session)
        started = time.monotonic_ns()
        expired = [work for work in batch if started > work.expires_ns]
        fresh = [work for work in batch if started <= work.expires_ns]
        if expired:
            late = [no_answer(work, Status.EXPIRED, started - work.arrived_ns, self._window) for work in expired]
            self.expired += len(late)
            self.link.post(late)
        if not fresh:
            return
        decoded = self.chain.receive([_received(work) for work in fresh])
        took = time.monotonic_ns() - started
        pairs = [(work, item) for work, item in zip(fresh, decoded, strict=True)]
        results = [answer(work, item, started - work.arrived_ns, took, self._window) for work, item in pairs]
        self.answered += len(results)
        self.link.post(results)
        for result, (_, item) in zip(results, pairs, strict=True):
            self._publish(self._shown(result, item))

    def _publish(self, item: ReceivedAnswer | Exception | None) -> None:
        while True:
            try:
                self._answers.put_nowait(item)
                return
            except queue.Full:
                try:
                    self._answers.get_nowait()
                except queue.Empty:
                    continue

    def _shown(self, result: Result, decoded: Decoded) -> ReceivedAnswer:
        classified = result.outputs.get("classify", {})
        return ReceivedAnswer(
            result.session.hex()[:8], result.seq, result.round, int(classified.get("index", -1)),
            str(classified.get("label", "")), result.confidence, result.outputs,
            result.status is Status.OK, decoded.estimate.snr_inst_db if decoded.estimate else None,
            result.queue_us, result.decode_us,
        )  # fmt: skip


def _received(work: Work) -> Received:
    data = work.data
    return Received(data.session, data.seq, data.symbols, data.air_start, data.start_id, data.rate_id, work.tasks)
