"""Decoders in worker processes: started, fed one batch each, watched, killed where they hang, started again.

Knows nothing about sessions, deadlines or models; what goes over the wire is in `scrx/decoding/worker.py`.

    submit(batch) --> waiting --> an idle worker --answer--> done(outputs)
                         ^             |
                         +-- once -----+ died, or silent for `limit_s` (killed);  the second time, or late: done(None)
"""

import logging
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import msgpack
import zmq

from common.errors import ConfigError, SemlinkError
from common.transport.sockets import bind
from common.transport.waiting.io_threads import make_context
from common.transport.waiting.watch import Waker
from scrx.decoding.tasks import Outputs
from scrx.decoding.worker import pack_batch, pool_socket
from scrx.demodulation.demodulate import SoftBatch

logger = logging.getLogger(__name__)
TICK_MS = 50
START_S, END_S = 120.0, 1.0
TRIES = 2
FIRST_PAUSE_S, DOUBLINGS = 0.25, 5
STOPPED_S = 1.0
"""A turn of the pool's thread that took so much longer than a tick: the receiver itself was stopped or starved."""

Done = Callable[[list[Outputs] | None], None]
"""Takes one {task: answer} per row, or None where no worker could answer or the pool was closed."""


@dataclass(slots=True)
class Job:
    """A batch, until when it is worth trying again, who waits for it, and how many workers were given it."""

    batch: SoftBatch
    until_s: float
    done: Done
    tries: int = 0


@dataclass(slots=True)
class Worker:
    """A place in the pool and the process that fills it. `since_s`: when it was started or given its job."""

    command: Sequence[str]
    name: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    ready: bool = False
    job: Job | None = None
    number: bytes = b""
    since_s: float = 0.0
    ends: int = 0
    """Processes in a row that ended without an answer: each one makes the pause before the next longer."""


