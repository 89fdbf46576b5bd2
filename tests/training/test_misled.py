"""The command that says what wrong reports cost."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from training.experiments.misled import PARTS, main


def test_it_compares_runs_that_differ_in_their_reports_alone(tmp_path: Path) -> None:
    out = tmp_path / "misled.json"
    asked = ["--channel", "awgn", "--snr", "3", "--bias", "0,12", "--streams", "1", "--frames", "42"]
    told = CliRunner().invoke(main, [*asked, "--json", str(out)], obj={}, catch_exceptions=False)
    assert told.exit_code == 0
    assert "+12" in told.output
    honest, misled = json.loads(out.read_text())["rows"]
    for part in PARTS:
        assert honest[part]["lost_trusted"] == [0.0, 0.0, 0.0]
        assert honest[part]["symbols_right"] == honest[part]["symbols_trusted"] == misled[part]["symbols_right"]
    assert misled["then"]["symbols_trusted"] < misled["then"]["symbols_corrected"]


def test_another_seed_is_other_noise_and_other_images_and_the_same_seed_the_same(tmp_path: Path) -> None:
    asked = ["--channel", "awgn", "--snr", "0", "--bias", "6", "--streams", "1", "--frames", "44"]
    found = []
    for run, seed in enumerate(("0", "1", "1")):
        out = tmp_path / f"{run}.json"
        CliRunner().invoke(main, [*asked, "--seed", seed, "--json", str(out)], obj={}, catch_exceptions=False)
        found.append(json.loads(out.read_text())["rows"])
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize(
    "wrong",
    [("--channel", "fog"), ("--frames", "40"), ("--streams", "0"), ("--snr", "loud"), ("--pair", "no")],
)
def test_wrong_use_is_told(wrong: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="no model pair" if wrong[0] == "--pair" else wrong[0]):
        CliRunner().invoke(main, wrong, obj={}, standalone_mode=False, catch_exceptions=False)
