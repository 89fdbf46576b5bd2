"""The receiver's control port: enrol a class, and list, save, load or remove heads, while frames pass.

Knows nothing about frames or decoders. Requests and answers are those of `common/control/port.py`:

    {"op": "enrol", "name": text, "head": text, "group": text, "next": count, "session": hex or "", "more": bool}
                                       -> {"ok": true, "ticket": number}
    {"op": "enrolling", "ticket": number}
                                       -> {"ok": true, "have": count, "of": count, "session": hex or "", "done": bool}
    {"op": "give-up", "ticket": number}
                                       -> {"ok": true}
    {"op": "heads"}                    -> {"ok": true, "heads": [{"head", "classes", "examples", "sha256"}],
                                           "model": text, "folder": text or ""}
    {"op": "classes", "head": text}    -> {"ok": true, "classes": [{"name", "group", "examples"}]}
    {"op": "save", "head": text}       -> {"ok": true, "raw": bytes}
    {"op": "load", "head": text, "raw": bytes}          -> {"ok": true, "classes": count}
    {"op": "remove", "head": text, "name": text or ""}  -> {"ok": true}

Who waits for an enrolment asks again and again; the answer that says `done` is given after the class is on disk and
every later frame is judged by it. Who does not ask for five seconds has given up.
"""

import shlex
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from common.control.port import Port
from common.errors import ConfigError, ModelError, SemlinkError
from common.text import safe
from common.transport.sockets import MAX_FRAME_BYTES
from common.transport.waiting.io_threads import make_context
from scrx.heads.enrolment import Wanted
from scrx.heads.head import Head, check_class_name, check_group_name, check_head_name
from scrx.heads.service import Heads

TURN_MS = 100
LAST_WORD_S = 0.6
"""How long the port stays for who waits for an enrolment, so that it hears that the receiver is going away."""
READ_S, LINGER_MS = 0.1, 200
"""What is not read yet when a connection ends is lost to a socket that sends only where somebody is."""
MOST_EXAMPLES = 1000


