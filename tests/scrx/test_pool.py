"""Worker processes: fed, watched, replaced. The workers here are small programs without a decoder."""

import errno
import math
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, SemlinkError
from scrx.decoding.pool import Pool, pause_s
from scrx.decoding.tasks import Outputs
from scrx.demodulation.demodulate import SoftBatch

# argv: ADDRESS NAME MARKER. What goes wrong does so where the marker file is not there yet, and puts it there.
PROGRAM = """
import os, pathlib, sys, time
from scrx.decoding.worker import serve
marker = pathlib.Path(sys.argv[3])
def answer(soft):
    symbols = soft.symbols
    {trouble}
    rows = zip(symbols, soft.gamma, soft.place, soft.tasks)
    return [{{"raw": {{"symbols": s.tobytes(), "gamma": g.tobytes(), "place": p.tobytes(), "tasks": t}}}}
            for s, g, p, t in rows]
serve(sys.argv[1], sys.argv[2], answer)
"""
FINE = "pass"
DIES_ONCE = "marker.exists() or (marker.touch(), os._exit(9))"
DIES_ALWAYS = "symbols.real.any() and os._exit(9)"
HANGS_ONCE = "marker.exists() or (marker.touch(), time.sleep(1000))"
FAILS_ONCE = "marker.exists() or (marker.touch(), 1 / 0)"

Open = Callable[..., Pool]
Got = queue.SimpleQueue[list[Outputs] | None]


def batch(rows: int, seed: int = 0) -> SoftBatch:
    parts = np.random.default_rng(seed).standard_normal((3, rows, 6)).astype(np.float32)
    place = np.arange(6 * rows, dtype=np.int16).reshape(rows, 6)
    return SoftBatch((parts[0] + 1j * parts[1]).astype(np.complex64), parts[2], place, (("raw",),) * rows)


def expected(soft: SoftBatch) -> list[Outputs]:
    return [
        {"raw": {"symbols": s.tobytes(), "gamma": g.tobytes(), "place": p.tobytes(), "tasks": ["raw"]}}
        for s, g, p in zip(soft.symbols, soft.gamma, soft.place, strict=True)
    ]


