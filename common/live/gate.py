"""Who may ask for what over HTTP: the address to listen on, Host and Origin, the token. Knows nothing about answers.

A browser lets any page send requests to this host. So a request must name this host as one that it is (or a name that
somebody else owns would be led here), and must not come from a page of another origin; whoever changes anything shows
the token that was printed at start.
"""

import hmac
import secrets
import socket
from collections.abc import Mapping

from common.errors import ConfigError
from common.record import record
from common.text import safe
from common.transport.endpoints import is_loopback, is_numeric, parse_listen, parts_of

LEVELS = ("metrics", "page", "control")
"""What other hosts may have, each with all before it. On loopback nothing but control must be asked for."""
OWN_NAMES = frozenset({"localhost", socket.gethostname().lower()})


@record
class Place:
    """Where to listen, and what whoever gets there may have."""

    host: str
    port: int
    level: str


def place_of(http: str, public: str | None, control: bool) -> Place:
    """`[ADDRESS:]PORT` -> where to listen. A bare port is loopback. Raises ConfigError.

    public: what other hosts may have, None: they are not meant to reach it.
    """
    if "://" in http:
        raise ConfigError(f"http {safe(http)}: write PORT or ADDRESS:PORT")
    text = http if ":" in http else f"127.0.0.1:{http}"
    host, port = parts_of(parse_listen(text, True, "http"))
    if not is_loopback(host):
        if public is None:
            raise ConfigError(f"http {http}: other hosts could reach it; say what they may have: http_public=LEVEL")
        if public == "control" and not control:
            raise ConfigError("http_public control: there is nothing to control without http_control=True")
        return Place(host, port, public)
    return Place(host, port, "control" if control else "page")


class Gate:
    """Judges requests. token: what control asks for; printed at start, and new each time."""

    def __init__(self, level: str) -> None:
        self._level = LEVELS.index(level)
        self.token = secrets.token_urlsafe(18)

    def refusal(self, level: str, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a request that needs `level` is refused: HTTP status and a line; None if it is not."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if not _is_ours(host):
            return 421, "this is not the host that you asked for; use its address"
        foreign = headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        if (origin is not None and origin != f"http://{host}") or foreign:
            return 403, "pages of other origins get nothing"
        if LEVELS.index(level) > self._level:
            return 403, f"not shown here: {level} must be allowed when the process starts (--http-public {level})"
        if method == "POST":
            given = headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return 401, "give the token that was printed at start"
        return None


def _is_ours(host: str) -> bool:
    """Whether a Host header names this host: by number or by a name of its own, so that no foreign name is led here."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name = (name if port.isdigit() else host).lower()
    return name in OWN_NAMES or is_numeric(f"tcp://{name}:1")
