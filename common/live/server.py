"""Health, metrics and the page over HTTP, each request in a thread of its own. Knows nothing about loops or sockets of
the link, which it can never hold up.

    GET /healthz /readyz            200, or 503 and why
    GET /metrics                    for Prometheus
    GET /                           the page; /live.json: what it shows, own and watched; /own.json: of this process
    POST /control                   JSON parameters of the channel, where that was allowed
    POST /enrol                     JSON of a class to enrol at the receiver (`enrolling.py`), where that was allowed

Whoever connects and says nothing, or reads nothing, holds one of a few places until it is needed or its time is over.
"""

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any

from common.errors import ConfigError, SemlinkError, by_pip
from common.live.board import Board
from common.live.gate import Gate, Place
from common.live.neighbours import UNASKED, Neighbour
from common.text import safe

logger = logging.getLogger(__name__)
PLACES, LIMIT_S = 32, 5.0
"""Connections at a time, and how long one may take over a request."""
TICK_S = 0.25
MOST_BODY = 4096
PAGE = {"/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Control = Callable[[dict[str, Any]], dict[str, Any]]
"""Carries out what a page asks for; raises SemlinkError."""
CHANNEL, ENROL = "control", "enrol"
"""Paths that may have one."""


def _read_page(path: str) -> bytes:
    """A file of the page. What it calls a neighbour at first stands in one place; the script reads it off the page."""
    raw = (files("common.live") / "page" / (path[1:] or "index.html")).read_bytes()
    return raw.replace(b"UNASKED", UNASKED.encode()) if path == "/" else raw


class Server(ThreadingHTTPServer):
    """Listens at once, and serves from `start` on. controls: path -> what may be asked there; name: of the command.

    Raises ConfigError where the address cannot be had.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self, place: Place, watch: Sequence[str] = (), controls: Mapping[str, Control] | None = None, name: str = ""
    ) -> None:
        self.gate, self.controls, self.name = Gate(place.level), controls or {}, name
        self.board: Board | None = None
        self.neighbours = [Neighbour(address) for address in watch]
        self.page = {path: _read_page(path) for path in PAGE}
        self._open: dict[Any, float] = {}
        self._lock = threading.Lock()
        if ":" in place.host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((place.host.strip("[]").replace("*", ""), place.port), Face)
        except OSError as error:
            raise ConfigError(f"http {place.host}:{place.port}: {error.strerror}; is the port taken?") from None
        host = "127.0.0.1" if place.host in ("*", "0.0.0.0") else place.host
        self.url = f"http://{host}:{self.server_address[1]}/"

    def start(self) -> None:
        """Serve, in a thread of our own."""
        threading.Thread(target=self.serve_forever, args=(TICK_S,), name="http", daemon=True).start()
        for neighbour in self.neighbours:
            neighbour.start()

    def close(self) -> None:
        """Free the port."""
        self.shutdown()
        for neighbour in self.neighbours:
            neighbour.close()
        self.server_close()
        with self._lock:
            left = list(self._open)
        for request in left:
            self._cut(request)

    def server_bind(self) -> None:
        """Without asking a name server who we are, as HTTPServer does."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A newcomer gets a place, if need be that of whoever has had one for longest without a request."""
        with self._lock:
            oldest = min(self._open, key=self._open.__getitem__) if len(self._open) >= PLACES else None
            self._open[request] = time.monotonic() + LIMIT_S
        if oldest is not None:
            self._cut(oldest)
        super().process_request(request, client_address)

    def served(self, request: Any) -> None:
        """A request was answered: its connection has new time for the next one."""
        with self._lock:
            if request in self._open:
                self._open[request] = time.monotonic() + LIMIT_S

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """A few times a second: cut off who takes too long."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until_s in self._open.items() if now > until_s]
        for request in late:
            self._cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is nobody's error."""

    def _cut(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        with suppress(OSError):  # its thread wakes up and ends
            request.shutdown(socket.SHUT_RDWR)


class Face(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "semlink", ""
    timeout = LIMIT_S
    server: Server

    def do_GET(self) -> None:
        """Everything that only shows."""
        self._in_any_case(self._show)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Everything that changes something."""
        self._in_any_case(self._carry_out)

    def _in_any_case(self, answer: Callable[[], None]) -> None:
        """Whoever asks hears of an error of ours, and so does the log; of who has left in the middle nobody does."""
        try:
            answer()
        except OSError:
            raise
        except Exception:
            logger.exception("http_request_failed")
            self._json(500, {"error": "this request failed; the log of what serves this page says more"})

    def _show(self) -> None:
        path = self.path.partition("?")[0]
        level = "metrics" if path in ("/healthz", "/readyz", "/metrics") else "page"
        if self._refused(level):
            return
        board = self.server.board
        if path == "/healthz":
            self._health(board.hung() if board else "")
        elif path == "/readyz":
            self._health(board.unready() if board else "starting: the model is being loaded")
        elif path == "/metrics":
            self._metrics(board)
        elif path == "/own.json":
            self._json(200, own(board, self.server.name))
        elif path == "/live.json":
            others = [one.look() for one in self.server.neighbours]
            allowed = {name: name in self.server.controls for name in (CHANNEL, ENROL)}
            self._json(200, {"processes": [own(board, self.server.name), *others], **allowed})
        elif path in PAGE:
            self._send(200, PAGE[path], self.server.page[path])
        else:
            self._say(404, "there are /, /healthz, /readyz and /metrics")

    def _carry_out(self) -> None:
        if self._refused("control"):
            return
        length = self.headers.get("Content-Length", "")
        control = self.server.controls.get(self.path.removeprefix("/"))
        if control is None:
            return self._say(404, "there is nothing to control")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MOST_BODY:
            return self._say(413, f"a body has at most {MOST_BODY} bytes")
        if self.headers.get_content_type() != "application/json":
            return self._say(415, "send application/json")
        try:
            wanted = json.loads(self.rfile.read(int(length)))
            if not isinstance(wanted, dict):
                raise ValueError
        except (ValueError, RecursionError):
            return self._say(400, "not a JSON object")
        try:
            answer = control(wanted)
        except SemlinkError as error:
            return self._json(422, {"error": safe(str(error), 500)})
        except OSError as error:  # not of this connection
            raise RuntimeError(f"/{self.path.removeprefix('/')} failed") from error
        self._json(200, answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who asks is no event of the link."""

    def _refused(self, level: str) -> bool:
        headers = {name.title(): one for name, one in self.headers.items()}
        refusal = self.server.gate.refusal(level, self.command, headers)
        if refusal is not None:
            self.close_connection = True  # its body, if any, was not read
            self._say(*refusal)
        return refusal is not None

    def _health(self, why: str) -> None:
        self._say(503 if why else 200, why or "ok")

    def _metrics(self, board: Board | None) -> None:
        try:
            from common.live.exposition import CONTENT_TYPE, Shown
        except ModuleNotFoundError:
            return self._say(501, f"metrics need prometheus-client: install it by {by_pip('metrics')}")
        if board is None:
            return self._say(503, "starting: the model is being loaded")
        self._send(200, CONTENT_TYPE, Shown(board).text())

    def _say(self, status: int, line: str) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{line}\n".encode())

    def _json(self, status: int, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value, allow_nan=False).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (HEADERS | {"Content-Type": kind, "Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.server.served(self.connection)


def own(board: Board | None, name: str) -> dict[str, Any]:
    """What this process shows of itself. Numbers that JSON has no word for are null."""
    if board is None:
        return {"process": name, "why": "starting", "age_s": None, "view": {}}
    snapshot, about = board.look(), board.about
    return {
        "process": about.process, "version": about.version, "model": about.model, "model_id": about.model_id,
        "why": board.why_now(), "age_s": round(board.age_s(snapshot), 3) if snapshot.view else None,
        "view": dict(snapshot.view),
    }  # fmt: skip
