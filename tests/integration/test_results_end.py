"""Results that cannot be written any more: the transmitter ends, and what it reached is told where there is room."""

import os
import time
from pathlib import Path

from tests.integration.conftest import Start


def test_a_summary_that_has_no_place_in_the_file_is_said_all_the_same(
    start: Start, tiny_pair: Path, tmp_path: Path
) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad" / "results").mkdir(parents=True)
    for folder in ("good", "bad"):
        (tmp_path / f"to-{folder}").symlink_to(tmp_path / folder)
    path = (tmp_path / "to-good").rename(tmp_path / "now") / "results"
    model = ("--model", str(tiny_pair))
    peer = f"127.0.0.1:{start('scrx', '--listen', '0', *model).port()}"
    tx = start("sctx", "--peer", peer, *model, "--count", "100000", "--fps", "100", "--json-file", str(path))
    until_s = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < until_s, tx.said
        time.sleep(0.01)
    os.replace(tmp_path / "to-bad", tmp_path / "now")  # at once: a folder has the name of the file
    assert "images answered" in next(tx.lines())
    assert tx.wait(60.0) == 1
    assert tx.said.endswith(f"error: {path}: Is a directory")
