"""When a receiver says that it is not ready. No socket, no process."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.protocol.messages import Result, Status
from scrx.receiver import Receiver
from scrx.vitals import Vitals

FINE: dict[str, Any] = {"ready": 1, "workers": True, "unanswered": 0, "peers": 1, "waited_s": 0.0,
                        "closed": False}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "why", "restart_helps"),
    [
        ({}, "", False),
        ({"ready": 0}, "no worker is ready", True),
        ({"waited_s": 70.0}, "work has waited for 70.0 s with nothing decoded", True),
        ({"unanswered": 1}, "", False),  # the batch's fault or an accident, and another worker has it
        ({"unanswered": 2}, "workers left the last 2 batches unanswered", False),
        ({"unanswered": 2, "peers": 0}, "", False),  # whose transmitters are gone, and nobody waits
        ({"workers": False, "unanswered": 1}, "", False),
        ({"workers": False, "unanswered": 2}, "the decoder left the last 2 batches unanswered", False),
        ({"closed": True}, "it is going away", True),
    ],
)
def test_why_a_receiver_is_not_ready(found: Mapping[str, Any], why: str, restart_helps: bool) -> None:
    now = {**FINE, **found}
    rx = SimpleNamespace(
        manifest=SimpleNamespace(name="m", id="0"),
        closed=now["closed"],
        pool=SimpleNamespace(ready=now["ready"]) if now["workers"] else None,
        unanswered=now["unanswered"],
        table=SimpleNamespace(peers=dict.fromkeys(range(now["peers"]))),
        progress_age_ms=now["waited_s"] * 1e3,
    )
    board = Vitals(cast("Receiver", rx)).board
    assert board.why_now() == why
    assert bool(board._stuck()) == restart_helps


def test_what_a_head_says_is_shown_beside_the_answer() -> None:
    rx = SimpleNamespace(
        manifest=SimpleNamespace(name="m", id="0"), table=SimpleNamespace(peers={}, naks={}, refused={}), pool=None,
        answered=1, expired=0, failed=0, queue_depth=0, progress_age_ms=0.0,
        link=SimpleNamespace(protocol_errors={}, unsent=0),
    )  # fmt: skip
    vitals = Vitals(cast("Receiver", rx))
    outputs = {"classify": {"index": 3, "name": "oboe"}}
    result = Result(bytes(16), 7, 0, Status.OK, *5 * (None,), 0, 0.6, 0, 0, 2, outputs)
    said: dict[str, Any] = {"name": None, "likeliest": "zebra", "confidence": 0.25, "nearest": []}
    vitals.answered([result], 1000, [{"enrolled": said}])
    _, view = vitals._take()
    assert view["answers"] == [
        {
            "session": "0" * 8, "seq": 7, "confidence": 0.6, "name": "oboe",
            "heads": {"enrolled": {"name": None, "confidence": 0.25}},
        }
    ]  # fmt: skip
