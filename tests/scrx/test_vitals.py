"""When a receiver says that it is not ready. No socket, no process."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scrx.receiver import Receiver
from scrx.vitals import Vitals

FINE: dict[str, Any] = {"ready": 1, "unanswered": 0, "peers": 1, "waited_s": 0.0}


@pytest.mark.parametrize(
    ("found", "why", "restart_helps"),
    [
        ({}, "", False),
        ({"ready": 0}, "no worker is ready", True),
        ({"waited_s": 70.0}, "work has waited for 70.0 s with nothing decoded", True),
        ({"unanswered": 1}, "", False),  # the batch's fault or an accident, and another worker has it
        ({"unanswered": 2}, "workers left the last 2 batches unanswered", False),
        ({"unanswered": 2, "peers": 0}, "", False),  # whose transmitters are gone, and nobody waits
    ],
)
def test_why_a_receiver_with_workers_is_not_ready(found: Mapping[str, Any], why: str, restart_helps: bool) -> None:
    now = {**FINE, **found}
    rx = SimpleNamespace(
        manifest=SimpleNamespace(name="m", id="0"),
        closed=False,
        pool=SimpleNamespace(ready=now["ready"], unanswered=now["unanswered"]),
        table=SimpleNamespace(peers=dict.fromkeys(range(now["peers"]))),
        progress_age_ms=now["waited_s"] * 1e3,
    )
    board = Vitals(cast("Receiver", rx)).board
    assert board.why_now() == why
    assert bool(board._stuck()) == restart_helps
