"""Whoever waits listens; nobody there, the thread that stands in does; never two at a time."""

import threading
import time
from itertools import pairwise

import pytest

from common.transport.waiting.turns import GRACE_S, Turns


class Desk:
    """Sockets as the turns see them: who listened, and whether two did at a time."""

    def __init__(self) -> None:
        self.listeners: list[str] = []
        self.inside = self.clashes = 0
        self.called = threading.Event()
        self.going = True

    def turn(self, timeout_ms: int) -> bool:
        self.inside += 1
        self.clashes += self.inside > 1
        self.listeners.append(threading.current_thread().name)
        self.called.wait(timeout_ms / 1e3)
        self.called.clear()
        self.inside -= 1
        return self.going


@pytest.fixture
def desk() -> Desk:
    return Desk()


def until(condition: object, limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_thread_stands_in_while_nobody_listens(desk: Desk) -> None:
    turns = Turns(desk.turn, desk.called.set, "stand-in")
    turns.start()
    until(lambda: desk.listeners.count("stand-in") >= 3)
    turns.stop()


def test_it_leaves_the_sockets_to_whoever_asks_for_them_and_takes_over_later(desk: Desk) -> None:
    turns = Turns(desk.turn, desk.called.set, "stand-in")
    turns.start()
    until(lambda: "stand-in" in desk.listeners)
    for _ in range(50):
        with turns:
            desk.listeners.clear()
            desk.turn(1)
            assert desk.listeners == [threading.current_thread().name]
    until(lambda: "stand-in" in desk.listeners)
    turns.stop()
    assert desk.clashes == 0


def test_a_waiting_turn_is_cut_short_for_another_thread(desk: Desk) -> None:
    turns = Turns(lambda timeout_ms: desk.turn(30_000), desk.called.set, "stand-in")  # for ever, but for `wake`
    turns.start()
    until(lambda: desk.inside == 1)
    began = time.monotonic()
    with turns:
        assert desk.inside == 0
    assert time.monotonic() - began < 10.0
    time.sleep(GRACE_S)
    turns.stop()


def test_nobody_gets_the_sockets_twice_while_another_waits_for_them(desk: Desk) -> None:
    turns = Turns(desk.turn, desk.called.set, "stand-in")
    served: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            with turns:
                served.append(number)
                desk.turn(0)
                time.sleep(0.0001)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    together = served[: max(i for i, number in enumerate(served) if number == served[0])]
    both = [pair for pair in pairwise(together) if pair[0] != pair[1]]
    assert desk.clashes == 0
    assert len(both) > len(together) / 4  # they take turns


def test_the_thread_ends_when_there_is_nothing_left_to_wait_for(desk: Desk) -> None:
    desk.going = False
    turns = Turns(desk.turn, desk.called.set, "stand-in")
    turns.start()
    until(lambda: not turns._thread.is_alive())
    assert desk.listeners == ["stand-in"]
