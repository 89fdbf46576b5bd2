"""What the real processes show of themselves over HTTP: the three commands, and what happens when one of them hangs."""

import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.live.families import PREFIX, PROCESSES
from scrx.receiver import Receiver
from scrx.settings import Settings
from scrx.vitals import Vitals
from sctx.outcomes import Summary
from sctx.transmitter import Transmitter
from sctx.vitals import Vitals as Sent
from tests.integration.conftest import Start
from tests.test_operation import named_metrics
from training.lab.processes import Command

pytest.importorskip("prometheus_client")


def http_port(command: Command) -> int:
    return int(command.wait_for(r"live page at http://127\.0\.0\.1:(\d+)/").group(1))


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(wanted: Callable[[], bool], limit_s: float = 30.0) -> float:
    """Wait for it; how long that took in s."""
    began = time.monotonic()
    while not wanted():
        assert time.monotonic() - began < limit_s
        time.sleep(0.05)
    return time.monotonic() - began


def names(text: str) -> set[str]:
    """Families of a text for Prometheus, without its prefix."""
    return {name.removeprefix(PREFIX) for name in re.findall(r"^# TYPE (\S+)", text, re.M)}


def all_three(start: Start, pair: Path, *flags: str) -> dict[str, Command]:
    rx = start("scrx", "--listen", "0", "--model", str(pair), "--http", "0")
    emu = start("channel-emu", "--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{rx.port()}", "--http", "0")
    peer = f"127.0.0.1:{emu.port()}"
    watch = [word for one in (rx, emu) for word in ("--watch", f"127.0.0.1:{http_port(one)}")]
    tx = start("sctx", "--peer", peer, "--model", str(pair), "--json", "--http", "0", *watch, *flags)
    return {"scrx": rx, "channel-emu": emu, "sctx": tx}


def test_each_command_shows_health_and_every_metric_that_is_documented(start: Start, tiny_pair: Path) -> None:
    found = all_three(start, tiny_pair, "--count", "1000000", "--fps", "50")
    ports = {name: http_port(command) for name, command in found.items()}
    until(lambda: ask(ports["sctx"], "/readyz")[0] == 200)
    until(lambda: "semlink_snr_acted_on_db" in ask(ports["sctx"], "/metrics")[1])
    without_workers = {"workers", "worker_restarts_total", "batches_retried_total"}
    named = {name for port in ports.values() for name in names(ask(port, "/metrics")[1])}
    assert named_metrics() - without_workers <= named  # by the dashboard and the alerts
    for name, port in ports.items():
        assert (ask(port, "/healthz")[0], ask(port, "/readyz")) == (200, (200, "ok\n"))
        assert names(ask(port, "/metrics")[1]) == set(PROCESSES[name]) - without_workers | {"build_info"}
    until(lambda: all(one["view"] for one in json.loads(ask(ports["sctx"], "/live.json")[1])["processes"]))
    # Frames are noted while somebody looks: the first look may be before the first of them.
    until(lambda: json.loads(ask(ports["sctx"], "/live.json")[1])["processes"][1]["view"]["received"])
    live = json.loads(ask(ports["sctx"], "/live.json")[1])["processes"]
    assert [one["process"] for one in live] == ["sctx", "scrx", "channel-emu"]
    assert all(one["why"] == "" for one in live)
    sent, received = live[0]["view"], live[1]["view"]
    assert sent["images_total"]["answered"] > 0
    assert sent["images_total"]["unreadable"] == 0
    assert (sent["picture"]["height"], len(sent["sent"]) > 0) == (8, True)
    assert len(received["received"]) == len(received["equalised"]) > 0
    assert live[2]["view"]["snr_set_db"] == 10.0
    os.kill(found["scrx"].process.pid, signal.SIGKILL)
    # How soon is for `test_frozen.py` to measure.
    until(lambda: ask(ports["channel-emu"], "/readyz")[0] == 503)
    until(lambda: ask(ports["sctx"], "/readyz")[0] == 503)
    until(lambda: bool(json.loads(ask(ports["sctx"], "/live.json")[1])["processes"][1]["dead"]))
    assert ask(ports["sctx"], "/healthz")[0] == ask(ports["channel-emu"], "/healthz")[0] == 200


@pytest.mark.parametrize("flags", [["--watch", "h:1"], ["--http-public", "page"]])
def test_what_belongs_to_http_is_refused_without_it_before_anything_is_opened(
    start: Start, flags: list[str], tmp_path: Path
) -> None:
    truth = tmp_path / "truth.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = str(taken.getsockname()[1])
        command = start("channel-emu", *flags, "--listen", listen, "--control", "0", "--truth", str(truth))
        assert command.wait(30) == 2
    assert not truth.exists()
    assert f"error: {flags[0]}: is about the page and metrics, which need --http PORT" in command.said


class Stuck:
    """A decoder that can be told not to come back, and how long to take."""

    def __init__(self, classes: int = 10) -> None:
        self.hangs, self.takes_s, self._over = False, 0.0, False
        self._answer = {"classify": {"index": 1, "name": "1", "confidence": 0.9}}

    def __call__(self, symbols: Any, gamma: Any, tasks: Any) -> list[dict[str, Any]]:
        until_s = time.monotonic() + self.takes_s * len(tasks)
        while (self.hangs or time.monotonic() < until_s) and not self._over:
            time.sleep(0.01)
        return [self._answer for _ in tasks]

    def end(self) -> None:
        self._over = True


def test_a_decoder_that_does_not_come_back_is_not_ready_and_alive_and_a_slow_one_is_ready(
    tiny_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.live.pace.LEAST_S", 1.5)
    decoder = Stuck()
    with (
        Receiver("0", tiny_pair, Settings(window=8, max_batch=8), decoder=decoder) as rx,
        Transmitter(rx.address.removeprefix("tcp://"), tiny_pair) as tx,
    ):
        vitals, sent = Vitals(rx), Sent(tx, Summary(0))
        rx.witness, rx.link.board, tx.link.board = vitals, vitals.board, sent.board
        image = np.zeros((8, 8), np.uint8)
        sent.add(tx.send(image))
        decoder.takes_s = 0.4  # far longer than the first answer took, and below the limit
        for _ in range(3):
            sent.add(tx.send(image))
            assert vitals.board.unready() == sent.board.unready() == ""
        decoder.takes_s, decoder.hangs = 0.0, True
        tx._submit(_capture(image, tx))
        until(lambda: bool(vitals.board.unready() and sent.board.unready()))
        assert "nothing decoded" in vitals.board.unready()
        assert "was answered" in sent.board.unready()
        assert vitals.board.hung() == sent.board.hung() == ""
        decoder.hangs = False
        for outcome in tx.finish(5.0):
            sent.add(outcome)
        until(lambda: not vitals.board.unready() and not sent.board.unready())
        decoder.end()


def _capture(image: Any, tx: Transmitter) -> Any:
    from sctx.capture.source import Capture

    return Capture(99, image, None, time.monotonic_ns())
