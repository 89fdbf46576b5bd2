"""The receiver: symbols in, answers and channel reports out. The Python API of the receiving half.

    with scrx.Receiver("5555", "digits", scrx.Settings(window=4)) as rx:
        for answer in rx.answers():      # where the answer is used
            print(answer.name, answer.confidence, answer.snr_est_db)

Knows nothing about how answers are shown. One thread listens for frames, estimates, equalises and decodes, or leaves
decoding to worker processes; while it is busy, another one listens.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from common.check import made_by, takes
from common.control.private import control_to_bind
from common.errors import ConfigError, SemlinkError
from common.pair.agreement import Agreement
from common.pair.manifest import find_pair
from common.protocol.messages import Result, Status
from common.transport.claimed import check_free
from common.transport.endpoints import parse_listen
from common.transport.keystore import find_keys
from scrx.answers import Answers, ReceivedAnswer
from scrx.decoding.batcher import Batcher
from scrx.decoding.brought import Brought, attainable_by, check_brought, decode_by, readable, worker_command
from scrx.decoding.pool import Pool
from scrx.decoding.tasks import Outputs
from scrx.demodulation.demodulate import Demodulator, Received, SoftBatch
from scrx.demodulation.tracker import ChannelEstimate
from scrx.feedback import answer, no_answer
from scrx.heads.desk import Desk
from scrx.heads.service import Asked, open_heads
from scrx.link import Link
from scrx.sessions.table import SessionTable, Terms, Work
from scrx.settings import Settings

logger = logging.getLogger(__name__)
DRAIN_S = 2.0


class Witness(Protocol):
    """Told of each batch when it goes to the decoder and when it was answered, which may be in another thread."""

    def began(self, works: Sequence[Work], soft: SoftBatch, estimates: Sequence[ChannelEstimate | None]) -> None: ...
    def answered(self, results: Sequence[Result], took_ns: int, heads: Sequence[dict[str, Any]]) -> None: ...


class Receiver:
    """Answers any number of transmitters.

    listen: "PORT" or "ADDRESS:PORT" (port 0 takes a free one; `address` says which). model: a shipped pair's name, a
    directory, or a manifest that was read. settings: see `Settings`, which says what holds without.
    stop: asked while the workers start; once it says True they are not waited for, and all that is left is to close.
    decoder: another one than the pair's, such as a model that some engine serves; called in the decode thread. It is
    all that is needed where `model` is no pair, but what both ends agreed on (`common.pair.agreement`). One that has
    `answer` is given the batch whole.

    Raises ConfigError (wrong use, port taken, no such model), ModelError (damaged weights) on opening.
    """

    def __init__(
        self,
        listen: str = "5555",
        model: str | Path | Agreement = "digits",
        settings: Settings | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
        decoder: Brought | None = None,
    ) -> None:
        self.settings = settings = made_by("settings", settings, Settings)
        if stop is not None:
            takes("stop", stop)
        check_brought(decoder)
        if settings.workers and decoder is not None:
            raise ConfigError("a receiver has either workers or a decoder of its own")
        self.manifest = model if isinstance(model, Agreement) else find_pair(model)
        self.keys = find_keys(settings.keys, settings.insecure)
        address = parse_listen(listen, settings.insecure or self.keys is not None)
        check_free(address)
        control = None if settings.control is None else control_to_bind(settings.control, settings.insecure)
        keeps = control is not None or settings.heads is not None
        self.heads = open_heads(self.manifest, settings.heads, settings.unknown) if keeps else None
        self._answers = Answers()
        self._batcher = Batcher()
        self.answered = self.expired = self.failed = 0
        self.newest: Result | None = None
        """The answer that was made last."""
        self._counting = threading.Lock()
        self.stuck = self._broken = False
        self.witness: Witness | None = None
        """What is told of each batch, where somebody wants to see it."""
        self._demodulator = Demodulator(self.manifest.layout)
        self.table = SessionTable(offered(self.manifest, settings))
        self.pool: Pool | None = None
        self.desk: Desk | None = None
        try:
            self._open(address, control, decoder, stop)
        except BaseException:
            self._leave(0.0)
            raise
        self.address = self.link.address
        self._thread = threading.Thread(target=self._decode_loop, name="scrx-decode", daemon=True)
        self._thread.start()

    def _open(self, address: str, control: str | None, decoder: Brought | None, stop: Callable[[], bool]) -> None:
        """The decoder, the control port, and last the link."""
        settings = self.settings
        if settings.workers:
            pair = readable(self.manifest)  # what is wrong with it is told once, and not by each worker
            self.pool = Pool([worker_command(pair)] * settings.workers, settings.worker_timeout_s, self._break, stop)
        else:
            wide = 0 if self.heads is None else self.heads.shelf.space.wide
            self._decode = decode_by(decoder, self.manifest, wide)
        self._attainable = attainable_by(decoder, self.manifest)
        if self.heads is not None and control is not None:
            self.desk = Desk(control, self.heads, self._sessions)
        self.link = Link(address, self.table, self._batcher, self._break, self.keys)

    def _sessions(self) -> list[str]:
        """Those that are connected, as 32 hex digits. For any thread."""
        return [session.hex() for session in list(self.table.peers)]

    def _leave(self, drain_s: float) -> None:
        """Close what is no part of the link."""
        if self.pool is not None:
            self.pool.close(drain_s)
        if self.desk is not None:
            self.desk.close()
        if self.heads is not None:
            self.heads.shelf.close()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answers(self, timeout_s: float | None = None) -> Iterator[ReceivedAnswer | None]:
        """Answers as they are made; None each time nothing came for `timeout_s`. Ends when the receiver is closed.

        One that comes alone is there at once; those of a stream of more than 200 a second are read together, 5 ms after
        the last ones at the latest. With a `timeout_s` of 5 ms or less each is there at once.
        Nobody has to read them: only the last 4,096 are kept.
        """
        return self._answers.each(timeout_s)

    def batches(self, timeout_s: float | None = None) -> Iterator[list[ReceivedAnswer]]:
        """The same, all that are there at a time, 64 at most: one write, or commit, for them costs less than one each.

        An empty list each time nothing came for `timeout_s`.
        """
        return self._answers.together(timeout_s)

    @property
    def closed(self) -> bool:
        """Whether it answers nothing more: `close` was called, or an error ended it, which `answers` raises."""
        return self._batcher.closed or self._broken

    @property
    def unanswered(self) -> int:
        """Batches in a row that the decoder, or the workers, left without any answer. The log says why."""
        return self._decode.unanswered if self.pool is None else self.pool.unanswered

    @property
    def fault(self) -> str:
        """What was wrong with a decoder in this process the last time that it failed; empty: nothing so far."""
        return self._decode.fault if self.pool is None else ""

    @property
    def queue_depth(self) -> int:
        """Frames that wait for the decoder."""
        return self._batcher.depth

    @property
    def progress_age_ms(self) -> int:
        """How long work has been waiting with nothing decoded; 0 when idle."""
        return self._batcher.progress_age_ms

    def close(self) -> None:
        """Drain: BYE to every session, decode what is queued for at most 2 s, close.

        `stuck` is True from then on if the decoder did not come back in that time. Raises ConfigError where the decoder
        itself calls it: it would wait for itself.
        """
        if self._batcher.closed:
            return
        if threading.current_thread() is self._thread:
            raise ConfigError("a decoder cannot close its receiver, which waits for it: use another thread")
        until = time.monotonic() + DRAIN_S
        if self.desk is not None:
            self.desk.end()
        self.link.drain()
        self._batcher.close()
        self._thread.join(timeout=DRAIN_S)
        self._leave(max(until - time.monotonic(), 0.0))
        if self.pool is not None:
            self._thread.join(timeout=DRAIN_S)
        self.stuck = self._thread.is_alive()
        self.link.close()
        self._answers.put(None)

    # -- the decode thread

    def _decode_loop(self) -> None:
        try:
            while (batch := self._take()) is not None:
                self._handle(batch)
        except BaseException as error:  # told to whoever reads the answers, and in the log, for nobody may
            logger.exception("decoding_ended")
            self._break(error if isinstance(error, SemlinkError) else SemlinkError(f"decoding failed: {error!r}"))
        if self._broken:
            self.link.drain()  # nobody is to wait for what cannot answer

    def _break(self, error: SemlinkError) -> None:
        """The end, by an error, of what it cannot do without. For any thread."""
        self._broken = True
        self._answers.put(error)

    def _take(self) -> list[Work] | None:
        if self.pool is not None:
            self.pool.wait_free()  # what waits here longer leaves in a fuller batch
        while not (self._batcher.over or self._broken):
            self.link.listen(self._batcher.pause_s)
            if batch := self._batcher.take(self.settings.max_batch, self.settings.batch_wait_ms / 1000):
                return batch
        return None

    def _handle(self, batch: Sequence[Work]) -> None:
        for session in self._batcher.ended:
            self._demodulator.forget(session)
        started = time.monotonic_ns()
        fresh = [work for work in batch if started <= work.expires_ns]
        self._refuse([work for work in batch if started > work.expires_ns], Status.EXPIRED, started)
        if not fresh:
            self._batcher.finished()
            return
        soft, estimates = self._demodulator.demodulate([received(work) for work in fresh])
        if self.witness is not None:
            self.witness.began(fresh, soft, estimates)
        asked = self.heads.ask(soft) if self.heads is not None else None
        soft = soft if asked is None else asked.soft
        done = partial(self._finish, fresh, estimates, started, asked=asked)
        if self.pool is not None:
            self.pool.submit(soft, max(work.expires_ns for work in fresh) / 1e9, done)
        else:
            done(self._decode(soft))

    def _finish(
        self,
        works: Sequence[Work],
        estimates: Sequence[ChannelEstimate | None],
        started: int,
        outputs: Sequence[Outputs | None] | None,
        asked: Asked | None = None,
    ) -> None:
        """Send and show a batch's answers. With workers this runs in the pool's thread."""
        now = time.monotonic_ns()
        if outputs is None:
            outputs = [None] * len(works)
        if missing := outputs.count(None):
            until = math.inf if self._batcher.closed else now  # what we leave, the next receiver may answer
            left = [work for work, output in zip(works, outputs, strict=True) if output is None]
            self._refuse([work for work in left if until > work.expires_ns], Status.EXPIRED, started)
            self._refuse([work for work in left if until <= work.expires_ns], Status.FAILED, started)
        if missing < len(outputs):
            took, credits = now - started, self._credits()
            if asked is not None:
                asked.take(outputs)
            results = [
                answer(work, output, estimate, started - work.arrived_ns, took, credits, self._attainable)
                for work, output, estimate in zip(works, outputs, estimates, strict=True)
                if output is not None
            ]
            self.answered += len(results)
            self.newest = results[-1]
            self.link.post(results)
            told = asked.judge(results) if asked is not None else [{} for _ in results]
            for given in zip(results, told, strict=True):
                self._answers.put(given)
            if self.witness is not None:
                self.witness.answered(results, took, told)
        self._batcher.finished(decoded=missing < len(outputs))

    def _refuse(self, works: Sequence[Work], status: Status, started: int) -> None:
        """EXPIRED lets a finite source send the frame again, FAILED does not."""
        if not works:
            return
        with self._counting:  # the decode thread and the pool's
            self.expired += len(works) if status is Status.EXPIRED else 0
            self.failed += len(works) if status is Status.FAILED else 0
        credits = self._credits()
        self.link.post([no_answer(work, status, started - work.arrived_ns, credits) for work in works])

    def _credits(self) -> int:
        """Frames that a transmitter may have in flight: one while two whole batches wait, which are work enough."""
        return self.settings.window if self._batcher.depth < 2 * self.settings.max_batch else 1


def offered(manifest: Agreement, settings: Settings) -> Terms:
    """What a receiver of this pair offers a transmitter."""
    layout = manifest.layout
    rates = range(len(layout.increments))
    return Terms(
        model_id=bytes.fromhex(manifest.id),
        slot=layout.slot,
        frame_symbols={(start, rate): layout.frame_symbols(start, rate) for rate in rates for start in range(rate + 1)},
        max_symbols=layout.slot,
        tasks=manifest.tasks,
        window=settings.window,
        deadline_cap_ms=settings.deadline_cap_ms,
        max_sessions=settings.max_sessions,
        model_name=manifest.name,
    )


def received(work: Work) -> Received:
    """A frame that the session table gave out, as the demodulator takes it."""
    data = work.data
    return Received(
        data.session, data.seq, data.symbols, data.air_start, data.start_id, data.rate_id, work.tasks,
        more=data.ask_below > 0, words=data.words,
    )  # fmt: skip
