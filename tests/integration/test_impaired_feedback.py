"""The real processes under bad feedback: nobody stays at a wrong rate, every image is answered once."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sctx
from sctx.actions import Frame
from training.lab.processes import Command, start_emulator, start_receiver

Start = Callable[..., Command]
ROBUST = 32


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(transmitter: Command) -> list[dict[str, Any]]:
    items = [json.loads(line) for line in transmitter.lines()]
    assert transmitter.wait(60) == 0, transmitter.said
    return items[:-1]


def test_feedback_that_ends_in_the_middle_of_a_run_leads_to_the_robust_rate(start: Start, tiny_pair: Path) -> None:
    receiver, upstream = start_receiver("--model", str(tiny_pair))
    with receiver:
        port = free_port()
        flags = ("--listen", str(port), "--control", "0", "--upstream", f"127.0.0.1:{upstream}", "--snr", "30")
        emulator = start("channel-emu", *flags)
        transmitter = start("sctx", "--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--window", "1",
                            "--count", "500", "--fps", "150", "--json")  # fmt: skip
        lines = transmitter.lines()
        seen = [json.loads(next(lines)) for _ in range(40)]
        emulator.kill()
        start("channel-emu", *flags, "--feedback-loss", "1")
        seen += answers(transmitter)
    symbols = [item["symbols"] for item in seen]
    assert symbols[39] < ROBUST  # the loop was closed before
    assert set(symbols[-60:]) == {ROBUST}  # some 400 frames after the last report, and the time-out is 256
    assert [item["index"] for item in seen] == list(range(500))


def test_a_channel_that_turned_bad_behind_a_restarted_emulator_is_noticed(start: Start, tiny_pair: Path) -> None:
    receiver, upstream = start_receiver("--model", str(tiny_pair))
    with receiver:
        port = free_port()
        flags = ("--listen", str(port), "--control", "0", "--upstream", f"127.0.0.1:{upstream}")
        emulator = start("channel-emu", *flags, "--snr", "30")
        transmitter = start("sctx", "--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--window", "1",
                            "--count", "200", "--fps", "150", "--json")  # fmt: skip
        lines = transmitter.lines()
        seen = [json.loads(next(lines)) for _ in range(40)]
        emulator.kill()
        start("channel-emu", *flags, "--snr", "-10")
        seen += answers(transmitter)
    symbols = [item["symbols"] for item in seen]
    assert symbols[39] < ROBUST
    assert set(symbols[-60:]) == {ROBUST}


def test_answers_that_are_lost_on_the_way_back_are_asked_for_again_and_counted_once(
    chain: Callable[..., int], start: Start, tiny_pair: Path
) -> None:
    port = chain("--return-drop", "0.2", "--return-delay", "5", "--return-jitter", "5")
    seen = answers(start("sctx", "--peer", f"127.0.0.1:{port}", "--model", str(tiny_pair), "--stream", "1",
                         "--count", "20", "--json"))  # fmt: skip
    assert sorted(item["index"] for item in seen) == list(range(20))
    assert max(item["latency_ms"] for item in seen) > 1000  # at least one had to be sent again


class _Hasty(sctx.Transmitter):
    """Fills the window before anything is known of the channel."""

    _should_wait = False  # type: ignore[assignment]


def _overheard(tx: sctx.Transmitter, monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """The frames that it sends, from now on."""
    frames: list[Frame] = []
    submit = tx.link.submit

    def keep(frame: Frame) -> None:
        frames.append(frame)
        submit(frame)

    monkeypatch.setattr(tx.link, "submit", keep)
    return frames


def test_of_a_far_transmitter_that_was_asked_for_features_one_picture_alone_has_none(
    tiny_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, upstream = start_receiver("--model", str(tiny_pair), "--window", "8")
    with receiver:
        emulator, port = start_emulator(upstream, "--snr", "20", "--delay", "100", "--return-delay", "100")
        with emulator:
            bare = {}
            for kind in (sctx.Transmitter, _Hasty):
                captures = [sctx.Capture(k, np.full((8, 8), 8 * k, np.uint8), None, 0) for k in range(16)]
                with kind(f"127.0.0.1:{port}", tiny_pair, sctx.Settings(distortion=50.0)) as tx:
                    frames = _overheard(tx, monkeypatch)
                    assert {outcome.index for outcome in tx.run(captures)} == set(range(16))
                bare[kind] = sum(frame.words is None for frame in frames)
    assert bare[sctx.Transmitter] == 1
    assert bare[_Hasty] > 1, "as many as the receiver lets be on their way"