class Pool:
    """One worker process per command in `commands`; ADDRESS and NAME are put behind its first three words.

    limit_s: how long a worker may take over a batch. Opening waits until all are ready, or `stop` says to give up; it
    raises SemlinkError, or ConfigError (wrong use), where one ends before it is ready.
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        limit_s: float,
        on_failure: Callable[[SemlinkError], None],
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_s, self._on_failure, self._clock = limit_s, on_failure, clock
        self._workers = [Worker(command) for command in commands]
        self._waiting: deque[Job] = deque()
        self._dying: list[subprocess.Popen[bytes]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._stop = False
        self.restarts = self.retries = 0
        self.unanswered = 0
        """Batches in a row that workers ended without answering, whichever worker it was."""
        self._exit_code = 0
        self._context = make_context()
        # Only this user may dial in to a folder, where an abstract address is open to all; kill -9 leaves it behind.
        self._folder = tempfile.TemporaryDirectory(prefix="scrx-")
        self._socket = pool_socket(self._context, zmq.ROUTER)
        self._address = bind(self._socket, f"ipc://{self._folder.name}/pool", "workers")
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name="scrx-pool", daemon=True)
        self._thread.start()
        try:
            self._wait_until_ready(stop)
        except BaseException:
            self.close(0.0)
            raise

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that are ready."""
        with self._changed:
            return [worker.process.pid for worker in self._workers if worker.ready and worker.process]

    @property
    def ready(self) -> int:
        """How many workers are ready; waits for no lock."""
        return sum(worker.ready for worker in self._workers)

    def wait_free(self) -> None:
        """Wait until an idle worker would take the next batch at once, or the pool is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop or self._idle() > len(self._waiting))

    def submit(self, batch: SoftBatch, until_s: float, done: Done) -> None:
        """Decode a batch, whose answers nobody wants after `until_s` (monotonic); `done` is called in our thread.

        A closed pool calls it at once.
        """
        with self._changed:
            closed = self._stop
            if not closed:
                self._waiting.append(Job(batch, until_s, done))
        if closed:
            done(None)
        else:
            self._waker.wake()

    def close(self, drain_s: float) -> None:
        """Give the workers `drain_s` for what they have, then end them."""
        with self._changed:
            self._changed.wait_for(lambda: self._stop or not self._open_jobs(), drain_s)
            self._stop = True
            self._changed.notify_all()
        self._waker.wake()
        self._thread.join(timeout=5)
        self._waker.close()
        self._context.destroy(linger=0)
        self._folder.cleanup()

    def _wait_until_ready(self, stop: Callable[[], bool]) -> None:
        with self._changed:  # our thread notifies at every tick, so `stop` is asked that often
            self._changed.wait_for(lambda: self._stop or all(w.ready for w in self._workers) or self.restarts or stop())
            if stop() or all(worker.ready for worker in self._workers):
                return
        raise (ConfigError if self._exit_code == ConfigError.exit_code else SemlinkError)(
            "workers: a worker ended before it was ready; what it said is above"
        )

    # -- the pool's thread; it changes the workers only while it holds the lock

    def _run(self) -> None:
        # Inherited by the workers, from their first instruction on: these signals are for the receiver.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        looked_s = self._clock()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._waker.reader, zmq.POLLIN)
        try:
            while not self._stop:
                poller.poll(TICK_MS)
                self._waker.drain()
                over = self._receive()
                now = self._clock()
                with self._changed:
                    self._forgive(now - looked_s)
                    looked_s = now
                    self._dying = [process for process in self._dying if process.poll() is None]
                    over += [job for worker in self._workers for job in self._look_after(worker, now)]
                    self._hand_out(now)
                    self._changed.notify_all()
                for job, outputs in over:
                    job.done(outputs)
        except Exception as error:  # a receiver that decodes nothing must not look alive
            failure = SemlinkError(f"the pool of workers stopped working: {error!r}")
            failure.__cause__ = error
            self._on_failure(failure)
        finally:
            self._end()

    def _receive(self) -> list[tuple[Job, list[Outputs] | None]]:
        over: list[tuple[Job, list[Outputs] | None]] = []
        while self._socket.poll(0):
            name, number, *parts = self._socket.recv_multipart()
            worker = next((w for w in self._workers if w.name.encode() == name), None)
            if worker is None:
                continue  # said before it was killed
            with self._changed:
                if not number:
                    worker.ready = True
                    took_s = round(self._clock() - worker.since_s, 3)
                    logger.info("worker_ready", extra={"worker": worker.name, "took_s": took_s})
                elif worker.job is not None and number == worker.number:
                    over.append((worker.job, msgpack.unpackb(parts[0])))
                    worker.job, worker.ends, self.unanswered = None, 0, 0
        return over

    def _forgive(self, turn_s: float) -> None:
        """Time in which we did not run counts against no worker: its answer may wait in the socket."""
        missed_s = turn_s - TICK_MS / 1e3
        if missed_s > STOPPED_S:
            for worker in self._workers:
                worker.since_s += missed_s

    def _look_after(self, worker: Worker, now: float) -> list[tuple[Job, None]]:
        """Kill what hangs, bury what is dead, start what is due; jobs that nobody could answer."""
        if worker.process is None:
            if now - worker.since_s >= pause_s(worker.ends):
                self._start(worker, now)
            return []
        limit_s = START_S if not worker.ready else self._limit_s
        hangs = (not worker.ready or worker.job is not None) and now - worker.since_s > limit_s
        code = worker.process.poll()
        if code is None and not hangs:
            return []
        if code is None:  # not waited for: one that is stuck in a driver may never end
            worker.process.kill()
            self._dying.append(worker.process)
        why = f"no answer within {limit_s:g} s" if hangs else f"exit code {code}"
        logger.error("worker_ended", extra={"worker": worker.name, "why": why, "had_work": worker.job is not None})
        self._exit_code = code or 0
        return self._bury(worker, now)

    def _bury(self, worker: Worker, now: float) -> list[tuple[Job, None]]:
        job, worker.job = worker.job, None
        _close_input(worker)
        worker.process, worker.ready, worker.since_s, worker.ends = None, False, now, worker.ends + 1
        self.restarts += 1
        if job is None:
            return []
        self.unanswered += 1
        if job.tries >= TRIES or now > job.until_s:
            return [(job, None)]
        self.retries += 1
        self._waiting.appendleft(job)
        return []

    def _start(self, worker: Worker, now: float) -> None:
        worker.name, worker.since_s = f"{self._workers.index(worker)}.{next(self._numbers)}", now
        words = [*worker.command[:3], self._address, worker.name, *worker.command[3:]]
        try:  # Ctrl-C is for the receiver
            worker.process = subprocess.Popen(words, stdin=subprocess.PIPE, process_group=0)
        except OSError as error:  # no descriptor, process or memory is left just now: strangers can take them all
            logger.error("worker_not_started", extra={"worker": worker.name, "why": error.strerror})
            worker.ends += 1
            self.restarts += 1

    def _hand_out(self, now: float) -> None:
        for worker in self._workers:
            if not self._waiting:
                return
            if worker.ready and worker.job is None:
                job = self._waiting.popleft()
                job.tries += 1
                worker.job, worker.number, worker.since_s = job, next(self._numbers).to_bytes(8, "big"), now
                batch = pack_batch(job.batch)
                try:
                    self._socket.send_multipart([worker.name.encode(), worker.number, *batch], zmq.NOBLOCK)
                except zmq.ZMQError as error:  # it has just died: the next look finds it
                    logger.debug("worker_unreachable", extra={"worker": worker.name, "why": error.strerror})

    def _end(self) -> None:
        for worker in self._workers:
            _close_input(worker)
        processes = self._dying + [worker.process for worker in self._workers if worker.process is not None]
        for process in _still_running(processes, END_S):
            process.kill()
        _still_running(processes, END_S)
        with self._changed:
            self._stop = True
            left = [worker.job for worker in self._workers if worker.job is not None] + list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        self._socket.close(0)
        for job in left:
            job.done(None)

    def _idle(self) -> int:
        return sum(worker.ready and worker.job is None for worker in self._workers)

    def _open_jobs(self) -> int:
        return len(self._waiting) + sum(worker.job is not None for worker in self._workers)


def _close_input(worker: Worker) -> None:
    """Tell a worker to end."""
    if worker.process is not None and worker.process.stdin is not None:
        worker.process.stdin.close()


def _still_running(processes: Sequence["subprocess.Popen[bytes]"], limit_s: float) -> "list[subprocess.Popen[bytes]]":
    """Those that have not ended within `limit_s`; the others are reaped."""
    until = time.monotonic() + limit_s
    while (left := [process for process in processes if process.poll() is None]) and time.monotonic() < until:
        time.sleep(0.01)
    return left


def pause_s(ends: int) -> float:
    """Before the next process of a place whose last `ends` ended without an answer: 0, 0, 0.25 s, doubling to 8 s."""
    return FIRST_PAUSE_S * 2.0 ** min(ends - 2, DOUBLINGS) if ends > 1 else 0.0
