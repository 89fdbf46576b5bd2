"""The HTTP side by itself: it answers truly, is held up by nobody, and gives other origins nothing."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from common import live
from common.channel.serving import change
from common.errors import ConfigError
from common.live.asked import asks_for_page, check_http
from common.live.board import About, Board
from common.live.enrolling import Enrolling
from common.live.gate import place_of
from common.live.neighbours import UNASKED
from common.live.server import PAGE, PLACES, Server


class Loop:
    """A board that a thread turns until it is stopped."""

    def __init__(self) -> None:
        self.why, self.over = "", threading.Event()
        self.board = Board(About("scrx", "1", "digits", "ab"), self._take, lambda: self.why)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _take(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"sessions": 3, "frames_total": {"answered": 7}}, {"sessions": 3}

    def _run(self) -> None:
        while not self.over.wait(0.02):
            self.board.turned()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Begin = Callable[..., Server]


@pytest.fixture
def begin(stack: ExitStack) -> Begin:
    def begin(loop: Loop | None = None, *, watch: tuple[str, ...] = (), control: Any = None) -> Server:
        controls = None if control is None else {"control": control}
        server = Server(place_of("0", None, control is not None), watch, controls)
        stack.callback(server.close)
        if loop is not None:
            stack.callback(loop.over.set)
            server.board = loop.board
        server.start()
        return server

    return begin


def ask(server: Server, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): one for name, one in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_process_that_starts_is_alive_and_not_ready(begin: Begin) -> None:
    server = begin()
    assert ask(server, "/healthz")[0] == 200
    assert ask(server, "/readyz") == (503, b"starting: the model is being loaded\n")
    assert json.loads(ask(server, "/live.json")[1])["processes"][0]["why"] == "starting"


def test_health_says_what_the_loop_does(begin: Begin) -> None:
    loop = Loop()
    server = begin(loop)
    assert (ask(server, "/healthz")[0], ask(server, "/readyz")[0]) == (200, 200)
    loop.why = "work has waited"
    assert ask(server, "/readyz") == (503, b"work has waited\n")
    assert ask(server, "/healthz")[0] == 200
    loop.why = ""
    loop.over.set()
    time.sleep(0.6)
    assert ask(server, "/healthz")[0] == 503  # how soon exactly is in test_board.py, whose clock is its own
    assert ask(server, "/readyz")[0] == 503
    assert ask(server, "/live.json")[0] == 200  # the page tells it, too


def test_metrics_are_what_was_counted(begin: Begin) -> None:
    pytest.importorskip("prometheus_client")
    status, text = ask(begin(Loop()), "/metrics")
    assert status == 200
    for line in (
        b'semlink_build_info{model="digits",model_id="ab",version="1"} 1.0',
        b"semlink_sessions 3.0",
        b'semlink_frames_total{outcome="answered"} 7.0',
        b"semlink_ready 1.0",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/live.json", "/own.json", "/healthz", "/metrics"])
def test_no_path_is_read_by_a_page_of_another_origin(begin: Begin, path: str) -> None:
    server = begin(Loop())
    assert ask(server, path)[0] == 200
    assert ask(server, path, Origin="http://evil.example")[0] == 403
    assert ask(server, path, Host="evil.example")[0] == 421


def test_nothing_asks_an_address_outside() -> None:
    server = Server(place_of("0", None, False))
    server.server_close()
    for path in PAGE:
        text = server.page[path].decode()
        assert "//" not in text.replace("http://www.w3.org/2000/svg", "").replace("// ", ""), path


def threads() -> int:
    """Those without a name of their own; another test may have left some that are ending."""
    return sum(thread.name.startswith("Thread-") for thread in threading.enumerate())


def test_who_says_nothing_or_reads_nothing_costs_nothing(
    begin: Begin, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.live.server.LIMIT_S", 120.0)  # nobody is cut off for his time
    monkeypatch.setattr("common.live.server.Face.timeout", 120.0)
    before, server = threads(), begin(Loop())
    for number in range(3 * PLACES):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", server.server_address[1])))
        client.sendall([b"", b"GET /live", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"][number % 3])
    assert ask(server, "/readyz")[0] == 200
    began = time.monotonic()
    while threads() > before + PLACES + 8:  # those who lost their places are ending, and nobody else is
        assert time.monotonic() - began < 60
        time.sleep(0.02)


@pytest.mark.parametrize(
    "garbage", [b"\0" * 70_000, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_garbage_ends_its_own_connection_only(begin: Begin, garbage: bytes) -> None:
    server = begin(Loop())
    with socket.create_connection(("127.0.0.1", server.server_address[1])) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        client.recv(1000)
    assert ask(server, "/healthz")[0] == 200


def test_control_is_a_post_with_the_token_and_a_json_object(begin: Begin) -> None:
    asked: list[dict[str, Any]] = []

    def control(wanted: dict[str, Any]) -> dict[str, Any]:
        if "snr_db" not in wanted:
            raise ConfigError("there is no such parameter")
        asked.append(wanted)
        return {"channel": "SNR 3 dB"}

    server = begin(Loop(), control=control)
    token = {"Authorization": f"Bearer {server.gate.token}", "Content_Type": "application/json"}
    assert ask(server, "/control", "POST", b'{"snr_db": 3}', **token) == (200, b'{"channel": "SNR 3 dB"}')
    assert asked == [{"snr_db": 3}]
    refused = {
        401: (b'{"snr_db": 3}', {"Content_Type": "application/json"}),
        400: (b"[3]", token),
        415: (b'{"snr_db": 3}', token | {"Content_Type": "text/plain"}),
        413: (b" " * 5000, token),
        422: (b'{"other": 3}', token),
        403: (b'{"snr_db": 3}', token | {"Origin": "http://evil.example"}),
    }
    for status, (body, headers) in refused.items():
        assert ask(server, "/control", "POST", body, **headers)[0] == status
    for length in ("", "-1", "\u00b2", "9" * 5000):
        assert ask(server, "/control", "POST", b'{"snr_db": 3}', **token, Content_Length=length)[0] == 413
    assert ask(server, "/control")[0] == 404
    assert asked == [{"snr_db": 3}]


@pytest.mark.parametrize("error", [KeyError("nope"), OverflowError("huge"), OSError("full"), ValueError("not ours")])
def test_an_error_of_ours_is_answered_and_logged(
    begin: Begin, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def control(wanted: dict[str, Any]) -> dict[str, Any]:
        raise error

    server = begin(Loop(), control=control)
    token = {"Authorization": f"Bearer {server.gate.token}", "Content_Type": "application/json"}
    status, said = ask(server, "/control", "POST", b"{}", **token)
    assert (status, list(json.loads(said))) == (500, ["error"])
    assert [one.message for one in caplog.records] == ["http_request_failed"]
    server.page = {}
    assert ask(server, "/")[0] == 500


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"nope": 1}, "'nope' is no channel parameter; there are snr_db"),
        ({"snr": 5}, "'snr' is no channel parameter"),
        ({"snr_trace": 5}, "snr_trace 5 is not a str"),
        ({"snr_trace": "a.csv"}, "files are for `channel-emu set`"),
        ({"snr_db": [5]}, "snr_db list is not a float"),
        ({"snr_db": 10**400}, "snr_db a huge number is outside -60 to 120 dB"),
        ({"coherence": 10**24}, "a request takes text and numbers of at most 64 bits"),
        ({"fading": "\ud800"}, "a request takes text and numbers of at most 64 bits"),
    ],
)
def test_what_no_channel_takes_is_refused_before_it_is_sent(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        change("ipc:///nobody/listens/here", wanted)


@pytest.mark.parametrize(
    "wanted", [{"name": "z", "next": 10**25}, {"ticket": 10**20 - 1}, {"name": "\ud800", "next": 1}]
)
def test_what_no_receiver_takes_is_refused_before_it_is_sent(wanted: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a request takes text and numbers of at most 64 bits"):
        Enrolling(lambda: "ipc:///nobody/listens/here", "--http-enrol")(wanted)


def test_without_control_there_is_none(begin: Begin) -> None:
    server = begin(Loop())
    assert ask(server, "/control", "POST", b"{}", Authorization=f"Bearer {server.gate.token}")[0] == 403


def test_who_is_not_asked_yet_is_called_so_by_the_page_and_by_the_server_in_words_of_one_source(begin: Begin) -> None:
    page = Path(live.__file__).parent
    texts = [path for path in page.rglob("*") if path.suffix in (".py", ".js", ".html", ".css")]
    assert [path.name for path in texts if UNASKED in path.read_text()] == ["neighbours.py"]
    server = begin(Loop(), watch=("127.0.0.1:1",))
    assert server.neighbours[0].look()["dead"] == UNASKED
    shown = ask(server, "/")[1].decode()
    assert shown.count(f'<span class="state" role="status">{UNASKED}</span>') == shown.count("data-process=") == 3
    assert "UNASKED" not in shown
    script = ask(server, "/page.js")[1].decode()
    assert script.count('const UNASKED = document.querySelector("#chips .state").textContent;') == 1


def test_a_watched_process_is_shown_and_told_as_dead_within_two_seconds_and_comes_back(begin: Begin) -> None:
    other = begin(Loop())
    port = other.server_address[1]
    server = begin(Loop(), watch=(f"127.0.0.1:{port}",))

    def seen() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ask(server, "/live.json")[1])["processes"][1]
        return found

    def wait(dead: bool) -> float:
        began = time.monotonic()
        while bool(seen()["dead"]) != dead and time.monotonic() - began < 10:
            time.sleep(0.05)
        return time.monotonic() - began

    assert wait(dead=False) < 2.0
    assert (seen()["process"], seen()["view"]) == ("scrx", {"sessions": 3})
    other.close()
    assert wait(dead=True) < 2.0
    assert str(port) in seen()["dead"]
    again = Server(place_of(str(port), None, False))
    again.board = Loop().board
    again.start()
    try:
        assert wait(dead=False) < 2.0
    finally:
        again.close()


def test_a_watched_port_where_something_else_answers_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(place_of("0", None, False), (f"127.0.0.1:{listener.getsockname()[1]}",), None)
        server.start()
        try:
            began = time.monotonic()
            while "no answer" not in server.neighbours[0].look()["dead"] and time.monotonic() - began < 5:
                time.sleep(0.05)
            assert "no answer within a second" in server.neighbours[0].look()["dead"]
        finally:
            server.close()


def test_a_watched_process_that_ends_is_not_called_slow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(place_of("0", None, False), (f"127.0.0.1:{listener.getsockname()[1]}",), None)
        server.start()
        try:
            server.neighbours[0].look()
            listener.settimeout(5)
            listener.accept()[0].close()
            began = time.monotonic()
            while server.neighbours[0].look()["dead"] == UNASKED and time.monotonic() - began < 5:
                time.sleep(0.01)
            assert "connection" in server.neighbours[0].look()["dead"].lower()
        finally:
            server.close()


def test_a_port_that_is_taken_is_told_before_anything_is_loaded() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match="is the port taken"),
    ):
        Server(place_of(str(taken.getsockname()[1]), None, False))


def test_a_check_says_what_the_start_would_and_leaves_the_port_free() -> None:
    nothing = {"http": None, "http_public": None, "watch": ()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        given = nothing | {"http": str(listener.getsockname()[1])}
        with pytest.raises(ConfigError, match=r"http 127\.0\.0\.1:\d+: Address already in use; is the port taken"):
            check_http("scrx", given)
    for _ in range(2):
        assert check_http("scrx", given).endswith(" is free")
    with pytest.raises(ConfigError, match="watch ipc://a: write HOST:PORT"):
        check_http("scrx", given | {"watch": ("ipc://a",)})
    with pytest.raises(ConfigError, match="http_public: is about the page and metrics"):
        check_http("scrx", nothing | {"http_public": "page"})
    assert [asks_for_page(one) for one in (nothing, given, nothing | {"watch": ("a:1",)})] == [False, True, True]
