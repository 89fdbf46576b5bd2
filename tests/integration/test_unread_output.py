"""Output that nobody reads: a command goes on as far as it can, and ends when it is asked to."""

import io
import math
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import sctx
from common import console
from tests.integration.conftest import Start

IMAGE = np.zeros((8, 8), np.uint8)
WORDS = "standard output: nobody read it for 2 s, and this process was to end"
ENOUGH = 1000
"""Answers whose lines fill any pipe."""


def test_a_transmitter_whose_answers_nobody_reads_ends_when_it_is_asked(start: Start) -> None:
    rx = start("scrx", "--listen", "0")
    tx = start("sctx", "--peer", f"127.0.0.1:{rx.port()}", "--count", "100000", "--json")
    wait_until_blocked(tx.process.pid)
    assert tx.stop() == 1
    assert WORDS in tx.said


def test_a_receiver_whose_answers_nobody_reads_goes_on_and_ends_when_it_is_asked(start: Start, tiny_pair: Path) -> None:
    rx = start("scrx", "--listen", "0", "--model", str(tiny_pair), "--json")
    with sctx.Transmitter(f"127.0.0.1:{rx.port()}", tiny_pair) as tx:
        for _ in range(ENOUGH):
            tx.send(IMAGE)
        wait_until_blocked(rx.process.pid)
        for _ in range(3):
            tx.send(IMAGE)
    assert rx.stop() == 1
    assert WORDS in rx.said


def wait_until_blocked(pid: int) -> None:
    """Until its pipe has no room for one more line."""
    until_s = time.monotonic() + 60
    while has_room(pid):
        assert time.monotonic() < until_s, "it goes on writing, or has stopped before"
        time.sleep(0.05)


def has_room(pid: int) -> bool:
    """Of what it writes to now: a process that was just forked has its own output a moment later."""
    pipe = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return bool(select.select([], [pipe], [], 0)[1])
    finally:
        os.close(pipe)


def test_log_lines_that_nobody_reads_are_dropped_and_come_again_once_somebody_reads() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    out = io.TextIOWrapper(io.BufferedWriter(console._Output(writer, waits=False)), line_buffering=True)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(1 << 10))
    os.set_blocking(writer, True)
    began_s = time.monotonic()
    for _ in range(1000):
        print("nobody reads this" * 10, file=out)
    assert time.monotonic() - began_s < 10 * console.LOOK_MS / 1e3
    while select.select([reader], [], [], 0)[0]:
        os.read(reader, 1 << 20)
    print("somebody reads this", file=out)
    assert os.read(reader, 1 << 20) == b"somebody reads this\n"
    out.close(), os.close(writer), os.close(reader)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[console._Output, int]]:
    """Output into a pipe that is full, and where it is read."""
    reader, writer = os.pipe()
    monkeypatch.setattr(console, "PATIENCE_S", 0.05)
    monkeypatch.setattr(console, "asked_for_s", lambda: 100.0)
    out = console._Output(writer)
    with pytest.raises(OSError, match="nobody read it"):
        fill(out)
    yield out, reader
    os.close(writer), os.close(reader)


def fill(out: console._Output) -> None:
    while True:
        out.write(bytes(10_000))


def test_what_is_read_again_is_written_again(full: tuple[console._Output, int]) -> None:
    out, reader = full
    with pytest.raises(OSError, match="nobody read it"):
        out.write(b"more")
    os.read(reader, 1 << 20)
    assert out.write(b"more") == 4


def test_who_was_not_asked_to_end_waits(full: tuple[console._Output, int], monkeypatch: pytest.MonkeyPatch) -> None:
    _, reader = full
    out = console._Output(full[0].fileno())
    monkeypatch.setattr(console, "asked_for_s", lambda: -math.inf)
    reading = threading.Timer(0.3, os.read, (reader, 1 << 20))  # six times the patience
    reading.start()
    assert out.write(b"more") == 4
    reading.join()
