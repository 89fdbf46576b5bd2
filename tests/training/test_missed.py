"""The command that holds `sctx --distortion` to its promise."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from training.experiments.missed import main


def test_it_measures_what_is_missed_beside_what_was_expected(tmp_path: Path) -> None:
    out = tmp_path / "missed.json"
    asked = ["--pair", "digits", "--channel", "awgn", "--snr", "10", "--distortion", "5,1", "--frames", "40"]
    told = CliRunner().invoke(main, [*asked, "--json", str(out)], obj={}, catch_exceptions=False)
    assert told.exit_code == 0
    loose, tight = json.loads(out.read_text())["rows"]
    assert loose["symbols"] < tight["symbols"] == 32
    assert tight["expected"] < loose["expected"] <= 5.0
    assert loose["missed"] > tight["missed"] > 1.0
    assert (loose["short"], tight["short"]) == (0.0, 100.0)


@pytest.mark.parametrize(
    "wrong",
    [("--channel", "fog"), ("--doppler", "fast"), ("--snr", "loud"), ("--distortion", "much"), ("--pair", "no")],
)
def test_wrong_use_is_told(wrong: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="no model pair" if wrong[0] == "--pair" else wrong[0]):
        CliRunner().invoke(main, wrong, obj={}, standalone_mode=False, catch_exceptions=False)
