"""What a transmitter is told of frames that no decoder could answer. No network, no torch."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import scrx
from common.errors import ConfigError, ModelError
from common.pair.manifest import find_pair
from common.protocol.messages import Data, Result, Status
from scrx.decoding.batcher import TURN_S, Batcher
from scrx.demodulation.demodulate import SoftBatch
from scrx.feedback import no_answer
from scrx.sessions.table import Work


@pytest.fixture
def receiver() -> Iterator[scrx.Receiver]:
    with scrx.Receiver("0", "digits", decoder=lambda symbols, gamma, tasks: []) as rx:
        yield rx


def work(seq: int, expires_ns: int) -> Work:
    return Work(Data(bytes(16), seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b""), ("classify",), 0, expires_ns)


def said_of(index: int) -> dict[str, Any]:
    return {"classify": {"index": index, "name": str(index), "confidence": 0.5}}


class Air:
    """A link on which a frame comes in each of the turns that are named, and a note of how long was listened."""

    def __init__(self, batcher: Batcher, comes: Sequence[int]) -> None:
        self.batcher, self.comes, self.listened = batcher, comes, list[float]()

    def listen(self, timeout_s: float) -> None:
        if len(self.listened) in self.comes:
            self.batcher.put(work(len(self.listened), 0))
        self.listened.append(timeout_s)
        if len(self.listened) == 9:
            self.batcher.close()


def listener(comes: Sequence[int], wait_ms: float = 0.0) -> tuple[scrx.Receiver, Air]:
    """A receiver without sockets or threads: its queue, and an air that it listens to."""
    rx = object.__new__(scrx.Receiver)
    rx._batcher, rx.pool, rx._broken = Batcher(), None, False
    rx.settings = scrx.Settings(max_batch=4, batch_wait_ms=wait_ms)
    air = Air(rx._batcher, comes)
    rx.link = air  # type: ignore[assignment]
    return rx, air


def test_the_decode_thread_listens_before_each_batch_and_not_while_frames_wait() -> None:
    """What came while the last batch was decoded is in the next; a lone frame is taken in the turn that brought it."""
    rx, air = listener(comes=(2, 3))
    assert [one.data.seq for one in rx._take() or []] == [2]
    assert air.listened == [TURN_S] * 3
    rx._batcher.put(work(100, 0))
    assert [one.data.seq for one in rx._take() or []] == [100, 3]
    assert air.listened[3:] == [0.0]
    assert rx._take() is None
    assert air.listened[4:] == [TURN_S] * 5


def test_the_decode_thread_listens_on_while_a_batch_fills() -> None:
    rx, air = listener(comes=(0, 1, 2, 3), wait_ms=1000.0)
    assert [one.data.seq for one in rx._take() or []] == [0, 1, 2, 3]
    assert air.listened == [TURN_S] * 4


class Time:
    """Passes only while somebody sleeps; what comes then is published."""

    def __init__(self, rx: scrx.Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.slept, self.meanwhile, self._rx = 0.0, list[float](), list[int](), rx
        clock = SimpleNamespace(monotonic=lambda: self.now_s, monotonic_ns=time.monotonic_ns, sleep=self._sleep)
        monkeypatch.setattr("scrx.answers.time", clock)

    def comes(self, *numbers: int) -> None:
        for number in numbers:
            self._rx._answers.put((no_answer(work(number, 0), Status.FAILED, 0, 1), {}))

    def _sleep(self, for_s: float) -> None:
        self.slept.append(for_s)
        self.now_s += for_s
        self.comes(*self.meanwhile)
        self.meanwhile.clear()


@pytest.mark.parametrize("timeout_s", [None, 5.0])
def test_who_reads_a_stream_of_answers_is_not_woken_for_each(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch, timeout_s: float | None
) -> None:
    passing = Time(receiver, monkeypatch)
    answers = receiver.answers(timeout_s)
    passing.comes(1)
    assert next(answers).seq == 1  # type: ignore[union-attr]
    passing.now_s += 0.001
    passing.comes(2)
    assert next(answers).seq == 2  # type: ignore[union-attr]
    assert passing.slept == []
    passing.meanwhile += [3, 4]
    late = threading.Timer(5.0, passing.comes, (8, 9))  # so that who does not sleep does not wait for ever
    late.start()
    assert [next(answers).seq for _ in range(2)] == [3, 4]  # type: ignore[union-attr]
    assert passing.slept == [pytest.approx(0.005)]
    late.cancel()


@pytest.mark.parametrize("apart_s", [0.006, 0.033, 10.0])
def test_answers_that_come_alone_are_there_at_once(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch, apart_s: float
) -> None:
    passing = Time(receiver, monkeypatch)
    answers = receiver.answers(timeout_s=5.0)

    def come(number: int) -> None:
        passing.now_s += apart_s
        passing.comes(number)

    for number in range(5):
        threading.Timer(0.01, come, (number,)).start()
        assert next(answers).seq == number  # type: ignore[union-attr]
    assert passing.slept == []


@pytest.mark.parametrize("timeout_s", [0.0, 0.002, 0.01, float("inf")])
def test_who_waits_for_answers_is_told_in_time_that_none_came(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch, timeout_s: float
) -> None:
    """Also after answers of a stream, where the time that is slept is a part of it."""
    passing, waited = Time(receiver, monkeypatch), list[float]()
    answers = receiver.answers(timeout_s)
    for number in range(2):
        passing.comes(number)
        next(answers)
    queued = receiver._answers._queue

    def noted(timeout: float) -> object:
        waited.append(timeout)
        return queued.get(timeout=min(timeout, 0.001))

    watched = SimpleNamespace(get=noted, empty=queued.empty)
    monkeypatch.setattr(receiver._answers, "_queue", watched)
    assert next(answers) is None
    assert sum(passing.slept) == (0.0 if timeout_s <= 0.005 else pytest.approx(0.005))
    assert sum(passing.slept) + sum(waited) == pytest.approx(min(timeout_s, threading.TIMEOUT_MAX))


def test_answers_that_are_there_are_read_together_and_none_is_lost(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the reading, what came before it is handed out."""
    passing = Time(receiver, monkeypatch)
    batches = receiver.batches(timeout_s=0.01)
    passing.comes(0, 1, 2)
    assert [one.seq for one in next(batches)] == [0, 1, 2]
    assert next(batches) == []
    passing.comes(3)
    assert [one.seq for one in next(receiver.batches())] == [3]
    passing.comes(4, 5)
    one_by_one = receiver.answers()
    assert next(one_by_one).seq == 4  # type: ignore[union-attr]
    assert [one.seq for one in next(batches)] == [5]  # who reads one by one takes no more than it hands out
    passing.comes(*range(100))
    assert [[one.seq for one in next(batches)] for _ in range(2)] == [[*range(64)], [*range(64, 100)]]
    passing.comes(6)
    receiver._answers.put(ModelError("broken"))
    passing.comes(7)
    assert [one.seq for one in next(batches)] == [6]
    with pytest.raises(ModelError, match="broken"):
        next(batches)
    receiver._answers.put(None)
    assert [[one.seq for one in batch] for batch in receiver.batches()] == [[7]]


