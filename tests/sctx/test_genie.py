"""The genie is asked for only together with where it lives, and its absence is one clear error."""

from pathlib import Path

import pytest

from common.errors import ConfigError, LinkDown
from sctx import genie, transmitter
from sctx.genie import Genie
from sctx.rate import RatePolicy
from sctx.transmitter import Transmitter
from tests.model.pairs import tiny_pair


@pytest.mark.parametrize(("policy", "where"), [("genie", None), ("adaptive", "127.0.0.1:5557")])
def test_policy_and_address_go_together(tmp_path: Path, policy: str, where: str | None) -> None:
    pair = tiny_pair(tmp_path / "pair")
    with pytest.raises(ConfigError, match="go together"):
        Transmitter("127.0.0.1:1", pair, policy=RatePolicy.parse(policy), genie_from=where)


def test_nobody_at_the_control_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genie, "TIMEOUT_S", 0.2)
    asked = Genie("127.0.0.1:1")
    with pytest.raises(LinkDown, match="genie_from: no emulator answers at"):
        asked.report(0, 0, 40, 0)
    asked.close()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="genie_from"):
        Genie("nowhere")


def test_a_link_that_cannot_be_opened_leaves_no_genie_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    class Watched(Genie):
        def __init__(self, address: str) -> None:
            super().__init__(address)
            self.open = True
            opened.append(self)

        def close(self) -> None:
            super().close()
            self.open = False

    monkeypatch.setattr(transmitter, "Genie", Watched)

    def fail(*_: object) -> None:
        raise ConfigError("no socket is left")

    monkeypatch.setattr(transmitter, "Link", fail)
    with pytest.raises(ConfigError, match="no socket is left"):
        Transmitter(
            "127.0.0.1:1", tiny_pair(tmp_path / "pair"), policy=RatePolicy.parse("genie"), genie_from="127.0.0.1:2"
        )
    assert [one.open for one in opened] == [False]
