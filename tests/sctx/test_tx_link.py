"""The transmitter's thread tells what went wrong instead of leaving its owner to wait."""

import pytest

from common.errors import ConfigError
from sctx.actions import Failed, Terms
from sctx.link import Link

TERMS = Terms(bytes(16), bytes(32), "test", slot=128, live=False, deadline_ms=1000, give_up_s=60.0)


@pytest.mark.parametrize("peer", ["tcp://two words:5555", "tcp://http://emu:5555", "tcp://*:5555", "ipc://"])
def test_an_address_that_nobody_can_have_is_refused_at_once(peer: str) -> None:
    with pytest.raises(ConfigError, match="cannot connect"):
        Link(peer, TERMS)


def test_a_failure_of_the_thread_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: int) -> None:
        raise RuntimeError("out of order")

    link = Link("tcp://127.0.0.1:9", TERMS)
    monkeypatch.setattr(link.session, "tick", fail)
    event = link.wait_event(30)
    while event is None:
        event = link.wait_event(30)
    link.close()
    assert isinstance(event, Failed)
    assert "out of order" in str(event.error)
