"""`scrx --workers`: the same answers as without, and no frame lost with a worker that dies or hangs."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import scrx
import sctx
from scrx.decoding.brought import worker_command
from scrx.vitals import Vitals
from sctx.capture.source import Capture
from training.lab.processes import Command

IMAGES = np.random.default_rng(3).integers(0, 256, (12, 8, 8), dtype=np.uint8)


def answers(rx: scrx.Receiver, pair: Path) -> list[tuple[object, ...]]:
    settings = sctx.Settings(policy="fixed:2", ask_below=0.5, window=1)
    with sctx.Transmitter(rx.address.removeprefix("tcp://"), pair, settings) as tx:
        sent = [tx.send(image) for image in IMAGES]
    return [(a.answer, a.confidence, a.outputs, a.symbols, a.round, a.snr_est_db) for a in sent]


def test_answers_are_bit_for_bit_those_of_a_receiver_without_workers(tiny_pair: Path) -> None:
    with scrx.Receiver("0", tiny_pair) as rx:
        alone = answers(rx, tiny_pair)
    with scrx.Receiver("0", tiny_pair, scrx.Settings(workers=2)) as rx:
        assert answers(rx, tiny_pair) == alone
    assert max(a[4] for a in alone) > 0  # rounds that are combined are among them


def test_frames_of_workers_that_are_killed_or_hang_are_answered_by_others(tiny_pair: Path) -> None:
    captures = (Capture(k, IMAGES[k % len(IMAGES)], None, 0) for k in range(400))
    faults = {100: signal.SIGKILL, 200: signal.SIGSTOP}
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(workers=2, worker_timeout_s=1.0)) as rx,
        sctx.Transmitter(rx.address.removeprefix("tcp://"), tiny_pair) as tx,
    ):
        assert rx.pool is not None
        seen = []
        for outcome in tx.run(captures):
            seen.append(outcome)
            if len(seen) in faults:
                os.kill(rx.pool.processes[0], faults[len(seen)])
        while rx.pool.restarts < 2:  # one that was stopped while it had no batch is only found when it gets one
            tx.send(IMAGES[0])
    assert sorted(outcome.index for outcome in seen) == list(range(400))
    assert all(isinstance(outcome, sctx.Answer) for outcome in seen)


def paced() -> Iterator[Capture]:
    """As from a camera of a few hundred frames per second."""
    for k in range(10**6):
        time.sleep(0.003)
        yield Capture(k, IMAGES[0], None, time.monotonic_ns())


HANGING = """
import sys, time
from pathlib import Path
import scrx.decoding.answerer as here
answer, hangs = here.Answerer.answer, Path(sys.argv.pop(3))
def once(self, soft):
    while hangs.exists():
        time.sleep(0.01)
    return answer(self, soft)
here.Answerer.answer = once
from scrx.decoding.worker import main
sys.exit(main())
"""
"""A worker that answers nothing while a file is there."""


def test_a_receiver_is_not_ready_while_each_of_its_workers_hangs_in_turn(
    tiny_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was, whenever a worker had just been started: what was given up with the last one no longer waited."""
    hangs = tmp_path / "hangs"
    monkeypatch.setattr(
        "scrx.receiver.worker_command",
        lambda pair: [sys.executable, "-c", HANGING, str(hangs), *worker_command(pair)[3:]],
    )
    monkeypatch.setattr("scrx.decoding.pool.DOUBLINGS", 0)  # so often, that each pause is too short to be told
    live = sctx.Settings(window=1, live=True, deadline_ms=300)
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(workers=1, worker_timeout_s=0.5)) as rx,
        sctx.Transmitter(rx.address.removeprefix("tcp://"), tiny_pair, live) as tx,
    ):
        assert rx.pool is not None
        board, pool = Vitals(rx).board, rx.pool
        rx.link.board = board
        outcomes = tx.run(paced())
        while not isinstance(next(outcomes), sctx.Answer):
            pass
        assert board.unready() == ""
        hangs.touch()
        while pool.restarts < 2:
            next(outcomes)
        seen = []
        while pool.restarts < 5:
            next(outcomes)
            seen.append(board.why_now())
        assert all(seen), seen
        assert any("left the last" in why for why in seen)
        assert board.unready()
        hangs.unlink()
        while not isinstance(next(outcomes), sctx.Answer):
            pass
        assert board.unready() == ""


@pytest.mark.full  # three processes that load torch
def test_sigterm_drains_a_receiver_with_workers(start: Callable[..., Command], tiny_pair: Path) -> None:
    receiver = start("scrx", "--listen", "0", "--model", str(tiny_pair), "--workers", "1", "--json")
    transmitter = start(
        "sctx", "--peer", f"127.0.0.1:{receiver.port()}", "--model", str(tiny_pair), "--count", "5", "--json"
    )
    answered = [json.loads(line) for line in transmitter.lines()][-1]["summary"]["answered"]
    assert answered == 5
    assert receiver.stop() == 0
    assert "5 frames answered, 0 expired, 0 failed; workers: 0 restarts, 0 batches tried again" in receiver.said
