"""Whoever expects a message soon waits awake, for a moment and only where nobody else needs the processor."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import zmq

from common.transport.waiting import watch as module
from common.transport.waiting.watch import AWAKE_S, LATE_S, NAP_S, REST_S, STEADY, Watch

Context = zmq.Context[zmq.Socket[bytes]]
ROOM = 4
"""Messages that have room between the two sockets of the bench."""


class Bench:
    """A watch at one socket. Time passes only while other threads are let go first, `step_s` each time."""

    def __init__(self, context: Context) -> None:
        self.now_s, self.step_s, self.yields = 100.0, AWAKE_S / 10, 0
        self.send_at_yield = 0
        self.at_yield: Callable[[], None] = lambda: None
        self.watch = Watch(context, lambda: self.now_s, self.give_way)
        self.reader, self.writer = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for end in (self.reader, self.writer):
            end.sndhwm = end.rcvhwm = ROOM // 2
        self.reader.bind("inproc://watched")
        self.writer.connect("inproc://watched")
        self.watch.register(self.reader, zmq.POLLIN)

    def give_way(self) -> None:
        self.yields += 1
        self.now_s += self.step_s
        self.at_yield()
        if self.yields == self.send_at_yield:
            self.writer.send(b"")

    def hear_asleep(self) -> int:
        """A message that comes while the watch sleeps, after no time at all: how often it had yielded."""
        self.yields = 0
        sending = threading.Timer(0.02, self.writer.send, (b"",))
        sending.start()
        assert self.watch.wait(10_000) == {self.reader: zmq.POLLIN}
        sending.join()
        self.reader.recv()
        return self.yields

    def hear_awake(self, send_at_yield: int) -> None:
        self.yields, self.send_at_yield = 0, send_at_yield
        assert self.watch.wait(10_000) == {self.reader: zmq.POLLIN}
        self.reader.recv()
        self.send_at_yield = 0

    def is_awake_after(self, rest_s: float) -> bool:
        """Whether it would wait awake; if so it finds its processor late once more."""
        self.now_s += rest_s
        self.hear_asleep()
        return self.hear_nothing() > 0

    def hear_nothing(self, awake: bool = True) -> int:
        self.yields = 0
        assert self.watch.wait(1, awake) == {}
        return self.yields


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "processors", lambda: 2)


@pytest.fixture
def bench(context: Context, two_processors: None) -> Iterator[Bench]:
    bench = Bench(context)
    yield bench
    bench.reader.close()
    bench.writer.close()


def test_after_a_message_that_came_soon_the_next_one_is_waited_for_awake(bench: Bench) -> None:
    assert bench.hear_asleep() == 0  # nothing is known of the first one
    for _ in range(3):
        bench.hear_awake(4)
        assert bench.yields == 4


def test_it_ends_after_a_moment_and_the_idle_sleep(bench: Bench) -> None:
    bench.hear_asleep()
    assert 9 <= bench.hear_nothing() <= 11
    assert bench.hear_nothing() == bench.hear_nothing() == 0
    bench.hear_asleep()
    assert bench.hear_nothing() > 0


def test_a_message_that_was_long_in_coming_promises_no_other(bench: Bench) -> None:
    bench.hear_asleep()
    bench.step_s = LATE_S
    bench.hear_awake(1)
    assert bench.hear_nothing() == 0


def test_a_processor_that_comes_late_is_left_to_others_for_a_moment_and_then_for_longer_each_time(bench: Bench) -> None:
    bench.step_s = 2 * LATE_S
    assert bench.is_awake_after(0.0)
    for left in range(20):
        nap_s = min(NAP_S * 2**left, REST_S)
        assert not bench.is_awake_after(0.9 * nap_s)
        assert bench.is_awake_after(0.11 * nap_s)
    assert nap_s == REST_S


@pytest.mark.parametrize("in_time", [STEADY - 1, STEADY])
def test_one_that_is_late_once_among_many_is_left_for_a_moment_only(bench: Bench, in_time: int) -> None:
    """As an idle host's is, about once a second."""
    nap_s = NAP_S
    bench.hear_asleep()
    for _ in range(4):
        bench.step_s = 2 * LATE_S
        assert bench.hear_nothing() == 1
        assert not bench.is_awake_after(0.9 * nap_s)
        nap_s *= 1 if in_time >= STEADY else 2
        bench.now_s += REST_S
        bench.step_s = AWAKE_S / 10
        bench.hear_asleep()
        for _ in range(in_time - 1):  # the late one counts as well
            bench.hear_awake(4)


def test_a_thread_that_stands_in_sleeps(bench: Bench) -> None:
    bench.hear_asleep()
    assert bench.hear_nothing(awake=False) == 0


def test_with_one_processor_everybody_sleeps(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "processors", lambda: 1)
    bench = Bench(context)
    bench.hear_asleep()
    assert bench.hear_nothing() == 0
    bench.reader.close()
    bench.writer.close()


@pytest.mark.parametrize("commands", [0, 1, 4])
def test_what_is_no_message_may_end_a_wait_and_hides_none(bench: Bench, commands: int) -> None:
    """A socket's descriptor signals whatever its other threads tell it; here that there is room again."""
    bench.hear_asleep()

    def tell() -> None:
        if bench.yields <= commands:
            for _ in range(ROOM):
                bench.reader.send(b"")
            for _ in range(ROOM):
                bench.writer.recv()
            assert bench.watch._signals.poll(0)

    bench.at_yield, bench.send_at_yield = tell, 9
    bench.yields, looks = 0, 0
    while True:
        looks += 1
        assert bench.watch.wait(10_000) == {bench.reader: zmq.POLLIN}
        with suppress(zmq.Again):
            bench.reader.recv(zmq.NOBLOCK)
            break
    assert (bench.yields, looks) == (9, commands + 1)


def test_giving_way_costs_nothing_but_where_the_io_threads_wait_their_turn(bench: Bench) -> None:
    bench.hear_asleep()
    bench.watch.give_way()
    assert bench.yields == 0
    bench.hear_awake(4)
    bench.watch.give_way()
    assert bench.yields == 5
    bench.watch.wait(0)
    bench.watch.give_way()
    assert bench.yields == 5


def test_who_gave_way_and_came_back_late_leaves_the_processor_to_others(bench: Bench) -> None:
    bench.hear_asleep()
    bench.hear_awake(4)
    assert bench.watch._io_threads.waiting
    bench.step_s = 2 * LATE_S
    bench.watch.give_way()
    bench.step_s = AWAKE_S / 10
    bench.hear_asleep()  # at once, though the last message came soon
    assert bench.hear_nothing() == 0
    assert bench.is_awake_after(NAP_S)