def test_frames_without_an_answer_may_be_sent_again_only_where_time_ran_out(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Result] = []
    monkeypatch.setattr(receiver.link, "post", told.extend)
    now = time.monotonic_ns()
    receiver._finish([work(1, 0), work(2, now + 10**12)], [None, None], now, None)
    assert [(result.seq, result.status) for result in told] == [(1, Status.EXPIRED), (2, Status.FAILED)]
    assert (receiver.answered, receiver.expired, receiver.failed) == (0, 1, 1)


def test_one_answer_that_is_none_costs_the_others_of_its_batch_nothing(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Result] = []
    monkeypatch.setattr(receiver.link, "post", told.extend)
    now = time.monotonic_ns()
    works = [work(seq, now + 10**12) for seq in range(3)]
    receiver._finish(works, [None] * 3, now, [said_of(1), None, said_of(2)])
    assert {one.seq: one.status for one in told} == {0: Status.OK, 1: Status.FAILED, 2: Status.OK}
    assert (receiver.answered, receiver.failed) == (2, 1)


def test_a_receiver_that_cannot_go_on_takes_nobody_else(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever ended it: here somebody wants all to end, and a thread that a signal never reaches is told of it."""

    def ends(soft: SoftBatch) -> list[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(receiver, "_handle", ends)
    receiver._batcher.put(work(1, 0))
    for _ in range(2):
        with pytest.raises(scrx.SemlinkError, match="decoding failed: KeyboardInterrupt"):
            list(receiver.answers())
    receiver._thread.join(5)
    assert receiver.closed
    assert receiver.table.draining
    assert [one.message for one in caplog.records] == ["decoding_ended"]


def test_a_decoder_that_closes_its_receiver_is_told_that_it_cannot(receiver: scrx.Receiver) -> None:
    ours, receiver._thread = receiver._thread, threading.current_thread()
    with pytest.raises(ConfigError, match="use another thread"):
        receiver.close()
    receiver._thread = ours


def test_what_a_receiver_that_closes_could_not_answer_may_be_sent_to_the_next(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Result] = []
    monkeypatch.setattr(receiver.link, "post", told.extend)
    receiver.close()
    receiver._finish([work(1, time.monotonic_ns() + 10**12)], [None], 0, None)
    assert [result.status for result in told] == [Status.EXPIRED]


def test_no_refusal_is_missed_by_the_counters_of_two_threads(
    receiver: scrx.Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Batch(list[Work]):
        def __len__(self) -> int:
            time.sleep(0.01)  # the other thread runs between reading a counter and writing it
            return 1

    monkeypatch.setattr(receiver.link, "post", lambda results: None)
    refuse = lambda: [receiver._refuse(Batch([work(1, 0)]), Status.EXPIRED, 0) for _ in range(5)]  # noqa: E731
    threads = [threading.Thread(target=refuse) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert receiver.expired == 10


def test_a_receiver_that_is_stopped_while_its_workers_start_does_not_wait_for_them() -> None:
    with scrx.Receiver("0", "digits", scrx.Settings(workers=1), stop=lambda: True) as rx:
        assert rx.pool is not None
        assert rx.pool.processes == []
    assert not rx.stuck


def test_workers_and_a_decoder_of_ones_own_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="either workers or a decoder"):
        scrx.Receiver("0", "digits", scrx.Settings(workers=1), decoder=lambda symbols, gamma, tasks: [])


def test_a_damaged_decoder_is_told_before_any_worker_is_started(tmp_path: Path) -> None:
    pair = tmp_path / "pair"
    shutil.copytree(find_pair("digits").path, pair)
    weights = (pair / "decoder.safetensors").read_bytes()
    (pair / "decoder.safetensors").write_bytes(weights[:-1] + bytes((weights[-1] ^ 1,)))
    with pytest.raises(ModelError, match=r"decoder\.safetensors is not the file its manifest names"):
        scrx.Receiver("0", pair, scrx.Settings(workers=1))


def test_a_decoder_in_the_place_of_the_pairs_own_is_given_the_batch_whole_and_a_function_its_parts() -> None:
    symbols = np.ones((2, 4), np.complex64)
    soft = SoftBatch(symbols, np.ones((2, 4), np.float32), np.zeros((2, 4), np.int16), [("classify",)] * 2)

    given: list[object] = []

    class Elsewhere:
        def answer(self, soft: SoftBatch) -> list[object]:
            given.append(soft)
            return []

    with scrx.Receiver("0", "digits", decoder=Elsewhere()) as rx:
        rx._decode(soft)
    with scrx.Receiver("0", "digits", decoder=lambda *parts: given.append(parts)) as rx:  # type: ignore[arg-type]
        rx._decode(soft)
    assert given == [soft, (soft.symbols, soft.gamma, soft.tasks)]
    for wrong in (3, "decoder", type("Wrong", (), {"answer": 3})()):
        with pytest.raises(ConfigError, match=r"decoder is .* and must be something to call"):
            scrx.Receiver("0", "digits", decoder=wrong)  # type: ignore[arg-type]
