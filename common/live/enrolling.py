"""Classes that a page enrols: what it asks goes to the receiver's control port. Knows nothing about heads.

    {"name": text, "next": count, "session": text}    -> {"ticket": number}
    {"ticket": number}                                -> {"have": count, "of": count, "done": bool, "without": text}
    {"ticket": number, "end": true}                   -> {}

Whoever waits asks again within five seconds; who does not has given up. So a page that is closed leaves nothing behind.
"""

from collections.abc import Callable, Mapping
from typing import Any

from common.control.client import Client, Shape, is_text, is_whole

HEAD = "enrolled"
"""The head that a class belongs to where nobody names one."""
SHAPES: Mapping[str, Shape] = {
    "enrol": {"ticket": is_whole},
    "enrolling": {
        "have": is_whole, "of": is_whole, "session": is_text, "done": lambda value: isinstance(value, bool),
        "without": is_text,
    },
}  # fmt: skip


class Enrolling:
    """A `common.live.server.Control`. where: the control port's address as it is now; flag: who gave it."""

    def __init__(self, where: Callable[[], str], flag: str) -> None:
        self._where, self._flag = where, flag

    def __call__(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """LinkDown where no receiver answers there; ConfigError or SemlinkError, as it says."""
        if "ticket" in wanted:
            request = {"op": "give-up" if wanted.get("end") else "enrolling", "ticket": wanted["ticket"]}
        else:
            given = {key: wanted.get(key, "") for key in ("name", "session", "next")}
            request = {"op": "enrol", "head": HEAD, "group": "", "more": False, **given}
        with Client(self._where(), "receiver", "scrx", SHAPES, self._flag) as receiver:
            found = receiver.ask(request)
        return {key: found[key] for key in ("ticket", "have", "of", "done", "without") if key in found}
