"""`make demo` in small: the commands that it starts know the flags that it gives, and its table is what they say."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from training import demo
from training.lab import tour


@pytest.mark.full
@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_the_demo_sends_real_images_and_writes_what_it_shows(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "ASKED", 100)
    monkeypatch.setattr(tour, "RUNS", (("awgn", 20.0, 6, ("--fading", "none")),))
    drawn: list[Path] = []
    monkeypatch.setattr(demo, "draw", lambda path, _: drawn.append(path))
    ran = CliRunner().invoke(demo.command, ["--out", str(tmp_path), "--backend", backend], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    assert f"encodes by {backend}" in ran.output
    row, last = json.loads((tmp_path / "demo.json").read_text())
    assert (row["channel"], row["images"], row["lost"] + row["expired"]) == ("awgn", 6, 0)
    assert row["accuracy"] > 0.8
    taught = last["enrolled"]
    assert (taught["images"], taught["examples"], len(taught["classes"]), taught["before"]) == (100, 5, 10, 0.0)
    assert taught["after"] > 0.25, "chance is 0.1; two of five pictures are right in the mean"
    assert drawn == [tmp_path / "demo.png"]
