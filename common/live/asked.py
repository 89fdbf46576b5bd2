"""--http and what goes with it, for every command: flags -> a server, or nothing. Knows nothing about what is shown."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from common.console import tell
from common.errors import ConfigError

if TYPE_CHECKING:
    from common.live.board import Board
    from common.live.server import Control, Server

F = TypeVar("F", bound=Callable[..., Any])
LEVELS = ("metrics", "page", "control")


def http_options(command: F) -> F:
    """Add --http, --http-public and --watch."""
    for option in (
        click.option("--watch", multiple=True, metavar="HOST:PORT", show_default=False,
                     help="The --http of another process of the link, shown on this page too; repeat it for more."),
        click.option("--http-public", type=click.Choice(LEVELS), show_default=False,
                     help="What other hosts may have where --http has an address that they reach: health and metrics, "
                     "the page as well (pictures are on it), or control of the channel as well."),
        click.option("--http", metavar="[ADDRESS:]PORT", show_default=False,
                     help="Show health, metrics and a live page over HTTP; a bare port is for this host only."),
    ):  # fmt: skip
        command = option(command)
    return command


class Faces:
    """What was asked for; nothing of it costs anything where that is nothing."""

    def __init__(self, server: "Server | None") -> None:
        self.server = server

    def __bool__(self) -> bool:
        return self.server is not None

    def show(self, board: "Board") -> None:
        """From now on the process can be looked at."""
        if self.server is not None:
            self.server.board = board


@contextmanager
def faces(command: str, given: Mapping[str, Any], control: "Control | None" = None) -> Iterator[Faces]:
    """What the flags in `given` ask for, until the end of the block. Raises ConfigError before anything is loaded."""
    if given["http"] is None:
        if named := [name for name in ("http_public", "http_control", "watch") if given.get(name)]:
            raise ConfigError(f"{named[0]}: is about the page and metrics, which need http=PORT")
        yield Faces(None)
        return
    from common.live.gate import place_of
    from common.live.server import Server

    server = Server(
        place_of(given["http"], given["http_public"], control is not None), given["watch"], control, command
    )
    server.start()
    try:
        at = f"{server.url}#{server.gate.token}" if control else server.url
        tell(f"{command}: live page at {at}, health at {server.url}readyz, metrics at {server.url}metrics")
        yield Faces(server)
    finally:
        server.close()
