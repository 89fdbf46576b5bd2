"""Both ends write what they answered into files that are put away while they run: nothing is missing, nothing twice."""

import json
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Start

COUNT = 60
pytestmark = pytest.mark.full


def entries(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]


def test_answers_are_all_in_the_files_of_both_ends_though_these_are_renamed(
    start: Start, tiny_pair: Path, tmp_path: Path
) -> None:
    received, sent = tmp_path / "rx" / "answers.jsonl", tmp_path / "tx" / "answers.jsonl"
    rx = start("scrx", "--listen", "0", "--model", str(tiny_pair), "--json-file", str(received))
    flags = ["--model", str(tiny_pair), "--count", str(COUNT), "--fps", "100", "--json-file", str(sent)]
    tx = start("sctx", "--peer", f"127.0.0.1:{rx.port()}", *flags)
    for turn in range(3):
        for path in (received, sent):
            until = time.monotonic() + 30
            while not path.exists() or path.stat().st_size < 100:
                assert time.monotonic() < until
                time.sleep(0.01)
            path.rename(path.with_suffix(f".{turn}"))
    assert tx.process.wait(60) == 0
    rx.stop()
    answers = entries(received.parent)
    assert sorted(one["seq"] for one in answers) == list(range(COUNT))  # type: ignore[type-var]
    *told, summary = sorted(entries(sent.parent), key=lambda one: "summary" in one)
    assert sorted(one["index"] for one in told) == list(range(COUNT))  # type: ignore[type-var]
    assert summary["summary"]["answered"] == COUNT  # type: ignore[index]