@pytest.fixture
def open_pool(tmp_path: Path) -> Iterator[Open]:
    opened: list[Pool] = []
    failures: list[SemlinkError] = []

    def begin(*troubles: str, limit_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> Pool:
        commands = [
            [sys.executable, "-c", PROGRAM.format(trouble=trouble), str(tmp_path / f"marker{index}")]
            for index, trouble in enumerate(troubles)
        ]
        opened.append(Pool(commands, limit_s, failures.append, clock=clock))
        return opened[-1]

    yield begin
    for pool in opened:
        pool.close(0.0)
    assert not failures


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_sees_each_batch_bit_for_bit(open_pool: Open) -> None:
    pool, got = open_pool(FINE), Got()
    for rows in (1, 7, 300):
        soft = batch(rows, seed=rows)
        pool.submit(soft, math.inf, got.put)
        assert got.get(timeout=60) == expected(soft)


@pytest.mark.parametrize("trouble", [DIES_ONCE, FAILS_ONCE, HANGS_ONCE])
def test_the_batch_of_a_worker_that_dies_or_hangs_is_tried_once_more(
    open_pool: Open, trouble: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pool, got = open_pool(trouble, limit_s=2.0), Got()
    pool.submit(batch(3), math.inf, got.put)
    assert got.get(timeout=60) == expected(batch(3))
    assert (pool.restarts, pool.retries) == (1, 1)
    assert ("ZeroDivisionError" in capfd.readouterr().err) == (trouble == FAILS_ONCE)


def test_a_batch_that_ends_two_workers_is_given_up_and_the_next_is_answered(open_pool: Open) -> None:
    pool, got = open_pool(DIES_ALWAYS), Got()
    pool.submit(batch(2), math.inf, got.put)
    assert got.get(timeout=60) is None
    nothing = np.zeros((1, 6), np.complex64)
    harmless = SoftBatch(nothing, nothing.real.copy(), np.zeros((1, 6), np.int16), (("raw",),))
    pool.submit(harmless, math.inf, got.put)
    assert got.get(timeout=60) == expected(harmless)
    assert (pool.restarts, pool.retries) == (2, 1)


def test_another_worker_answers_for_one_that_hangs(open_pool: Open) -> None:
    pool, got = open_pool(HANGS_ONCE, FINE, limit_s=2.0), Got()
    batches = [batch(1, seed=k) for k in range(4)]
    for soft in batches:
        pool.submit(soft, math.inf, got.put)
    answered = [got.get(timeout=60) for _ in batches]
    assert sorted(map(repr, answered)) == sorted(repr(expected(soft)) for soft in batches)
    assert answered[-1] == expected(batches[0])  # the others did not wait for it


def test_an_idle_worker_that_dies_is_replaced(open_pool: Open) -> None:
    pool, got = open_pool(FINE), Got()
    (first,) = pool.processes
    os.kill(first, signal.SIGKILL)
    pool.submit(batch(1), math.inf, got.put)
    assert got.get(timeout=60) == expected(batch(1))
    assert first not in pool.processes


def test_a_worker_that_cannot_be_started_for_a_while_is_started_later(
    open_pool: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the receiver: strangers who hold all its descriptors need no more than a worker that ends."""
    pool, got = open_pool(FINE), Got()
    begin, refusals = subprocess.Popen, [errno.EMFILE, errno.EAGAIN, errno.ENOMEM]

    def limited(*words: Any, **more: Any) -> "subprocess.Popen[bytes]":
        if refusals:
            raise OSError(refusals[0], os.strerror(refusals.pop(0)))
        return begin(*words, **more)

    monkeypatch.setattr(subprocess, "Popen", limited)
    monkeypatch.setattr("scrx.decoding.pool.pause_s", lambda ends: 0.01)
    os.kill(pool.processes[0], signal.SIGKILL)
    pool.submit(batch(1), math.inf, got.put)
    assert got.get(timeout=60) == expected(batch(1))
    assert (caplog.messages.count("worker_not_started"), pool.restarts) == (3, 4)


def test_that_no_worker_can_be_started_is_told_when_opening() -> None:
    with pytest.raises(SemlinkError, match="before it was ready"):
        Pool([["/nowhere/python"]], 1.0, lambda error: None)


@pytest.mark.parametrize(("code", "error"), [(1, SemlinkError), (2, ConfigError)])
def test_a_worker_that_cannot_start_is_told_at_once(code: int, error: type[SemlinkError]) -> None:
    with pytest.raises(error, match="ended before it was ready") as raised:
        Pool([[sys.executable, "-c", f"raise SystemExit({code})"]], 1.0, lambda error: None)
    assert raised.value.exit_code == code


def test_the_pause_before_a_new_process_doubles_and_stays_bounded() -> None:
    assert [pause_s(ends) for ends in (0, 1, 2, 3, 7, 8, 10_000)] == [0.0, 0.0, 0.25, 0.5, 8.0, 8.0, 8.0]


def test_a_process_that_kill_does_not_end_keeps_nobody_from_an_answer(
    open_pool: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck: list[subprocess.Popen[bytes]] = []

    class InDriver(subprocess.Popen):
        def kill(self) -> None:
            stuck.append(self)

    monkeypatch.setattr(subprocess, "Popen", InDriver)
    pool, got = open_pool(HANGS_ONCE, limit_s=2.0), Got()
    pool.submit(batch(1), math.inf, got.put)
    try:
        assert got.get(timeout=60) == expected(batch(1))
        assert stuck[0].poll() is None
        pool.close(0.0)
    finally:
        super(InDriver, stuck[0]).kill()
        stuck[0].wait()


def test_time_in_which_the_receiver_was_stopped_counts_against_no_worker(open_pool: Open) -> None:
    stopped_s = 0.0
    pool, got = open_pool("time.sleep(0.5)", clock=lambda: time.monotonic() + stopped_s), Got()
    pool.submit(batch(1), math.inf, got.put)
    while pool._idle():
        time.sleep(0.001)
    stopped_s = 1000.0
    assert got.get(timeout=60) == expected(batch(1))
    assert pool.restarts == 0


def test_signals_for_the_receiver_do_not_reach_a_worker_that_still_starts(tmp_path: Path) -> None:
    early = "import os, signal; [os.kill(os.getpid(), n) for n in (signal.SIGTERM, signal.SIGINT)]\n"
    command = [sys.executable, "-c", early + PROGRAM.format(trouble=FINE), str(tmp_path / "marker")]
    pool = Pool([command], 60.0, lambda error: None)
    (pid,) = pool.processes
    try:
        assert os.getpgid(pid) == pid  # Ctrl-C goes to a process group
    finally:
        pool.close(0.0)


def test_opening_ends_when_it_is_told_to_though_no_worker_is_ready(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = "import os, pathlib, sys, time; pathlib.Path(sys.argv[3]).write_text(str(os.getpid())); time.sleep(1000)"
    stop = lambda: said.exists() and said.read_text() != ""  # noqa: E731
    pool = Pool([[sys.executable, "-c", program, str(said)]], 60.0, lambda error: None, stop)
    assert pool.processes == []
    pool.close(0.0)
    assert not is_running(int(said.read_text()))


def test_batches_that_are_open_when_the_pool_closes_or_come_later_are_told_so(open_pool: Open) -> None:
    pool, told = open_pool(HANGS_ONCE), Got()
    for _ in range(3):
        pool.submit(batch(1), math.inf, told.put)
    pool.close(0.0)
    pool.submit(batch(1), math.inf, told.put)
    assert [told.get_nowait() for _ in range(4)] == [None] * 4


def test_closing_waits_for_what_is_being_decoded_and_leaves_no_process(open_pool: Open) -> None:
    pool, got = open_pool("time.sleep(0.3)", FINE), Got()
    pids = pool.processes
    pool.submit(batch(1), math.inf, got.put)
    pool.close(60.0)
    assert got.get(timeout=0) == expected(batch(1))
    assert not any(map(is_running, pids))


def test_closing_ends_a_worker_that_is_stopped(open_pool: Open) -> None:
    pool = open_pool(FINE)
    (pid,) = pool.processes
    os.kill(pid, signal.SIGSTOP)
    pool.close(0.0)
    assert not is_running(pid)


def test_a_free_worker_is_one_without_a_batch(open_pool: Open) -> None:
    pool, got = open_pool("time.sleep(0.3)"), Got()
    pool.wait_free()
    pool.submit(batch(1), math.inf, got.put)
    pool.wait_free()
    assert got.get(timeout=60) is not None  # `done` may still be on its way when the worker is free again


def test_a_batch_that_nobody_wants_any_more_is_not_tried_again(open_pool: Open) -> None:
    pool, got = open_pool(DIES_ONCE), Got()
    pool.submit(batch(1), 0.0, got.put)  # its frames expired while the worker hung
    assert got.get(timeout=60) is None
    assert (pool.restarts, pool.retries) == (1, 0)


def test_workers_end_with_a_receiver_that_was_killed(tmp_path: Path) -> None:
    worker = [sys.executable, "-c", PROGRAM.format(trouble=FINE), str(tmp_path / "marker")]
    owner = f"""
import time
from scrx.decoding.pool import Pool
pool = Pool([{worker!r}] * 2, 60.0, print)
print(*pool.processes, flush=True)
time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    process.kill()
    process.communicate()
    until = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < until
        time.sleep(0.02)
