"""A session belongs to the key, or in the clear to the route, that opened it; who only knows its id gets nothing."""

from dataclasses import replace

import pytest

from common.protocol.messages import Accept, Bye, ByeCode, Hello, Message, Nak, NakCode, Ping, Pong, Reject, RejectCode
from scrx.sessions.table import MS, Reply, SessionTable, Work
from tests.scrx.test_session_table import HELLO, ROUTE, SESSION, TERMS, data, replies, result

ALICE, MALLORY = b"a" * 64, b"m" * 64
THERE, ELSEWHERE = (b"alice",), (b"mallory",)
THROUGH, RESTARTED, OTHER = (b"emu", b"alice"), (b"emu again", b"alice again"), (b"emu", b"mallory")
THEFTS: list[Message] = [data(0), Ping(SESSION, 1, 0), Pong(SESSION, 0, 0, 0, 0, 0, 0), Bye(SESSION, ByeCode.DONE)]


def opened(route: tuple[bytes, ...], who: bytes) -> SessionTable:
    table = SessionTable(TERMS)
    assert isinstance(replies(table.on_message(HELLO, route, 0, who))[0], Accept)
    return table


def told(actions: list, route: tuple[bytes, ...]) -> list[Message]:
    """What somebody at `route` hears."""
    return [action.message for action in actions if isinstance(action, Reply) and action.route == route]


ATTACKS = [
    pytest.param(THERE, b"", ELSEWHERE, b"", id="in the clear"),
    pytest.param(THERE, ALICE, ELSEWHERE, MALLORY, id="another key"),
    pytest.param(THERE, ALICE, THERE, MALLORY, id="another key at the same identity"),
    pytest.param(THROUGH, b"", OTHER, b"", id="behind the same emulator, in the clear"),
    pytest.param(THROUGH, ALICE, OTHER, ALICE, id="behind the same emulator"),
    pytest.param(THROUGH, ALICE, THROUGH, MALLORY, id="behind another emulator"),
]


@pytest.mark.parametrize(("route", "who", "theirs", "thief"), ATTACKS)
def test_who_knows_the_id_of_a_session_gets_nothing_of_it(
    route: tuple[bytes, ...], who: bytes, theirs: tuple[bytes, ...], thief: bytes
) -> None:
    table = opened(route, who)
    table.on_message(data(0), route, 1, who)
    for at, message in enumerate([*THEFTS, replace(data(9), air_start=2**50), HELLO] * 3):
        now = at * MS
        actions = table.on_message(message, theirs, now, thief)
        assert not [action for action in actions if isinstance(action, Work)]
        if theirs != route:
            for answer in told(actions, theirs):  # as if there were no such session, or no room for it
                assert isinstance(answer, Nak | Reject)
                assert answer.code in (NakCode.NO_SESSION, RejectCode.BUSY)
        table.on_message(Ping(SESSION, 1, 0), route, now, who)  # the owner is heard
    assert [action.route for action in table.on_result(result(0))] == [route]
    assert [action.route for action in table.drain()] == [route]
    peer = table.peers[SESSION]
    assert peer.sequence.highest == 0
    assert peer.tasks == TERMS.tasks


@pytest.mark.parametrize(("route", "who", "theirs", "thief"), ATTACKS[1:3] + ATTACKS[5:])
def test_another_key_gets_nothing_though_the_owner_has_left(
    route: tuple[bytes, ...], who: bytes, theirs: tuple[bytes, ...], thief: bytes
) -> None:
    table = opened(route, who)
    table.unreachable(route, 0)
    (reject,) = replies(table.on_message(HELLO, theirs, 5000 * MS, thief))
    assert isinstance(reject, Reject)
    assert (reject.code, table.peers[SESSION].owner.who) == (RejectCode.BUSY, who)


RETURNS = [
    pytest.param(THERE, ALICE, (b"new",), id="a new connection, with a key"),
    pytest.param(THROUGH, ALICE, (b"emu again", b"alice"), id="a new connection of the emulator, with a key"),
]


@pytest.mark.parametrize(("route", "who", "new"), RETURNS)
def test_a_key_is_known_again_whatever_its_connection(
    route: tuple[bytes, ...], who: bytes, new: tuple[bytes, ...]
) -> None:
    table = opened(route, who)
    assert any(isinstance(action, Work) for action in table.on_message(data(0), new, 1, who))
    assert [action.route for action in table.on_result(result(0))] == [new]


@pytest.mark.parametrize("who", [b"", ALICE])
@pytest.mark.parametrize(("route", "new"), [(THERE, (b"new",)), (THROUGH, RESTARTED), (THROUGH, (b"emu", b"new"))])
def test_who_comes_back_on_a_new_connection_goes_on(
    route: tuple[bytes, ...], new: tuple[bytes, ...], who: bytes
) -> None:
    table = opened(route, who)
    table.on_message(data(0), route, 0, who)
    hello = replace(HELLO, t1_ns=77)
    actions = table.on_message(hello, new, 10 * MS, who)
    if not (accepts := told(actions, new)):
        assert [type(message) for message in told(actions, route)] == [Ping]  # is the owner still there?
        if new[0] != route[0]:
            actions = table.unreachable(route, 10 * MS)  # the link found out at once
        else:
            assert told(table.on_message(hello, new, 300 * MS, who), new) == []
            actions = table.on_message(hello, new, 800 * MS, who)  # nobody answered
        accepts = told(actions, new)
    assert isinstance(accepts[0], Accept)
    assert accepts[0].t1_ns == 77
    assert [action.route for action in table.on_result(result(0))] == [new]
    assert any(isinstance(action, Work) for action in table.on_message(data(1), new, 900 * MS, who))
    assert not any(isinstance(action, Work) for action in table.on_message(data(2), route, 900 * MS, who)) or (
        who and route[1:] == new[1:]
    )


def test_an_owner_that_answers_keeps_its_session() -> None:
    table = opened(THERE, b"")
    for now in range(0, 10_000, 100):
        actions = table.on_message(HELLO, ELSEWHERE, now * MS, b"")
        assert told(actions, ELSEWHERE) == []
        for ping in told(actions, THERE):
            assert isinstance(ping, Ping)
            table.on_message(Pong(SESSION, ping.nonce, ping.t1_ns, 0, 0, 0, 0), THERE, now * MS, b"")
    assert table.peers[SESSION].owner.route == THERE


def test_the_owner_is_not_asked_more_often_than_it_matters() -> None:
    table = opened(THERE, b"")
    pings = 0
    for now in range(0, 700, 10):
        pings += len(told(table.on_message(HELLO, ELSEWHERE, now * MS, b""), THERE))
    assert pings <= 4


def test_a_hello_of_the_owner_ends_a_claim() -> None:
    table = opened(THERE, b"")
    table.on_message(HELLO, ELSEWHERE, 0, b"")
    table.on_message(Ping(SESSION, 1, 0), THERE, 1 * MS, b"")
    assert table.unreachable(THERE, 2 * MS) == []
    assert isinstance(HELLO, Hello)
    assert table.peers[SESSION].owner.route == THERE


def test_a_stranger_uses_up_no_word_that_is_for_others() -> None:
    table = SessionTable(TERMS)
    assert table.on_message(data(0), ELSEWHERE, 0)
    assert [action.route for action in table.on_message(data(0), ROUTE, 1)] == [ROUTE]
