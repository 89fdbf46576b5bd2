"""--http and what goes with it, for every command: flags -> a server, or nothing. Knows nothing about what is shown."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from common.console import tell
from common.errors import ConfigError

if TYPE_CHECKING:
    from common.live.board import Board
    from common.live.server import Control, Server
    from common.live.supervised import Supervisor

F = TypeVar("F", bound=Callable[..., Any])
LEVELS = ("metrics", "page", "control")
_ABOUT = ("http_public", "http_control", "http_enrol", "watch")


def http_options(command: F) -> F:
    """Add --http, --http-public and --watch."""
    for option in (
        click.option("--watch", multiple=True, metavar="HOST:PORT", show_default=False,
                     help="The --http of another process of the link, shown on this page too; repeat it for more."),
        click.option("--http-public", type=click.Choice(LEVELS), show_default=False,
                     help="What other hosts may have where --http has an address that they reach: health and metrics, "
                     "the page as well (pictures are on it), or control as well."),
        click.option("--http", metavar="[ADDRESS:]PORT", show_default=False,
                     help="Show health, metrics and a live page over HTTP; a bare port is for this host only."),
    ):  # fmt: skip
        command = option(command)
    return command


class Faces:
    """What was asked for; nothing of it costs anything where that is nothing."""

    def __init__(self, server: "Server | None", supervisor: "Supervisor | None") -> None:
        self._server, self._supervisor = server, supervisor

    def __bool__(self) -> bool:
        return self._server is not None or self._supervisor is not None

    def show(self, board: "Board") -> None:
        """From now on the process can be looked at."""
        if self._server is not None:
            self._server.board = board
        if self._supervisor is not None:
            self._supervisor.watch(board)


def asks_for_page(given: Mapping[str, Any]) -> bool:
    """Whether flags are about one."""
    return given["http"] is not None or any(map(given.get, _ABOUT))


def require_http(given: Mapping[str, Any]) -> None:
    """Raise ConfigError where flags are about a page that nobody asked for, before anything is opened."""
    named = [name for name in _ABOUT if given.get(name)]
    if given["http"] is None and named:
        raise ConfigError(f"{named[0]}: is about the page and metrics, which need http=PORT")


@contextmanager
def faces(command: str, given: Mapping[str, Any], controls: "Mapping[str, Control] | None" = None) -> Iterator[Faces]:
    """What the flags in `given` and the supervisor, if there is one, ask for, until the end of the block.

    controls: what the page may do, by path.

    Raises ConfigError before anything is loaded.
    """
    require_http(given)
    with ExitStack() as closing:
        server = supervisor = None
        if given["http"] is not None:
            server = _serve(command, given, controls or {})
            closing.callback(server.close)
        if "NOTIFY_SOCKET" in os.environ:
            from common.live.supervised import supervisor as found

            if (supervisor := found()) is not None:
                closing.callback(supervisor.close)
        yield Faces(server, supervisor)


def check_http(command: str, given: Mapping[str, Any], controls: bool = False) -> str:
    """Whether `faces` can have what it is asked for, for people; controls: whether the page may do anything.

    Raises ConfigError as that would, and leaves the port free.
    """
    require_http(given)
    server = _server(command, given, {"control": dict} if controls else {})
    server.server_close()
    return f"{server.url} is free"


def _server(command: str, given: Mapping[str, Any], controls: "Mapping[str, Control]") -> "Server":
    """It has its port, and serves nobody yet."""
    from common.live.gate import place_of
    from common.live.server import Server

    place = place_of(given["http"], given["http_public"], bool(controls))
    return Server(place, given["watch"], controls, command)


def _serve(command: str, given: Mapping[str, Any], controls: "Mapping[str, Control]") -> "Server":
    server = _server(command, given, controls)
    server.start()
    at = f"{server.url}#{server.gate.token}" if controls else server.url
    tell(f"{command}: live page at {at}, health at {server.url}readyz, metrics at {server.url}metrics")
    return server
