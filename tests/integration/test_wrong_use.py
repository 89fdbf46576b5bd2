"""Bad input gives one clear line, the right exit code, and no traceback."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sctx
from training.lab.processes import Command


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder where nothing of ours lies."""
    monkeypatch.chdir("/")


def run(name: str, *arguments: str) -> tuple[int, str]:
    code, _, said = run_whole(name, *arguments)
    return code, said


def run_whole(name: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    with Command(name, *arguments) as command:
        told = "".join(command.lines())
        code = command.wait(120)
    return code, told, command.said


PEER = ("--peer", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("sctx", (), 2, "--peer"),
        ("sctx", ("--peer", "nohost"), 2, "HOST:PORT"),
        ("sctx", ("--peer", "host:99999"), 2, "not a port"),
        ("sctx", (*PEER, "--model", "nosuch"), 2, "digits"),
        ("sctx", (*PEER, "--source", "nowhere/at/all"), 2, "--source nowhere/at/all"),
        ("sctx", (*PEER, "--source", "dataset:nosuch:test"), 2, "nosuch"),
        ("sctx", (*PEER, "--model", "cifar10"), 2, "give --source"),
        ("sctx", (*PEER, "--rate-policy", "fixed:7"), 2, "--rate-policy fixed:7"),
        ("sctx", (*PEER, "--device", "abacus"), 2, "--device abacus"),
        ("sctx", (*PEER, "--count", "0"), 2, "--count"),
        ("sctx", (*PEER, "--give-up", "0.5"), 4, "0.5 s"),
        ("scrx", ("--listen", "abc"), 2, "not a port"),
        ("scrx", ("--listen", "0.0.0.0:0"), 2, "--insecure"),
        ("scrx", ("--listen", "0", "--model", "nosuch"), 2, "nosuch"),
        ("channel-emu", ("--snr", "abc"), 2, "--snr"),
        ("channel-emu", ("--fading", "rain"), 2, "fading 'rain'"),
        ("channel-emu", ("--upstream", "x"), 2, "--upstream"),
    ],
)
def test_wrong_use_is_one_line_and_an_exit_code(name: str, arguments: tuple[str, ...], code: int, words: str) -> None:
    returned, said = run(name, *arguments)
    assert returned == code, said
    assert words in said
    assert "Traceback" not in said
    assert "error" in said.lower()


def test_port_taken_is_told(start: Callable[..., Command], tiny_pair: Path) -> None:
    port = start("scrx", "--listen", "0", "--model", str(tiny_pair)).port()
    returned, said = run("scrx", "--listen", str(port), "--model", str(tiny_pair))
    assert returned == 2
    assert f"127.0.0.1:{port}" in said
    assert "in use" in said


def test_a_receiver_that_is_full_is_not_taken_for_one_that_is_away(
    start: Callable[..., Command], tiny_pair: Path
) -> None:
    rx = start("scrx", "--listen", "0", "--model", str(tiny_pair), "--max-sessions", "1", "--log-level", "info")
    peer = f"127.0.0.1:{rx.port()}"
    with sctx.Transmitter(peer, tiny_pair) as first:
        first.send(np.zeros((8, 8), np.uint8))
        ours = "sctx", "--peer", peer, "--model", str(tiny_pair)
        returned, said = run(*ours, "--give-up", "0.5")
        assert returned == 4, said
        assert "receiver_busy" in said
        assert "the receiver is there, but takes no other session: no room for another session" in said
        rx.wait_for("session_refused.*no room for another session")
        returned, told, _ = run_whole(*ours, "--check")
        assert returned == 1
        assert "FAIL  receiver: it is there, but takes no other session: no room for another session" in told


def test_another_model_at_the_receiver_is_refused_with_both_ids(
    start: Callable[..., Command], tiny_pair: Path, other_pair: Path
) -> None:
    port = start("scrx", "--listen", "0", "--model", str(other_pair)).port()
    returned, said = run("sctx", "--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair))
    assert returned == 3, said
    assert "refused" in said
    assert "--model" in said


@pytest.mark.parametrize(("half", "name"), [("encoder", "sctx"), ("decoder", "scrx")])
def test_corrupt_weights_are_named(half: str, name: str, tiny_pair: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_pair, tmp_path / "broken")
    file = broken / f"{half}.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    arguments = PEER if name == "sctx" else ("--listen", "0")
    returned, said = run(name, *arguments, "--model", str(broken))
    assert returned == 1
    assert f"{half}.safetensors" in said
    assert "Traceback" not in said


def test_halves_of_two_pairs_do_not_mix(tiny_pair: Path, other_pair: Path, tmp_path: Path) -> None:
    mixed = shutil.copytree(tiny_pair, tmp_path / "mixed")
    shutil.copy(other_pair / "encoder.safetensors", mixed / "encoder.safetensors")
    returned, said = run("sctx", *PEER, "--model", str(mixed))
    assert returned == 1
    assert "SHA-256" in said


def test_a_picture_that_is_none_is_named(start: Callable[..., Command], tiny_pair: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"not a picture")
    port = start("scrx", "--listen", "0", "--model", str(tiny_pair)).port()
    returned, said = run("sctx", "--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--source", str(tmp_path))
    assert returned == 2
    assert "photo.jpg" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("policy", ["robust", "fixed:4"])
def test_a_goal_that_nobody_looks_at_is_refused(policy: str) -> None:
    returned, said = run("sctx", *PEER, "--rate-policy", policy, "--budget", "5")
    assert returned == 2
    assert f"--budget is a goal, which policy {policy.partition(':')[0]} does not look at" in said


def test_one_among_others_is_named_and_the_others_are_answered_by_name(
    start: Callable[..., Command], tiny_pair: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "c.png"):
        Image.fromarray(np.full((9, 9), 128, np.uint8)).save(tmp_path / name)
    (tmp_path / "b.jpg").write_bytes(b"not a picture")
    port = start("scrx", "--listen", "0", "--model", str(tiny_pair)).port()
    words = ("--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--source", str(tmp_path))
    returned, told, said = run_whole("sctx", *words)
    assert returned == 1
    assert "b.jpg" in said
    assert "2 of 2 images answered" in told
    assert "unreadable=1" in told
    for name in ("a.png", "c.png"):
        assert re.search(rf"{name}: \d, \d+ %", told)
    returned, told, _ = run_whole("sctx", *words, "--json")
    assert returned == 1
    answers = [line for line in map(json.loads, told.splitlines()) if "index" in line]
    found = sorted((line["index"], line["file"]) for line in answers)
    assert found == [(0, str(tmp_path / "a.png")), (2, str(tmp_path / "c.png"))]
