"""The main job over real processes and real sockets on loopback."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training.lab.processes import Command

Start = Callable[..., Command]
AWAY_S = 1.0
"""As long as one that starts cold is away on a slow host: frames that fall into it are many, and are not lost."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def finish(transmitter: Command, timeout_s: float = 60.0) -> tuple[list[dict], dict]:
    """All answers of `sctx --json` and its summary."""
    items = [json.loads(line) for line in transmitter.lines()]
    assert transmitter.wait(timeout_s) == 0, transmitter.said
    return items[:-1], items[-1]["summary"]


@pytest.mark.cold
def test_every_image_is_answered_once_and_the_summary_adds_up(
    chain: Callable[..., int], start: Start, tiny_pair: Path
) -> None:
    port = chain("--snr", "10")
    answers, summary = finish(
        start(
            "sctx",
            "--peer",
            f"127.0.0.1:{port}",
            "--model",
            str(tiny_pair),
            "--count",
            "100",
            "--stream",
            "9",
            "--json",
        )
    )
    assert sorted(item["index"] for item in answers) == list(range(100))
    numbers = {"index", "seq", "answer", "label", "confidence", "symbols", "snr_est_db", "latency_ms", "round"}
    assert set(answers[0]) == {*numbers, "session", "name", "file"}
    assert answers[0]["file"] is None  # a data set has none
    assert answers[0]["name"] == str(answers[0]["answer"])
    assert 30 < summary["mean_header_bytes"] < 60
    assert (summary["sent"], summary["answered"], summary["lost"], summary["expired"]) == (100, 100, 0, 0)
    assert summary["correct"] == sum(item["answer"] == item["label"] for item in answers)
    assert summary["mean_symbols"] == pytest.approx(sum(item["symbols"] for item in answers) / 100, abs=1e-3)
    assert summary["mean_uses"] == pytest.approx(summary["mean_symbols"] + 8, abs=2e-3)
    assert summary["snr_est_db"] == pytest.approx(10.0, abs=0.5)
    assert summary["stream"] == 9


def test_any_start_order_works(start: Start, tiny_pair: Path) -> None:
    emulator_port, receiver_port = free_port(), free_port()
    model = ("--model", str(tiny_pair))
    transmitter = start("sctx", "--peer", f"127.0.0.1:{emulator_port}", *model, "--count", "20", "--json")
    start(
        "channel-emu", "--control", "0", "--listen", str(emulator_port), "--upstream", f"127.0.0.1:{receiver_port}"
    ).port()
    start("scrx", "--listen", str(receiver_port), *model)
    assert finish(transmitter)[1]["answered"] == 20


def test_straight_to_the_receiver_is_the_ideal_channel_and_says_so(start: Start, tiny_pair: Path) -> None:
    receiver = start("scrx", "--listen", "0", "--model", str(tiny_pair), "--json")
    transmitter = start(
        "sctx", "--peer", f"127.0.0.1:{receiver.port()}", "--model", str(tiny_pair), "--count", "5", "--json"
    )
    answers, summary = finish(transmitter)
    assert summary["snr_est_db"] > 50
    assert "ideal" in transmitter.said
    lines = receiver.lines()
    shown = [json.loads(next(lines)) for _ in answers]
    assert [(item["session"], item["seq"], item["answer"], item["name"], item["final"]) for item in shown] == [
        (item["session"], item["seq"], item["answer"], item["name"], True) for item in answers
    ]
    assert "label" not in shown[0]  # which is the truth, and no receiver knows it


def test_two_transmitters_share_a_receiver(chain: Callable[..., int], start: Start, tiny_pair: Path) -> None:
    port = chain("--snr", "10")
    flags = ("--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--count", "60", "--json")
    pair = [start("sctx", *flags, "--stream", str(k)) for k in (1, 2)]
    for transmitter in pair:
        assert finish(transmitter)[1]["answered"] == 60


def test_same_seed_and_stream_give_the_same_decisions_after_everything_was_restarted(
    chain: Callable[..., int], start: Start, tiny_pair: Path
) -> None:
    runs = []
    for _ in range(2):
        port = chain("--snr", "3", "--fading", "rayleigh", "--seed", "5")
        flags = ("--model", str(tiny_pair), "--count", "40", "--stream", "3", "--window", "1", "--json")
        answers, _ = finish(start("sctx", "--peer", f"127.0.0.1:{port}", *flags))
        runs.append([(a["index"], a["answer"], a["symbols"], a["confidence"], a["snr_est_db"]) for a in answers])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("victim", ["scrx", "channel-emu", "sctx"])
def test_killing_and_restarting_any_process_ends_in_a_completed_run(victim: str, start: Start, tiny_pair: Path) -> None:
    emulator_port, receiver_port = free_port(), free_port()
    model = ("--model", str(tiny_pair))
    commands = {
        "scrx": ("--listen", str(receiver_port), *model),
        "channel-emu": (
            "--control",
            "0",
            "--listen",
            str(emulator_port),
            "--upstream",
            f"127.0.0.1:{receiver_port}",
            "--snr",
            "10",
        ),
        "sctx": ("--peer", f"127.0.0.1:{emulator_port}", *model, "--count", "120", "--fps", "60", "--json"),
    }
    running = {name: start(name, *arguments) for name, arguments in commands.items()}
    lines = running["sctx"].lines()
    seen = [json.loads(next(lines))["index"] for _ in range(30)]
    running[victim].kill()
    time.sleep(AWAY_S)
    again = start(victim, *commands[victim])
    if victim == "sctx":
        answers, summary = finish(again)
        seen = [item["index"] for item in answers]
    else:
        rest, summary = finish(running["sctx"])
        seen += [item["index"] for item in rest]
    assert sorted(seen) == list(range(120))
    assert (summary["answered"], summary["lost"], summary["expired"]) == (120, 0, 0)


@pytest.mark.parametrize("name", ["scrx", "channel-emu", "sctx"])
def test_sigterm_ends_each_process_with_zero(name: str, start: Start, tiny_pair: Path) -> None:
    receiver = start("scrx", "--listen", "0", "--model", str(tiny_pair))
    port = receiver.port()
    if name == "scrx":
        assert receiver.stop() == 0
        return
    if name == "channel-emu":
        emulator = start("channel-emu", "--control", "0", "--listen", "0", "--upstream", f"127.0.0.1:{port}")
        emulator.port()
        assert emulator.stop() == 0
        return
    transmitter = start("sctx", "--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--fps", "20", "--json")
    next(transmitter.lines())
    assert transmitter.stop() == 0
    assert "Traceback" not in transmitter.said
