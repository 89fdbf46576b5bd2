"""Messages of several parts, taken and put without waiting."""

from collections.abc import Iterator

import pytest
import zmq

from common.transport import multipart
from common.transport.multipart import MOST_PARTS, arrivals, is_readable, put

Context = zmq.Context[zmq.Socket[bytes]]
Pair = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]


@pytest.fixture
def pair(context: Context) -> Iterator[Pair]:
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.sndhwm = end.rcvhwm = 2
    ends[0].bind("inproc://pair")
    ends[1].connect("inproc://pair")
    yield ends
    for end in ends:
        end.close(0)


def test_what_was_put_arrives_part_by_part(pair: Pair) -> None:
    messages = [[b"lone"], [b"a", b"", bytes(9000)]]
    for message in messages:
        put(pair[0], message)
    assert list(arrivals(pair[1], 10)) == messages
    assert list(arrivals(pair[1], 10)) == []


def test_a_socket_is_readable_until_its_last_message_was_taken(pair: Pair) -> None:
    assert not is_readable(pair[1])
    for _ in range(2):
        put(pair[0], [b"head", b"tail"])
    taken = 0
    for _ in arrivals(pair[1], 10):
        taken += 1
        if not is_readable(pair[1]):
            break
    assert taken == 2


def test_no_more_is_taken_than_was_asked_for(pair: Pair) -> None:
    for number in b"01":
        put(pair[0], [bytes((number,)), b"rest"])
    assert [parts[0] for parts in arrivals(pair[1], 1)] == [b"0"]
    assert [parts[0] for parts in arrivals(pair[1], 1)] == [b"1"]


def test_of_a_message_that_has_no_room_nothing_leaves(pair: Pair) -> None:
    sent = 0
    while pair[0].poll(0, zmq.POLLOUT):
        put(pair[0], [b"head", b"tail"])
        sent += 1
    with pytest.raises(zmq.Again):
        put(pair[0], [b"head", b"tail"])
    assert list(arrivals(pair[1], 100)) == [[b"head", b"tail"]] * sent
    assert pair[0].poll(1000, zmq.POLLOUT)
    put(pair[0], [b"room", b"again"])
    assert list(arrivals(pair[1], 100)) == [[b"room", b"again"]]


def test_a_message_that_vanished_with_its_connection_is_no_error() -> None:
    """With IMMEDIATE, what was not read when a connection ends is gone, though it was readable a moment ago."""

    class Gone:
        def getsockopt(self, option: int) -> int:
            return int(zmq.POLLIN) if option == zmq.EVENTS else 0

        def recv(self, *how: object, **more: object) -> None:
            raise zmq.Again

    assert list(arrivals(Gone(), 10)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("beyond", [0, 1, 9, 10, 11, 35])
def test_of_a_message_that_is_too_long_a_bounded_stretch_is_read_at_a_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, beyond: int
) -> None:
    """A single one of three million empty parts, 6 MB, kept a receiver from all else for seconds, and from the watch
    over its memory, which rose to 2.5 GiB meanwhile."""
    monkeypatch.setattr(multipart, "MOST_PASSED_OVER", 10)
    put(pair[0], [b"x"] * (MOST_PARTS + beyond))
    put(pair[0], [b"honest", b"tail"])
    turns = [list(arrivals(pair[1], 10)) for _ in range(6)]
    assert [parts for turn in turns for parts in turn] == [[b"x"] * MOST_PARTS, [b"honest", b"tail"]]
    assert next(n for n, turn in enumerate(turns) if [b"honest", b"tail"] in turn) == max(0, beyond - 1) // 10
