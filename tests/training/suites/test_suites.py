"""Suites: every system has a number or a reason, a run goes on where it was killed, and two runs are compared."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from common.errors import ConfigError, ModelError
from common.pair.manifest import find_pair
from training.evaluate import main
from training.report.measured_on import commit, machine
from training.suites import measuring, whole
from training.suites.definitions import SUITES, Suite
from training.suites.kept import NAME, Kept, Outcome
from training.suites.roster import NAMES, roster
from training.suites.verdicts import changes, verdicts
from training.suites.whole import Order, Run, run
from training.systems.bench import Bench
from training.systems.system import CHANNELS, CSI, Measured, NotThere, Place, System

TINY = replace(SUITES["quick"], snrs_db=(-6.0, 6.0), channels=("awgn",), n=(8, 16), home_seeds=2, seeds=1)
SYSTEMS = ("ours", "teacher", "simplex-bound", "fano-bound")
FIELDS = ["system", "channel", "csi", "n", "snr_db", "accuracy", "ci95", "seeds", "mean_uses", "tx_accuracy", "reason"]


def tiny(out: Path, suite: Suite = TINY, **fields: Any) -> Run:
    return run(suite, replace(Order(out, only=SYSTEMS, most=20), **fields), console=Console(quiet=True))


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "figure", lambda *_: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("suite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "figure", lambda *_: None)
        return folder, tiny(folder)


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda one: one.name)
def test_a_suite_has_the_whole_grid(suite: Suite) -> None:
    assert suite.channels == CHANNELS
    assert suite.csi == CSI
    assert set(suite.n) >= {8, 16, 32, 64}
    assert (min(suite.snrs_db), max(suite.snrs_db)) == (-10, 20)
    assert len(suite.snrs_db) >= 8
    assert suite.home in suite.corners


def test_every_point_has_a_number_or_a_reason(done: tuple[Path, Run]) -> None:
    folder, _ = done
    document = json.loads((folder / "quick.json").read_bytes())
    assert len(document["points"]) == len(SYSTEMS) * len(TINY.corners) * len(TINY.snrs_db)
    for point in document["points"]:
        assert list(point) == FIELDS
        assert (point["accuracy"] is None) == bool(point["reason"])
        if point["accuracy"] is not None:
            low, high = point["ci95"]
            assert 0 <= low <= point["accuracy"] + 1e-9
            assert point["accuracy"] <= high + 1e-9
            assert point["mean_uses"] <= point["n"]
            assert point["seeds"] == (2 if point["csi"] == "perfect" and point["n"] == 16 else 1)
    assert {one["system"] for one in document["points"]} == set(SYSTEMS) == set(document["systems"])
    assert document["commit"] == commit()
    assert document["machine"] == machine()
    reasons = {(p["system"], p["csi"], p["n"]) for p in document["points"] if p["reason"]}
    assert ("ours", "estimated", 8) in reasons
    assert ("ours", "estimated", 16) not in reasons


def test_the_tables_say_who_is_ahead_and_why_there_is_no_number(done: tuple[Path, Run]) -> None:
    text = (done[0] / "quick.md").read_text()
    assert text.count("## awgn, ") == len(TINY.corners)
    assert "- no number: ours: 8 pilots and the shortest prefix, 2 symbols, are more than 8" in text


def test_a_run_that_was_killed_goes_on_and_gives_the_same(
    done: tuple[Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut anywhere, in the middle of a line too: only what is missing is measured, and the JSON is the same."""
    whole_run = (done[0] / NAME).read_bytes()
    lines = whole_run.splitlines(keepends=True)
    asked = sum(point["reason"] is not None for point in done[1].document["points"])  # reasons are not kept
    measured: list[str] = []
    measure_one = measuring.outcome_of
    monkeypatch.setattr(measuring, "outcome_of", lambda *a: (measured.append(a[0].name), measure_one(*a))[1])
    for cut in (len(lines[0]) // 2, len(whole_run) - 3, len(whole_run)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / NAME).write_bytes(whole_run[:cut])
        again = tiny(folder)
        assert len(measured) - asked == len(lines) - whole_run[:cut].count(b"\n")
        assert again.document["points"] == done[1].document["points"]
        measured.clear()
        tiny(folder)
        assert len(measured) == asked
        measured.clear()


def test_other_channels_images_or_weights_are_measured_anew(
    done: tuple[Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes((done[0] / NAME).read_bytes())
    count = len(done[1].document["points"])
    measured: list[str] = []
    monkeypatch.setattr(
        measuring, "outcome_of", lambda *a: measured.append(a[0].name) or Outcome(np.empty((0, a[4])), reason="none")
    )
    for fields in ({"seed": 1}, {"most": 19}):
        measured.clear()
        tiny(tmp_path, **fields)
        assert len(measured) == count
        (tmp_path / "quick.json").unlink()
    measured.clear()
    monkeypatch.setattr(measuring, "code_sha256", lambda: "another")
    tiny(tmp_path)
    assert len(measured) == count
    assert (tmp_path / NAME).read_bytes().startswith((done[0] / NAME).read_bytes())  # and nothing that was is lost


def test_what_nobody_knows_all_of_is_measured_each_time_and_not_kept(done: tuple[Path, Run], tmp_path: Path) -> None:
    measured: list[Place] = []

    class Anew(System):
        name, made_of = "anew", None

        def measure(self, place: Place, stream: int, seed: int) -> Measured:
            measured.append(place)
            return Measured(np.ones(len(done[1].bench.labels)), 8.0)

    measuring.measure(TINY, done[1].bench, {"anew": Anew()}, tmp_path, 0, Console(quiet=True))
    first = list(measured)
    measuring.measure(TINY, done[1].bench, {"anew": Anew()}, tmp_path, 0, Console(quiet=True))
    assert measured == first * 2 != []
    assert (tmp_path / NAME).read_bytes() == b""


@pytest.mark.parametrize("kind", ["decided", "probabilities"])
def test_what_is_kept_is_what_was_measured(tmp_path: Path, kind: str) -> None:
    labels = np.array([3, 1, 4, 1, 5])
    decided = np.array([[3, 1, 4, 1, 0], [2, 1, 4, 1, 5]])
    right = (decided == labels).astype(float) if kind == "decided" else np.random.default_rng(0).random((2, 5))
    outcome = Outcome(right, 7.5, decided if kind == "decided" else None)
    with Kept(tmp_path, labels) as kept:
        kept.put("key", outcome, {"system": "some"})
    with Kept(tmp_path, labels) as kept:
        found = kept.get("key")
    assert found is not None
    assert (found.right == right).all()
    assert found.reason is None
    assert found.uses == 7.5
    assert (found.decided is None) == (outcome.decided is None)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (NotThere("too few\nuses"), "too few uses"),
        (ModelError("weights are damaged"), "weights are damaged"),
        (ModuleNotFoundError("No module named 'sionna'", name="sionna"), "needs sionna, which this install leaves out"),
    ],
)
def test_a_part_that_is_missing_is_a_reason(raised: Exception, told: str) -> None:
    class Broken(System):
        name = "broken"

        def measure(self, place: Place, stream: int, seed: int) -> Measured:
            raise raised

    outcome = measuring.outcome_of(Broken(), Place("awgn", "perfect", 8, 0.0), range(2), 0, 5)
    assert outcome.reason is not None
    assert outcome.reason.startswith(told)
    assert outcome.right.shape == (0, 5)


class Coin(System):
    """Right as often as it is said, in each image independently."""

    def __init__(self, name: str, share: float) -> None:
        self.name, self.share = name, share

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        random = np.random.default_rng([seed, stream, round(place.snr_db) + 99, len(self.name)])
        if place.n == 8:
            raise NotThere("too few\nuses")
        return Measured((random.random(400) < self.share).astype(float), 1.0)


def test_a_home_outside_the_grid_has_its_own_number_of_channels() -> None:
    far = Coin("far", 0.5)
    far.home = (("awgn", "perfect", 24), ("awgn", "perfect", 16))
    suite = replace(TINY, csi=("perfect",), far_seeds=3, home_seeds=2, seeds=1)
    streams = {(one.name, place.n): count for one, place, count in measuring.asked(suite, {"far": far})}
    assert streams == {("far", 8): 1, ("far", 16): 2, ("far", 24): 3}


PLACES = [Place("awgn", "perfect", n, float(snr)) for n in (8, 16) for snr in range(-10, 20)]


def outcomes_of(seed: int, *coins: Coin) -> measuring.Outcomes:
    return {
        (one.name, place): measuring.outcome_of(one, place, range(3), seed, 400) for one in coins for place in PLACES
    }


def test_who_is_ahead_is_only_said_where_it_is_no_chance() -> None:
    found = verdicts(
        outcomes_of(0, Coin("ours", 0.8), Coin("equals", 0.8), Coin("bad", 0.6), Coin("better", 0.95)), "ours"
    )
    won = {name: [one.won for one in found if one.system == name] for name in ("equals", "bad", "better")}
    assert won == {"equals": [0] * 30, "bad": [-1] * 30, "better": [1] * 30}
    assert all(one.difference[1] <= one.difference[0] <= one.difference[2] for one in found)


def test_runs_of_other_seeds_agree_and_one_that_is_worse_is_found() -> None:
    from training.suites.verdicts import points

    coins = {"ours": Coin("ours", 0.8)}
    before, now = (points(outcomes_of(seed, *coins.values()), coins) for seed in (0, 1))
    assert not [one for one in changes(now, before) if one.p < 0.05]
    assert len(changes(now, before)) == 30
    worse = points(outcomes_of(1, Coin("ours", 0.6)), coins)
    assert len([one for one in changes(worse, before) if one.p < 0.05]) >= 25
    assert {one["reason"] for one in now if one["n"] == 8} == {"too few uses"}


def test_every_name_of_the_suite_is_there_or_says_why(tmp_path: Path) -> None:
    systems = roster(Bench.open("quick", "digits", most=4))
    assert tuple(systems)[: len(NAMES)] == NAMES
    assert list(roster(Bench.open("quick", "digits", most=4), ["teacher", "ours"])) == ["ours", "teacher"]


def test_the_command_runs_a_suite_and_compares_it_with_another(
    done: tuple[Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SUITES, "quick", TINY)
    flags = ["--suite", "quick", "--only", ",".join(SYSTEMS), "--images", "20", "--seed", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, obj={}, args=[*flags, "--against", str(done[0] / "quick.json")])
    assert result.exit_code == 0, result.output
    assert "0 of 22 points differ from quick.json by more than both intervals allow (Holm, 5 %)" in result.output
    spoilt = json.loads((done[0] / "quick.json").read_bytes())
    for point in spoilt["points"]:
        point["accuracy"] = point["accuracy"] and 0.1
        point["ci95"] = point["ci95"] and [0.05, 0.15]
    (tmp_path / "spoilt.json").write_text(json.dumps(spoilt))
    other = CliRunner().invoke(main, obj={}, args=[one if one != "20" else "19" for one in flags])
    assert (other.exit_code, type(other.exception)) == (1, ConfigError)
    assert "quick.json is of other images (20 of digits, test): give --out another folder" in str(other.exception)
    result = CliRunner().invoke(main, obj={}, args=[*flags, "--against", str(tmp_path / "spoilt.json")])
    assert result.exit_code == 1
    assert "22 of 22 points differ" in result.output


def test_several_pairs_are_in_one_figure_each_with_its_own_label(tmp_path: Path) -> None:
    """Both are of the same weights here: their numbers are the same, under names of their own."""
    (tmp_path / "copy").symlink_to(find_pair("digits").path)
    both = tiny(tmp_path / "out", pairs=("digits", str(tmp_path / "copy")))
    accuracy: dict[str, list[float]] = {}
    for point in both.document["points"]:
        accuracy.setdefault(point["system"], []).append(point["accuracy"])
    assert list(accuracy) == [*SYSTEMS, "ours:copy", "simplex-bound:copy"]
    assert accuracy["ours:copy"][2:4] == accuracy["ours"][2:4]
    assert accuracy["simplex-bound:copy"] == accuracy["simplex-bound"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--suite", "quick", "--snr", "3"], "--snr goes without --suite"),
        (["--only", "ours"], "--only goes with --suite"),
        (["--suite", "nothing"], "--suite nothing: there are quick, cifar10, tinyimagenet100"),
        (["--suite", "quick", "--only", "ours,theirs"], "--only theirs: there are ours,"),
        (["--suite", "tinyimagenet100"], "so where its pictures ('tinyimagenet100') lie is not known"),
        (["--suite", "quick", "--pair", "digits,cifar10"], "--pair cifar10: pair cifar10 takes images of 32 x 32 x 3"),
        (["--suite", "quick", "--images", "0"], "--images must be at least 1"),
    ],
)
def test_a_wrong_order_is_refused_in_one_line(flags: list[str], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, flags, obj={})
    assert isinstance(result.exception, ConfigError)
    assert told in str(result.exception)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"points": [], "data": {"sha256": "other"}}'])
def test_what_is_no_run_of_these_images_is_not_compared_with(done: tuple[Path, Run], tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(ConfigError, match="--against"):
        whole.compare(done[1].document, tmp_path / "old.json")


@pytest.mark.full
def test_a_process_that_is_killed_outright_loses_at_most_the_point_it_was_at(tmp_path: Path) -> None:
    """The command itself, killed by SIGKILL twice and started again: its JSON is that of one that was left alone."""
    words = ["-m", "training.evaluate", "--suite", "quick", "--only", "ours,fano-bound", "--images", "30", "--out"]
    for lines in (5, 60):
        with subprocess.Popen([sys.executable, *words, str(tmp_path / "killed")], stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            kept = tmp_path / "killed" / NAME
            while not kept.is_file() or kept.read_bytes().count(b"\n") < lines:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.kill()
        before = kept.read_bytes()
    for folder in ("killed", "alone"):
        subprocess.run([sys.executable, *words, str(tmp_path / folder)], check=True, stdout=subprocess.DEVNULL)
    assert kept.read_bytes().startswith(before)
    ends = [json.loads((tmp_path / folder / "quick.json").read_bytes()) for folder in ("killed", "alone")]
    assert ends[0]["points"] == ends[1]["points"]
