"""Messages of several parts, taken and put without waiting."""

from collections.abc import Iterator

import pytest
import zmq

from common.transport import multipart
from common.transport.multipart import MOST_PARTS, MOST_READS, Inbox, put

Context = zmq.Context[zmq.Socket[bytes]]
Pair = tuple["zmq.Socket[bytes]", Inbox]


@pytest.fixture
def pair(context: Context) -> Iterator[Pair]:
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.sndhwm = end.rcvhwm = 2
    ends[0].bind("inproc://pair")
    ends[1].connect("inproc://pair")
    yield ends[0], Inbox(ends[1])
    for end in ends:
        end.close(0)


def test_what_was_put_arrives_part_by_part(pair: Pair) -> None:
    messages = [[b"lone"], [b"a", b"", bytes(9000)]]
    for message in messages:
        put(pair[0], message)
    assert list(pair[1].take(10)) == messages
    assert list(pair[1].take(10)) == []


def test_no_more_is_taken_than_was_asked_for(pair: Pair) -> None:
    for number in b"01":
        put(pair[0], [bytes((number,)), b"rest"])
    assert [parts[0] for parts in pair[1].take(1)] == [b"0"]
    assert [parts[0] for parts in pair[1].take(1)] == [b"1"]


def test_of_a_message_that_has_no_room_nothing_leaves(pair: Pair) -> None:
    sent = 0
    while pair[0].poll(0, zmq.POLLOUT):
        put(pair[0], [b"head", b"tail"])
        sent += 1
    with pytest.raises(zmq.Again):
        put(pair[0], [b"head", b"tail"])
    assert list(pair[1].take(100)) == [[b"head", b"tail"]] * sent
    assert pair[0].poll(1000, zmq.POLLOUT)
    put(pair[0], [b"room", b"again"])
    assert list(pair[1].take(100)) == [[b"room", b"again"]]


def test_a_message_that_vanished_with_its_connection_is_no_error() -> None:
    """With IMMEDIATE, what was not read when a connection ends is gone, though it was readable a moment ago."""

    class Gone:
        def recv(self, *how: object, **more: object) -> None:
            raise zmq.Again

    assert list(Inbox(Gone()).take(10)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("beyond", [0, 1, 9, 10, 11, 35])
def test_of_a_message_that_is_too_long_a_bounded_stretch_is_read_at_a_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, beyond: int
) -> None:
    """A single one of three million empty parts, 6 MB, kept a receiver from all else for seconds, and from the watch
    over its memory, which rose to 2.5 GiB meanwhile."""
    monkeypatch.setattr(multipart, "MOST_PASSED_OVER", 10)
    put(pair[0], [b"x"] * (MOST_PARTS + beyond))
    put(pair[0], [b"honest", b"tail"])
    turns = [list(pair[1].take(10)) for _ in range(6)]
    assert [parts for turn in turns for parts in turn] == [[b"x"] * MOST_PARTS, [b"honest", b"tail"]]
    assert next(n for n, turn in enumerate(turns) if [b"honest", b"tail"] in turn) == max(0, beyond - 1) // 10


class Counting:
    """A socket at which messages of so many parts wait, which counts reads since one that found nothing."""

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self.waiting = self._at = self.reads = self.most = self.slow = 0

    def recv(self, flags: int, copy: bool) -> "Counting":
        if not self.waiting:
            self.reads, self.slow = 0, self.slow + 1
            raise zmq.Again
        self.reads, self._at = self.reads + 1, (self._at + 1) % self._parts
        self.most = max(self.most, self.reads)
        self.waiting -= self._at == 0
        return self

    @property
    def more(self) -> bool:
        return self._at != 0

    bytes = b""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether another message waits is asked of these sockets as of any."""

    def poll(sockets: list[tuple[Counting, int]], timeout_ms: int) -> list[tuple[Counting, int]]:
        assert timeout_ms == 0
        return [(socket, flags) for socket, flags in sockets if socket.waiting]

    monkeypatch.setattr(multipart, "zmq_poll", poll)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("parts", [1, 3, 4, 7, MOST_PARTS])
@pytest.mark.parametrize("breaks_off", [False, True], ids=["all at once", "one by one"])
def test_reads_that_find_nothing_are_seldom_and_never_too_far_apart(parts: int, breaks_off: bool) -> None:
    """At the 100th read since the last one libzmq looks for connections that ended, be it in the middle of a message,
    and there that ends the process."""
    socket, taken, bursts = Counting(parts), 0, [1, 1, 2, 1, 5, 1, 1, 1, 3] * 20
    inbox = Inbox(socket)  # type: ignore[arg-type]
    for burst in bursts:
        if inbox.due:  # as who breaks off does before waiting
            taken += len(list(inbox.take(64)))
        socket.waiting += burst
        while socket.waiting:
            messages = inbox.take(64)
            taken += bool(next(messages)) if breaks_off else len(list(messages))
    assert taken == sum(bursts)
    assert socket.most < 100 if parts < 5 else socket.most <= MOST_READS + 6 * parts
    of_several = 0 if breaks_off else sum(burst > 1 for burst in bursts)
    assert 0 < socket.slow <= of_several + 1 + sum(bursts) * parts // MOST_READS


@pytest.mark.usefixtures("counted")
def test_whoever_breaks_off_after_each_message_is_told_when_a_read_that_finds_nothing_is_due() -> None:
    socket = Counting(3)
    inbox = Inbox(socket)  # type: ignore[arg-type]
    due = []
    for _ in range(20):
        socket.waiting = 1
        next(inbox.take(10))
        due.append(inbox.due)
    assert due == [3 * n >= MOST_READS for n in range(1, 21)]
    assert list(inbox.take(10)) == []
    assert not inbox.due
