"""`--check` of the three commands, beside the real processes."""

import shutil
import socket
from pathlib import Path

from common.pair.manifest import SHIPPED
from common.transport.keystore import make_keys as new_keys
from tests.integration.conftest import Start
from training.lab.processes import Command, start_emulator, start_receiver

NOT_LOOKED_AT = "not looked at: the {} that runs there may have it"


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
        code, found = lines(start, "scrx", "--listen", str(listen), "--model", str(tiny_pair))
        assert code == 1
        assert found[1].startswith("FAIL  --listen port: cannot listen on "), "what is there is an emulator"
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


def test_keys_on_one_side_alone_are_told(start: Start, tiny_pair: Path, tmp_path: Path) -> None:
    new_keys(tmp_path / "rx", "rx")
    rx = start("scrx", "--listen", "0", "--model", str(tiny_pair), "--keys", str(tmp_path / "rx"))
    for _ in range(3):  # what comes of a handshake is a race
        code, found = lines(start, "sctx", "--peer", f"127.0.0.1:{rx.port()}", "--model", str(tiny_pair))
        assert code == 1
        (failed,) = [line for line in found if line.startswith("FAIL  --peer")]
        assert "keys" in failed


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


def test_beside_what_runs_already_the_doctor_looks_at_the_rest(start: Start, tiny_pair: Path, tmp_path: Path) -> None:
    held = ["--control", f"ipc://{tmp_path}/emu", "--truth", f"{tmp_path}/truth", "--http", "0"]
    keeps = ["--model", str(tiny_pair), "--http", "0"]
    rx, port = start_receiver(*keeps)
    emu = Command("channel-emu", "--listen", "0", "--upstream", f"127.0.0.1:{port}", *held)
    try:
        listen = emu.port()
        words = "--listen", str(listen), "--upstream", f"127.0.0.1:{port}", *held
        code, found = lines(start, "channel-emu", *words)
        assert (code, found[-1]) == (0, "all is well"), found
        assert f"note  --listen port: channel-emu runs at tcp://127.0.0.1:{listen} already" in found
        for name in ("--control port", "--truth", "--http"):
            assert f"note  {name}: {NOT_LOOKED_AT.format('channel-emu')}" in found
        code, found = lines(start, "scrx", "--listen", str(port), *keeps)
        assert (code, found[-1]) == (0, "all is well"), found
        assert found[1] == f"note  --listen port: scrx runs at tcp://127.0.0.1:{port} already"
        assert f"note  --http: {NOT_LOOKED_AT.format('scrx')}" in found
        code, found = lines(start, "channel-emu", "--listen", str(port), "--upstream", "127.0.0.1:9")
        assert code == 1
        assert found[2].startswith("FAIL  --listen port: cannot listen on "), "what is there is a receiver"
        rx.stop()
        code, found = lines(start, "channel-emu", *words)
        assert (code, found[-1]) == (1, "1 of 9 checks failed; mend what says FAIL")
        assert "start scrx there" in found[-2]
        assert "warning" not in emu.said.replace("upstream_away", ""), "who is asked is not disturbed"
    finally:
        emu.stop()
        rx.stop()
    assert "protocol errors: none" in rx.said


def test_what_a_start_would_end_with_the_doctor_says_and_leaves_nothing(
    start: Start, tiny_pair: Path, tmp_path: Path
) -> None:
    """Each resource that cannot be had: the line is that of the start."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as control:
        taken, at = listener.getsockname()[1], f"ipc://{tmp_path}/control"
        control.bind(f"{tmp_path}/control")
        control.listen()
        emu = "channel-emu", "--listen", "0"
        rx = "scrx", "--listen", "0", "--model", str(tiny_pair)
        shipped = "scrx", "--listen", "0"
        tx = "sctx", "--peer", "127.0.0.1:9", "--model", str(tiny_pair)
        file = f"{tmp_path}/there"
        Path(file).write_text("years")
        before = sorted(path.name for path in tmp_path.iterdir())
        for command, *wrong in (
            (emu, "--http", str(taken)), (rx, "--http", str(taken)), (tx, "--http", str(taken)),
            (emu, "--control", at), (rx, "--http", "0", "--http-control"), (shipped, "--control", at),
            (emu, "--truth", "/nowhere/x"), (emu, "--record", "/nowhere/x"), (emu, "--truth", file),
            (emu, "--replay", "/nowhere/x"), (emu, "--drop", "2"), (emu, "--snr-trace", "/nowhere"),
            (rx, "--keys", "/nowhere"), (tx, "--keys", "/nowhere"), (tx, "--model", "/nowhere"),
            (tx, "--device", "nonsense"), (emu, "--listen", "0.0.0.0:5556"), (rx, "--listen", "x"),
            (emu, "--http-enrol", "x", "--http", "0"),
        ):  # fmt: skip
            code, found = lines(start, *command, *wrong)
            failed = [line for line in found if line.startswith("FAIL") and "nothing listens at" not in line]
            assert (code, len(failed)) == (1, 1), (wrong, found)
            name, told = failed[0].removeprefix("FAIL  ").split(": ", 1)
            begun = start(*command, *wrong)
            assert begun.wait(60) in (1, 2), wrong
            assert begun.why in (f"{name.split()[0]} {told}", f"{name.split()[0]}: {told}", told), wrong
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert Path(file).read_text() == "years"


def test_without_the_pair_the_rest_is_looked_at(start: Start) -> None:
    code, found = lines(start, "sctx", "--peer", "127.0.0.1:9", "--model", "/nowhere")
    assert code == 1
    assert found[0].startswith("FAIL  --model: no model pair '/nowhere': ")
    assert found[-2].startswith("FAIL  --peer port: nothing listens at 127.0.0.1:9")
    assert found[-1] == "2 of 4 checks failed; mend what says FAIL"
