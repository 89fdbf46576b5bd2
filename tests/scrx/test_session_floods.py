"""What a flood of sessions can take: never the place of those who are there, and no memory."""

from dataclasses import replace

from common.protocol.messages import VERSION, Accept, Bye, ByeCode, Data, Hello, Ping, Reject, RejectCode
from scrx.decoding.batcher import Batcher
from scrx.sessions.table import KEPT_ROUTES, Closed, Reply, Route, SessionTable, Terms, Work

MODEL = b"m" * 32
TERMS = Terms(MODEL, 128, {(0, 0): 10}, 128, ("classify",), max_sessions=4)
TENTH_NS = 100_000_000
NOTHING = {"answered": 0, "expired": 0, "lost": 0, "duplicate": 0, "late": 0}


def name(n: int) -> bytes:
    return n.to_bytes(16, "big")


def hello(session: int) -> Hello:
    return Hello(name(session), VERSION, VERSION, "", MODEL, (0,), (), 0)


def greet(table: SessionTable, session: int, route: Route, proven: bool = True) -> Accept | Reject:
    """Say HELLO, a tenth of a second after the last, and PING where it is `proven`; returns the answer to the HELLO."""
    now = session * TENTH_NS
    (answer,) = [a.message for a in table.on_message(hello(session), route, now) if isinstance(a, Reply)]
    assert isinstance(answer, Accept | Reject)
    if proven and isinstance(answer, Accept):
        table.on_message(Ping(name(session), 1, 0), route, now)
    return answer


def holders(table: SessionTable) -> list[int]:
    return [int.from_bytes(session, "big") for session in table.peers]


def test_sessions_that_only_said_hello_make_room_the_oldest_first() -> None:
    table = SessionTable(TERMS)
    for session, proven in ((1, True), (2, False), (3, True), (4, False)):
        greet(table, session, (name(session),), proven)
    assert isinstance(greet(table, 5, (b"new",)), Accept)
    assert holders(table) == [1, 3, 4, 5]
    assert isinstance(greet(table, 6, (b"newer",)), Accept)
    assert holders(table) == [1, 3, 5, 6]


def test_a_newcomer_who_makes_room_is_told_to_the_rest_of_the_receiver() -> None:
    table = SessionTable(replace(TERMS, max_sessions=1))
    greet(table, 1, (b"a",), proven=False)
    actions = table.on_message(hello(2), (b"b",), 0)
    assert actions[0] == Closed(name(1), "made room", NOTHING)


def test_a_million_hellos_of_one_stranger_do_not_touch_those_who_work() -> None:
    table = SessionTable(TERMS)
    for session in (1, 2, 3):
        greet(table, session, (name(session),))
    for session in range(10, 10_000):
        greet(table, session, (b"stranger",), proven=session % 2 == 0)
    assert holders(table)[:3] == [1, 2, 3]
    assert len(table.peers) == 4


def test_one_route_cannot_hold_a_table_against_others() -> None:
    table = SessionTable(TERMS)
    for session in range(4):
        greet(table, session, (b"greedy",))
    for session in (10, 11):
        assert isinstance(greet(table, session, (name(session),)), Accept)
    assert holders(table) == [2, 3, 10, 11]
    assert isinstance(greet(table, 20, (b"greedy",)), Reject)
    assert isinstance(greet(table, 21, (b"third",)), Accept)  # the greedy one had two
    assert holders(table) == [3, 10, 11, 21]


def test_a_table_of_different_routes_that_all_work_is_busy() -> None:
    table = SessionTable(TERMS)
    for session in range(4):
        greet(table, session, (name(session),))
    refused = greet(table, 9, (b"new",))
    assert isinstance(refused, Reject)
    assert refused.code is RejectCode.BUSY
    assert holders(table) == [0, 1, 2, 3]


def test_sessions_that_come_and_go_without_a_frame_leave_nothing() -> None:
    table, batcher = SessionTable(TERMS), Batcher()
    for session in range(1000):
        greet(table, session, (b"route",))
        for action in table.on_message(Bye(name(session), ByeCode.DONE), (b"route",), 0):
            assert isinstance(action, Closed)
            batcher.drop(action.session)
    assert (len(table.peers), batcher._dropped, batcher._known) == (0, [], set())


def test_sessions_that_take_their_frames_back_before_they_are_decoded_leave_nothing() -> None:
    """HELLO, a frame and BYE in one burst: no batch is ever taken, and 16 bytes of each stayed."""
    table, batcher = SessionTable(TERMS), Batcher()
    for session in range(1000):
        route = (name(session),)
        greet(table, session, route)
        frame = Data(name(session), 0, 0, 0, 0, 0, 0, 0, 10, 0, 60_000, 0, bytes(80))
        for message in (frame, Bye(name(session), ByeCode.DONE)):
            for action in table.on_message(message, route, session * TENTH_NS):
                batcher.put(action) if isinstance(action, Work) else batcher.drop(name(session))
    assert (len(table.peers), batcher.depth, batcher._dropped, batcher._known) == (0, 0, [], set())


def test_frames_and_pings_of_sessions_that_nobody_opened_are_remembered_in_bounded_memory() -> None:
    table = SessionTable(TERMS)
    for session in range(5000):
        now = session * TENTH_NS
        table.on_message(Ping(name(session), 1, 0), (b"route",), now)
        table.on_message(Data(name(session), 0, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, bytes(80)), (b"route",), now)
    assert len(table._strangers) == 256


def test_answers_to_a_flood_do_not_crowd_out_those_to_others() -> None:
    """They did: through an emulator, two strangers who only said HELLO left a transmitter 4 answers in 14 seconds."""
    table = SessionTable(TERMS)
    floods = {"hellos": hello, "strangers": lambda session: Ping(name(session), 1, 0)}
    for kind, message in floods.items():
        route = (b"emulator", kind.encode())
        said = [len(table.on_message(message(session), route, session * 10**6)) for session in range(1000, 3000)]
        assert sum(map(bool, said)) == 40  # 20 in each of two seconds
    assert isinstance(greet(table, 1, (b"emulator", b"other")), Accept)
    assert table.on_message(hello(5000), (b"emulator", b"hellos"), 10**10)  # forgiven after a second


def test_the_routes_that_asked_are_remembered_in_bounded_memory() -> None:
    table = SessionTable(TERMS)
    for session in range(5000):
        table.on_message(Ping(name(session), 1, 0), (name(session),), 0)
    assert len(table._asked) == KEPT_ROUTES
