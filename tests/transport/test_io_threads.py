"""libzmq's I/O threads wait their turn from when somebody waits awake until it sleeps, or looks and does not wait."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import zmq

from common.control.client import Client
from common.errors import ConfigError
from common.transport.doctor import examine
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


def called(name: str) -> list[int]:
    """Threads of this process that are called so."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread of somebody else has ended
            found += [int(task.name)] * ((task / "comm").read_text().rstrip("\n") == name)
    return found


def io_threads(context: Context) -> list[int]:
    return called(f"{context.get(zmq.THREAD_NAME_PREFIX)}/ZMQbg/IO/0"[:15])


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


def test_who_looks_and_does_not_wait_has_them_go_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that is never done with its frames does nothing else."""
    monkeypatch.setattr("common.transport.waiting.watch.processors", lambda: 2)
    with opened() as (context, socket):
        socket.bind("inproc://here")
        writer = context.socket(zmq.DEALER)
        writer.connect("inproc://here")
        watch = Watch(context, give_way=lambda: writer.send(b""))
        watch.register(socket, zmq.POLLIN)
        watch._soon = True
        assert watch.wait(1000) == {socket: zmq.POLLIN}
        assert policies(context) == [os.SCHED_BATCH]  # the next message may be here as soon
        socket.recv()
        watch.wait(0)
        assert policies(context) == [os.SCHED_OTHER]
        writer.close()


class Forbidden:
    """A folder that a sandbox does not let us read."""

    def iterdir(self) -> None:
        raise PermissionError


@pytest.mark.parametrize("forbid", ["sched_getscheduler", "sched_setscheduler", "SCHED_BATCH", "/proc"])
def test_where_the_system_does_not_let_them_all_goes_on(monkeypatch: pytest.MonkeyPatch, forbid: str) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    with opened() as (context, _):
        with monkeypatch.context() as forbidden:
            if forbid == "SCHED_BATCH":
                forbidden.delattr(os, forbid)
            elif forbid == "/proc":
                forbidden.setattr("common.transport.waiting.io_threads._TASKS", Forbidden())
            else:
                forbidden.setattr(os, forbid, refuse)
            threads = IoThreads(context)
            for waiting in (True, False):
                threads.wait_their_turn(waiting)
        assert policies(context) == [os.SCHED_OTHER]


@pytest.mark.parametrize("given", [os.SCHED_IDLE, os.SCHED_BATCH])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_policy_that_somebody_chose_stays(given: int, meanwhile: bool) -> None:
    """As of `chrt --idle 0 scrx`, whose threads inherit it, or of one that is given while they run."""
    with opened() as (context, _):
        (thread,), threads = io_threads(context), IoThreads(context)
        if meanwhile:
            threads.wait_their_turn(True)
            threads.wait_their_turn(False)
        os.sched_setscheduler(thread, given, os.sched_param(0))
        for waiting in (True, False):
            threads.wait_their_turn(waiting)
            assert policies(context) == [given]


def test_the_system_is_asked_only_where_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, change = list[int](), os.sched_setscheduler

    def noted(thread: int, policy: int, parameter: os.sched_param) -> None:
        asked.append(policy)
        change(thread, policy, parameter)

    with opened() as (context, _):
        threads = IoThreads(context)
        monkeypatch.setattr(os, "sched_setscheduler", noted)
        for waiting in (False, True, True, True, False, False):
            threads.wait_their_turn(waiting)
    assert asked == [os.SCHED_BATCH, os.SCHED_OTHER]


def test_threads_of_a_context_that_is_not_ours_are_left_alone() -> None:
    with opened() as (ours, _):
        other = zmq.Context[zmq.Socket[bytes]]()
        socket = other.socket(zmq.DEALER)
        until_s = time.monotonic() + 10.0
        while not (threads := called("ZMQbg/IO/0")) and time.monotonic() < until_s:
            time.sleep(0.001)
        IoThreads(other).wait_their_turn(True)
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
        assert policies(ours) == [os.SCHED_OTHER]
        socket.close()
        other.term()


@pytest.mark.parametrize("files", [0, 63])
@pytest.mark.parametrize("make", [make_context, lambda: examine([]), lambda: Client("tcp://127.0.0.1:9", "", "", {})])
def test_a_process_that_may_open_hardly_any_file_is_told_and_not_ended(
    make: Callable[[], object], files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libzmq ends it, wherever it is, when it gets none."""
    monkeypatch.setattr("resource.getrlimit", lambda which: (files, -1))
    with pytest.raises(ConfigError, match=f"only {files} files may be open at a time, and 64 must be: raise `ulimit"):
        make()


@pytest.mark.parametrize("files", [64, 1024, -1])
def test_as_many_files_as_any_system_allows_are_enough(files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (files, -1))
    make_context().term()
