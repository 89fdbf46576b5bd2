"""A transmitter that is asked to stop while it sends as fast as it can: each image that it sent is accounted for."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Start
from training.lab.processes import Command

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BEGUN = 2000
"""Bytes of results: it is in full swing."""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_loses_no_image_and_no_line(start: Start, tiny_pair: Path, tmp_path: Path, number: int) -> None:
    model = ("--model", str(tiny_pair))
    peer = f"127.0.0.1:{start('scrx', '--listen', '0', *model).port()}"
    for path in (tmp_path / "0", tmp_path / "1"):
        tx = start("sctx", "--peer", peer, *model, "--count", "1000000", "--json-file", str(path))
        wait_until_it_sends(tx, path)
        tx.process.send_signal(number)
        assert tx.wait(60.0) == 0, tx.said
        assert tx.said.endswith("sctx: stopped")
        *answers, last = map(json.loads, path.read_text().splitlines())
        summary, told = last["summary"], {answer["index"] for answer in answers}
        assert summary["answered"] == len(answers) == len(told)
        assert summary["sent"] == len(answers) + summary["lost"] + summary["expired"]
        assert told == set(range(summary["sent"])), "each that was sent, and was answered within a second"


def wait_until_it_sends(tx: Command, path: Path) -> None:
    until_s = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > BEGUN):
        assert time.monotonic() < until_s, tx.said
        time.sleep(0.01)
