"""What can be wrong without a model is told before one is loaded, and something is on the screen at once."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from training.lab.processes import Command

PROGRAM = """
import json, sys
from sctx.cli import main
from scrx.cli import main as receive

def run(command, words):
    sys.argv = ["x", *words]
    try:
        command()
    except SystemExit as end:
        return end.code

codes = [run(main, words) for words in json.loads(sys.argv[1])] + [run(receive, ["--listen", "::1"])]
print(json.dumps({"codes": codes, "torch": "torch" in sys.modules}))
"""
PEER = ["--peer", "127.0.0.1:1"]
WRONG = [
    ["--peer", "::1"], ["--peer", "host:0"], [*PEER, "--keys", "/no/such/folder"], [*PEER, "--model", "nosuch"],
    [*PEER, "--source", "no/such/place"], [*PEER, "--rate-policy", "robus"], [*PEER, "--rate-policy", "fixed:7"],
    [*PEER, "--rate-policy", "genie"], [*PEER, "--budget", "1"],
]  # fmt: skip


def test_no_torch_for_what_is_wrong_without_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(WRONG)], capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(ran.stdout) == {"codes": [2] * (len(WRONG) + 1), "torch": False}
    told = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    flags = ["--peer", "--peer", "no key in", "no model pair", "--source", "--rate-policy", "--rate-policy",
             "--rate-policy", "goal budget", "--listen"]  # fmt: skip
    assert len(told) == len(flags)
    for line, flag in zip(told, flags, strict=True):
        assert line.startswith(f"error: {flag}"), line


def test_the_first_line_is_there_before_the_model() -> None:
    with subprocess.Popen([Path(sys.executable).with_name("sctx"), *PEER], stderr=subprocess.PIPE, text=True) as begun:
        assert begun.stderr is not None
        assert begun.stderr.readline() == "sctx: opening pair digits\n"
        loaded = Path(f"/proc/{begun.pid}/maps")
        early = not loaded.exists() or "libtorch" not in loaded.read_text()
        begun.kill()
    assert early


@pytest.mark.full
@pytest.mark.parametrize("name", ["scrx", "channel-emu", "sctx"])
def test_a_terminal_that_goes_away_ends_each_process_with_zero(
    name: str, start: Callable[..., Command], tiny_pair: Path
) -> None:
    receiver = start("scrx", "--listen", "0", "--model", str(tiny_pair))
    where = f"127.0.0.1:{receiver.port()}"
    command = receiver
    if name == "channel-emu":
        command = start("channel-emu", "--control", "0", "--listen", "0", "--upstream", where)
        command.port()
    if name == "sctx":
        command = start("sctx", "--peer", where, "--model", str(tiny_pair), "--fps", "20", "--json")
        next(command.lines())
    command.process.send_signal(signal.SIGHUP)
    *_, last = ["", *command.lines()]
    assert command.wait(60) == 0, command.said
    assert "Traceback" not in command.said
    if name == "sctx":
        assert json.loads(last)["summary"]["answered"] > 0
