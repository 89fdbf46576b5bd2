"""`--check` of the three commands, beside the real processes."""

import shutil
from pathlib import Path

from common.pair.manifest import SHIPPED
from tests.integration.conftest import Start
from training.lab.processes import start_emulator, start_receiver


def lines(start: Start, name: str, *flags: str) -> tuple[int, list[str]]:
    command = start(name, *flags, "--check")
    found = [line.rstrip("\n") for line in command.lines()]
    return command.wait(60), found


def test_the_doctor_walks_from_name_to_model(start: Start, tiny_pair: Path, other_pair: Path) -> None:
    rx, port = start_receiver("--model", str(tiny_pair))
    emu, listen = start_emulator(port)
    try:
        code, found = lines(start, "sctx", "--peer", f"127.0.0.1:{listen}", "--model", str(tiny_pair))
        assert (code, found[-1]) == (0, "all is well")
        assert found[-2].startswith("ok    receiver: takes us, protocol 1, 1 emulator on the path, round trip ")
        code, found = lines(start, "sctx", "--peer", f"127.0.0.1:{listen}", "--model", str(other_pair))
        assert code == 1
        assert "FAIL  receiver: the receiver refused: it holds model tiny" in found[-2]
        assert found[-2].endswith("; start both with the same pair (--model NAME)")
        code, found = lines(start, "scrx", "--listen", str(port), "--model", str(tiny_pair))
        assert code == 1
        assert found[-2].startswith("FAIL  --listen port: cannot listen on ")
        code, found = lines(start, "sctx", "--peer", "127.0.0.1:9", "--source", "/nowhere")
        assert found[2].startswith("FAIL  --source: /nowhere: not found; give ")
        code, found = lines(start, "channel-emu", "--listen", "0", "--upstream", f"127.0.0.1:{port}")
        assert (code, found[-1]) == (0, "all is well")
        assert not [one for one in (rx, emu) if "warning" in one.said]  # who is well is not disturbed
        rx.stop()
        code, found = lines(start, "channel-emu", "--listen", "0", "--upstream", f"127.0.0.1:{port}")
        assert code == 1
        assert "start scrx there" in found[-2]
    finally:
        emu.stop()
        rx.stop()


def test_the_doctor_says_what_encodes_and_why_nothing_can(start: Start, tiny_pair: Path, tmp_path: Path) -> None:
    pair = shutil.copytree(tiny_pair, tmp_path / "pair", ignore=shutil.ignore_patterns("*.onnx"))
    code, found = lines(start, "sctx", "--peer", "127.0.0.1:9", "--model", str(pair), "--backend", "auto")
    assert (code, found[1]) == (1, "ok    --backend: torch")
    for graph, told in ((None, "is not there"), (SHIPPED / "digits" / "encoder.onnx", "was made of other weights")):
        if graph:
            shutil.copy(graph, pair)
        code, found = lines(start, "sctx", "--peer", "127.0.0.1:9", "--model", str(pair), "--backend", "onnx")
        assert (code, found[1].startswith(f"FAIL  --backend: {pair}/encoder.onnx {told}")) == (1, True), found
        assert "makes it, after `pip install '.[export]'`" in found[1]
