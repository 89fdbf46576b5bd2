"""Two emulators between transmitter and receiver: every image is answered, and a refusal ends the run with a line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from training.lab.processes import Command

pytestmark = pytest.mark.full
Start = Callable[..., Command]


def row(start: Start, pair: Path, *flags: str) -> int:
    """A receiver and two emulators with the same flags in front of it -> the port of the first."""
    port = start("scrx", "--listen", "0", "--model", str(pair)).port()
    for _ in range(2):
        port = start(
            "channel-emu", "--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{port}", *flags
        ).port()  # fmt: skip
    return port


@pytest.mark.parametrize(("snr", "fading", "told"), [("0", "none", -3.0), ("0", "rayleigh", None), ("10", "none", 7.0)])
def test_every_image_is_answered_through_two_emulators(
    start: Start, tiny_pair: Path, snr: str, fading: str, told: float | None
) -> None:
    port = row(start, tiny_pair, "--snr", snr, "--fading", fading)
    flags = ("--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--count", "120", "--stream", "3", "--json")
    transmitter = start("sctx", *flags)
    summary = [json.loads(line) for line in transmitter.lines()][-1]["summary"]
    assert transmitter.wait(60) == 0, transmitter.said
    assert (summary["answered"], summary["lost"]) == (120, 0)
    if told is not None:
        assert summary["snr_est_db"] == pytest.approx(told, abs=0.5)