class Desk(Port):
    """Serves in a thread of its own. sessions: those that are connected, as 32 hex digits."""

    def __init__(self, address: str, heads: Heads, sessions: Callable[[], Sequence[str]]) -> None:
        self._heads, self._sessions = heads, sessions
        self._ending = self._over = False
        self._thread: threading.Thread | None = None
        self._own_context = make_context()
        try:
            super().__init__(self._own_context, address, "rx", MAX_FRAME_BYTES)
        except BaseException:
            self._own_context.destroy(linger=0)
            raise
        self._thread = threading.Thread(target=self._run, name="scrx-control", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The receiver is going away: what is not enrolled yet will not be."""
        self._ending = True

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Give who waits its last word, and free the port."""
        self._ending = True
        collector, until = self._heads.collector, time.monotonic() + LAST_WORD_S
        if collector.open(time.monotonic()):
            while collector.open(time.monotonic()) and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(READ_S)
        self._over = True
        if self._thread is not None:
            self._thread.join(timeout=5)
        super().close(linger_ms)
        self._own_context.term()

    def _run(self) -> None:
        while not self._over:
            self.serve(bool(self.socket.poll(TURN_MS)))

    def _answer(self, request: dict[str, Any], envelope: list[bytes]) -> dict[str, Any]:
        work = {
            "enrol": self._enrol, "enrolling": self._enrolling, "give-up": self._give_up, "heads": self._list,
            "classes": self._classes, "save": self._save, "load": self._load, "remove": self._remove,
        }.get(str(request.get("op")))  # fmt: skip
        if work is None:
            raise ConfigError("the request is none that this receiver knows: scrx --version there and here?")
        return {"ok": True} | work(request)

    # -- enrolling

    def _enrol(self, request: dict[str, Any]) -> dict[str, Any]:
        name, group = check_class_name(_text(request, "name")), check_group_name(_text(request, "group"))
        head, count = check_head_name(_text(request, "head")), request.get("next")
        if type(count) is not int or not 1 <= count <= MOST_EXAMPLES:
            raise ConfigError(f"--next {safe(repr(count), 40)}: give a number of examples, 1 to {MOST_EXAMPLES}")
        there = self._heads.shelf.get(head)
        known = there and there.of(name)
        if known and not request.get("more"):
            raise ConfigError(
                f"'{name}' is enrolled in head '{head}' already, from {known.examples} examples; --more adds to them, "
                f"and `scrx heads remove {head} --class {shlex.quote(name)}` takes it away"
            )
        if self._ending:
            raise SemlinkError(_gone(name))
        sessions = self._sessions()
        session, now = _among(_text(request, "session"), sessions), time.monotonic()
        return {"ticket": self._heads.collector.begin(name, head, group, count, session, sessions, now).ticket}

    def _enrolling(self, request: dict[str, Any]) -> dict[str, Any]:
        collector = self._heads.collector
        wanted = collector.look(_ticket(request), self._sessions(), time.monotonic())
        if wanted.full:
            try:
                self._finish(wanted)
            finally:
                collector.end(wanted.ticket)
        elif self._ending:
            collector.end(wanted.ticket)
            raise SemlinkError(f"{_gone(wanted.name)} ({len(wanted.examples)} of {wanted.count} examples had come)")
        return {
            "have": len(wanted.examples), "of": wanted.count, "session": wanted.session, "done": wanted.full,
            "without": wanted.without,
        }  # fmt: skip

    def _finish(self, wanted: Wanted) -> None:
        shelf = self._heads.shelf
        head = shelf.get(wanted.head) or Head.empty(wanted.head, shelf.pair, shelf.space.wide)
        shelf.put(head.with_class(wanted.name, wanted.group, list(wanted.examples.values())))

    def _give_up(self, request: dict[str, Any]) -> dict[str, Any]:
        self._heads.collector.end(_ticket(request))
        return {}

    # -- heads

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        shelf = self._heads.shelf
        heads = [judge.head for judge in shelf.judges.values()]
        rows = [
            {"head": head.name, "classes": len(head.classes), "examples": len(head.bits), "sha256": head.sha256}
            for head in heads
        ]
        return {"heads": rows, "model": shelf.pair.name, "folder": str(shelf.folder or "")}

    def _classes(self, request: dict[str, Any]) -> dict[str, Any]:
        classes = self._there(request).classes
        return {"classes": [{"name": one.name, "group": one.group, "examples": one.examples} for one in classes]}

    def _save(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"raw": self._there(request).packed()}

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        name, raw = check_head_name(_text(request, "head")), request.get("raw")
        if not isinstance(raw, bytes):
            raise ConfigError("load needs the bytes of a head's file")
        if self._heads.shelf.get(name) is not None:
            raise ConfigError(f"a head '{name}' is there already: give this one another name (--as), or remove that")
        if self._ending:
            raise SemlinkError(f"the receiver is ending: head '{name}' was not loaded")
        try:
            head = self._heads.shelf.parse(raw, name)
        except ModelError as error:
            raise ConfigError(f"head '{name}' was not loaded: {error}") from None
        self._heads.shelf.put(head)
        return {"classes": len(head.classes)}

    def _remove(self, request: dict[str, Any]) -> dict[str, Any]:
        head, name = self._there(request), _text(request, "name")
        if not name:
            self._heads.shelf.remove(head.name)
            return {}
        if head.of(name) is None:
            known = ", ".join(one.name for one in head.classes[:20]) or "none"
            raise ConfigError(f"head '{head.name}' has no class '{safe(name, 60)}'; it has {known}")
        self._heads.shelf.put(head.without(name))
        return {}

    def _there(self, request: dict[str, Any]) -> Head:
        name = _text(request, "head")
        head = self._heads.shelf.get(name)
        if head is None:
            known = ", ".join(sorted(self._heads.shelf.judges)[:20]) or "none"
            raise ConfigError(f"there is no head '{safe(name, 60)}' here; there are: {known}")
        return head


def _text(request: dict[str, Any], key: str) -> str:
    value = request.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be a text")
    return value


def _ticket(request: dict[str, Any]) -> int:
    value = request.get("ticket")
    if type(value) is not int:
        raise ConfigError("ticket must be a number")
    return value


def _gone(name: str) -> str:
    return f"the receiver is ending: '{name}' was not enrolled; start scrx again, then enrol it"


def _among(text: str, sessions: Sequence[str]) -> str:
    """The session that a text is the beginning of; "" of an empty one."""
    found = [one for one in sessions if text and one.startswith(text.lower())]
    if text and len(found) != 1:
        known = ", ".join(sorted(sessions)[:8]) or "none"
        what = "is connected" if not found else "is clear: more than one begins so"
        raise ConfigError(f"--session {safe(text, 60)}: no such session {what}; connected: {known}")
    return found[0] if found else ""
