"""libzmq's I/O threads wait their turn while somebody waits awake, and at no other time."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import zmq

from common.transport.waiting.io_threads import IoThreads, make_context
from common.transport.waiting.watch import LATE_S, Watch

Context = zmq.Context[zmq.Socket[bytes]]
pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system knows no such turns")


@contextmanager
def opened() -> Iterator[tuple[Context, zmq.Socket[bytes]]]:
    """A context and a socket of it, whose I/O thread has said its name."""
    context = make_context()
    socket = context.socket(zmq.DEALER)
    until_s = time.monotonic() + 10.0
    while len(policies(context)) != 1 and time.monotonic() < until_s:
        time.sleep(0.001)
    yield context, socket
    socket.close()
    context.term()


def io_threads(context: Context) -> list[int]:
    named = f"{context.get(zmq.THREAD_NAME_PREFIX)}/ZMQbg/IO/0"[:15]
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread of somebody else has ended
            found += [int(task.name)] * ((task / "comm").read_text().rstrip("\n") == named)
    return found


def policies(context: Context) -> list[int]:
    return [os.sched_getscheduler(thread) for thread in io_threads(context)]


def test_those_of_one_context_wait_their_turn_and_those_of_another_do_not() -> None:
    with opened() as (one, _), opened() as (other, _):
        threads = IoThreads(one)
        threads.wait_their_turn(True)
        assert (policies(one), policies(other)) == ([os.SCHED_BATCH], [os.SCHED_OTHER])
        threads.wait_their_turn(False)
        assert (policies(one), policies(other)) == ([os.SCHED_OTHER], [os.SCHED_OTHER])


def test_they_wait_while_somebody_waits_awake_and_no_longer_once_that_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.transport.waiting.watch.processors", lambda: 2)
    seen, now_s = list[int](), [0.0]
    with opened() as (context, socket):

        def give_way() -> None:
            now_s[0] += step_s
            seen.extend(policies(context))

        watch, step_s = Watch(context, lambda: now_s[0], give_way), LATE_S / 4
        watch.register(socket, zmq.POLLIN)
        watch._soon = True  # the last message was not long in coming
        assert watch.wait(5) == {}
        assert set(seen) == {os.SCHED_BATCH}
        assert policies(context) == [os.SCHED_OTHER]


@pytest.mark.parametrize("forbid", ["sched_setscheduler", "SCHED_BATCH"])
def test_where_the_system_does_not_let_them_all_goes_on(monkeypatch: pytest.MonkeyPatch, forbid: str) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    with opened() as (context, _):
        if forbid == "SCHED_BATCH":
            monkeypatch.delattr(os, forbid)
        else:
            monkeypatch.setattr(os, forbid, refuse)
        IoThreads(context).wait_their_turn(True)
        monkeypatch.undo()
        assert policies(context) == [os.SCHED_OTHER]


def test_a_policy_that_somebody_chose_stays() -> None:
    """As of `chrt --idle 0 scrx`, whose threads inherit it."""
    with opened() as (context, _):
        (thread,) = io_threads(context)
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        threads = IoThreads(context)
        for waiting in (True, False):
            threads.wait_their_turn(waiting)
            assert policies(context) == [os.SCHED_IDLE]
