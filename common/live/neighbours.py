"""Another process of the link, whose page data is asked for while somebody looks. Knows nothing about what is in it.

The browser cannot ask it: a page of another origin gets nothing. One that does not answer is told as such, with why.
"""

import http.client
import json
import threading
import time
from typing import Any

from common.errors import ConfigError
from common.transport.endpoints import parse_peer, parts_of

UNASKED = "not asked yet"
"""Who is looked at for the first time. `server.py` puts it into the page, which begins with it too."""
EVERY_S, WATCHED_S, LIMIT_S = 0.2, 2.0, 1.0
MOST_BYTES = 1 << 20


class Neighbour:
    """One address, `HOST:PORT` of another --http. Raises ConfigError for what is none."""

    def __init__(self, address: str) -> None:
        parsed = parse_peer(address, "watch")
        if parsed.startswith("ipc://"):
            raise ConfigError(f"watch {address}: write HOST:PORT")
        host, self._port = parts_of(parsed)
        self.address, self._host = f"{host}:{self._port}", host.strip("[]")
        self._known: dict[str, Any] = {"process": "", "why": "", "age_s": None, "view": {}}
        self._why, self._known_s, self._looked_s = UNASKED, -1e9, -1e9
        self._asked, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="http-watch", daemon=True)

    def start(self) -> None:
        """Ask from now on, while somebody looks."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._over = True
        self._asked.set()

    def look(self) -> dict[str, Any]:
        """What it said last; `dead` says why it does not answer, "" while it does."""
        self._looked_s = now = time.monotonic()
        self._asked.set()
        return self._known | {"address": self.address, "dead": self._why, "heard_s": round(now - self._known_s, 3)}

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=LIMIT_S)
        while not self._over:
            if time.monotonic() - self._looked_s > WATCHED_S:
                connection.close()
                self._asked.clear()
                self._asked.wait()
                continue
            try:
                self._known, self._why, self._known_s = self._ask(connection), "", time.monotonic()
            except Exception as error:  # whatever it says, it is not what we asked for
                connection.close()
                self._why = f"{self.address}: {_reason(error)}"
            time.sleep(EVERY_S)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> dict[str, Any]:
        connection.request("GET", "/own.json")
        answer = connection.getresponse()
        body = answer.read(MOST_BYTES)
        if answer.status != 200:
            raise ValueError(body[:200].decode(errors="replace").strip())
        found = json.loads(body)
        if not isinstance(found, dict) or not isinstance(found.get("view"), dict):
            raise ValueError("this is no process of the link")
        return found


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer within a second"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it has closed the connection"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
