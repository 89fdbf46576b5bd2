"""Comparing policies: paired points, intervals that know of fading, runs that are taken up again, link = direct."""

import json
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.errors import ConfigError, SemlinkError
from common.images.datasets import load_images
from common.pair.manifest import Manifest, find_pair
from common.pair.shapes import Accuracy
from sctx.cli import _goal, command
from sctx.pipeline import TransmitChain
from sctx.rate.policy import Goal, RatePolicy
from tests.model.pairs import tiny_pair
from training.closed_loop import main
from training.data.images import load_told
from training.experiments import loop_run
from training.experiments.loop_plan import EXPERIMENTS, Entry, Point, best_rung, plan
from training.experiments.loop_report import compare, control_bits, measures, panels, sweep, uses
from training.experiments.loop_run import Outcome, kept, points_of, prepared, run, transmitter_flags
from training.lab.direct import Encodings, run_direct

OPTIONS = {
    "experiments": ",".join(EXPERIMENTS), "systems": "robust,average,adaptive,adaptive+ir,genie,fixed:2", "snr": "0,10",
    "at": 10.0, "pilots": 4, "within": 1.0, "ir_within": 5.0, "confidence": 0.9, "cycles": 200.0, "stream": 1,
    "seed": 0, "quick": False, "price": 0.001, "loop_systems": "robust,fixed,average,adaptive,genie",
}  # fmt: skip
POINT = Point("id", 4, "adaptive", Goal(), 0.0, 10.0, 0.01, FeedbackSpec(), 400, 1, 0)


@pytest.fixture
def pairs() -> dict[int, Manifest]:
    base = find_pair("digits")
    return {count: replace(base, layout=replace(base.layout, pilots=count)) for count in (2, 4, 8, 16)}


def outcome(right: np.ndarray, symbols: int = 8, rounds: np.ndarray | None = None) -> Outcome:
    count = len(right)
    more = np.zeros(count, int) if rounds is None else rounds
    return Outcome(tuple(int(r) for r in right), (symbols,) * count, tuple(int(r) for r in more), None)


def test_points_of_a_comparison_differ_in_nothing_but_what_is_compared(pairs: dict[int, Manifest]) -> None:
    entries = plan(pairs, OPTIONS)
    for experiment in EXPERIMENTS:
        for x in {one.x for one in entries if one.experiment == experiment}:
            part = [one.point for one in entries if (one.experiment, one.x) == (experiment, x)]
            assert len(part) > 2
            same = {(p.stream, p.seed, p.frames, p.frame_doppler, p.snr_db, p.pilots) for p in part}
            assert len(same) == 1
    assert all(one.point.frames * one.point.frame_doppler >= 200 for one in entries)


def test_what_is_asked_for_twice_is_one(pairs: dict[int, Manifest]) -> None:
    twice = {name: ",".join([str(OPTIONS[name])] * 2) for name in ("experiments", "systems", "loop_systems", "snr")}
    assert plan(pairs, OPTIONS | twice) == plan(pairs, OPTIONS)


def test_feedback_is_what_the_abscissa_says(pairs: dict[int, Manifest]) -> None:
    adaptive = {(e.experiment, e.x): e.point for e in plan(pairs, OPTIONS) if e.system == "adaptive"}
    slot = pairs[4].layout.slot
    for (experiment, x), point in adaptive.items():
        if experiment == "delay":
            assert x == pytest.approx(point.frame_doppler * (1 + point.feedback.delay / slot))
        elif experiment == "loss":
            assert point.feedback == FeedbackSpec(loss=x)
        elif experiment == "bits":
            assert point.feedback == FeedbackSpec(bits=int(x))
        elif experiment == "bias":
            assert point.feedback == FeedbackSpec(bias_db=x)
        else:
            assert point.feedback.clean
    assert {x for experiment, x in adaptive if experiment == "delay"} >= {0.005, 0.01, 0.2}


def test_policies_that_hear_no_reports_are_run_once_for_all_kinds_of_feedback(pairs: dict[int, Manifest]) -> None:
    entries = [one for one in plan(pairs, OPTIONS) if one.experiment in ("loss", "bits")]
    systems = ("robust", "genie", "fixed", "average")
    runs = {name: len({e.point for e in entries if e.system == name}) for name in systems}
    assert (runs["robust"], runs["genie"], runs["fixed"]) == (1, 1, 1)
    assert runs["average"] > 5


def test_a_transmitter_takes_the_flags_of_every_point(pairs: dict[int, Manifest]) -> None:
    for point in {one.point for one in plan(pairs, OPTIONS)}:
        if point.policy != "genie":  # which no transmitter can be
            options = command.make_context("sctx", ["--peer", "host:1", *transmitter_flags(point)], obj={}).params
            assert RatePolicy.parse(options["policy"], _goal(options)).kind == point.policy.partition(":")[0]


def test_points_that_are_equal_have_one_id(pairs: dict[int, Manifest]) -> None:
    """A report without error in `bias` is the one of `loss` 0: whoever ran it, its outcome is found."""
    points = [one.point for one in plan(pairs, OPTIONS)]
    assert len({point.id for point in points}) == len(set(points))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"experiments": "snr,weather"}, "weather"), ({"systems": "robust,best"}, "choose adaptive"),
     ({"systems": "adaptive+luck"}, "choose of"), ({"systems": "fixed:3"}, "sends"), ({"snr": "0,loud"}, "--snr")],
)  # fmt: skip
def test_wrong_options_are_named(pairs: dict[int, Manifest], wrong: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan(pairs, {**OPTIONS, **wrong})


def test_paired_differences_are_taken_frame_by_frame() -> None:
    right = np.random.default_rng(0).random(400) < 0.7
    plain = replace(POINT, frame_doppler=0.2)
    better = replace(plain, policy="genie")
    outcomes = {plain.id: outcome(right), better.id: outcome(right)}
    found = measures([better], outcomes, 0.001, [plain])
    assert set(found.values()) == {(0.0, 0.0, 0.0)}
    alone = measures([better], outcomes, 0.001)["accuracy"]
    assert alone[2] - alone[1] > 0.05


def test_uses_count_pilots_of_every_round_and_what_the_rounds_tell() -> None:
    once = outcome(np.ones(4), symbols=8)
    assert uses(POINT, {POINT.id: once}).tolist() == [12.0] * 4
    half = {POINT.id: outcome(np.ones(4), symbols=8, rounds=np.array([0, 1, 0, 1]))}
    assert control_bits(POINT, half) == 1.0
    assert uses(POINT, half).tolist() == [13.0, 17.0, 13.0, 17.0]


def test_a_row_says_what_was_saved_and_what_it_was_worth() -> None:
    robust = replace(POINT, policy="robust")
    outcomes = {POINT.id: outcome(np.ones(400), 8), robust.id: outcome(np.ones(400), 32)}
    rows = compare([Entry("snr", 10.0, "adaptive", POINT), Entry("snr", 10.0, "robust", robust)], outcomes, 0.001)
    assert rows[0]["less"]["robust"]["uses"] == (-24.0, -24.0, -24.0)
    assert rows[0]["value"][0] == pytest.approx(1.0 - 0.012)
    assert rows[0]["less"]["robust"]["value"][0] == pytest.approx(0.024)
    assert rows[1]["less"] == {}
    json.dumps(rows)


def test_every_experiment_has_a_panel_of_accuracy_above_one_of_uses() -> None:
    outcomes = {POINT.id: outcome(np.arange(400) >= 200, 8)}
    names = ("snr", "delay", "loss", "bits")
    rows = compare([Entry(name, x, "adaptive", POINT) for name in names for x in (1.0, 2.0)], outcomes, 0.001)
    grid = panels(rows)
    assert [[panel.x for panel in line if panel] for line in grid] == 2 * [
        ["average SNR, dB", "fd * tau", "reports lost"]
    ] + 2 * [["bits per SNR"]]
    assert [one.log for one in grid[0] if one] == [False, True, False]
    accuracy, used = (grid[row][0] for row in (0, 1))
    assert accuracy
    assert used
    assert (list(accuracy.curves[0].x), list(accuracy.curves[0].y)) == ([1.0, 2.0], [50.0, 50.0])
    assert list(used.curves[0].y) == [12.0, 12.0]
    assert accuracy.curves[0].low[0] < 50.0 < accuracy.curves[0].high[0]
    assert panels([row for row in rows if row["experiment"] == "snr"]) == [[accuracy, used]]


@pytest.mark.usefixtures("few_draws")
def test_other_pilots_get_tables_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, validation = tiny_pair(tmp_path / "pair"), lambda: load_told(base, "digits", "validation")
    four = prepared(base, 2, validation, tmp_path)
    assert (four.layout.pilots, four.layout.increments) == (2, base.layout.increments)
    assert (four.accuracy, four.words) != (base.accuracy, base.words)
    many = prepared(base, 8, validation, tmp_path)
    for few, more in ((four.words.right, many.words.right), (four.accuracy.acc, many.accuracy.acc)):
        assert np.mean(few) < np.mean(more)  # a worse estimate of the channel costs words
    assert prepared(base, 2, validation, tmp_path) == four
    monkeypatch.setattr(loop_run, "measured_again", lambda *_: many)  # four is of this code
    assert prepared(base, 2, validation, tmp_path) == four
    monkeypatch.setattr(loop_run, "code_sha256", lambda *_: "another")
    assert prepared(base, 2, validation, tmp_path) == many
    for wrong in (99, 1, 0):
        with pytest.raises(ConfigError, match=f"--pilots {wrong}: "):
            prepared(base, wrong, validation, tmp_path)


def test_finished_points_are_not_run_again_and_damaged_ones_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    monkeypatch.setattr(loop_run, "directly", lambda point, *_: ran.append(point) or outcome(np.ones(point.frames)))
    points, pairs = {POINT, replace(POINT, policy="robust")}, {4: find_pair("digits")}
    images = load_images("digits", "test")
    first = run(points, pairs, images, "", tmp_path, direct=True)
    assert len(ran) == 2
    (tmp_path / f"{POINT.id}.json").write_text('{"outcome": {"right": [1')
    assert run(points, pairs, images, "", tmp_path, direct=True) == first
    assert ran[2:] == [POINT]
    assert kept(tmp_path, POINT) == first[POINT.id]
    assert kept(tmp_path, replace(POINT, snr_db=11.0)) is None


def test_what_was_run_directly_is_no_outcome_of_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    alone, sent = outcome(np.ones(400)), replace(outcome(np.ones(400)), header_bytes=60.0)
    monkeypatch.setattr(loop_run, "directly", lambda *_: ran.append("directly") or alone)
    monkeypatch.setattr(loop_run, "over_the_link", lambda *_: ran.append("sent") or sent)
    monkeypatch.setattr(loop_run, "start_receiver", lambda *_: (nullcontext(), 1))
    points, pairs = {POINT, replace(POINT, policy="genie")}, {4: find_pair("digits")}
    for direct in (True, False, False, True):
        run(points, pairs, load_images("digits", "test"), "", tmp_path, direct)
    assert ran == ["directly", "directly", "sent"]  # no link tells what a genie knows


def test_a_run_that_answers_too_few_frames_is_no_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_run, "directly", lambda *_: outcome(np.ones(3)))
    with pytest.raises(SemlinkError, match="3 of 400"):
        run({POINT}, {4: find_pair("digits")}, load_images("digits", "test"), "", tmp_path, direct=True)
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.full  # `test_link_equals_direct` holds the two together frame by frame
@pytest.mark.usefixtures("warm")
def test_the_command_over_real_processes_finds_what_it_finds_without(tmp_path: Path) -> None:
    """No feedback, redundancy and the genie; 48 frames, so no result, but every part of the program."""
    rows = {}
    for way in ("link", "direct"):
        words = ["--out", str(tmp_path / way), "--experiments", "snr", "--systems", "robust,adaptive+ir,genie",
                 "--snr", "8", "--cycles", "0.48", "--confidence", "0.99"]  # fmt: skip
        done = CliRunner().invoke(main, words + ["--direct"] * (way == "direct"), obj={}, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert (tmp_path / way / "closed_loop.png").stat().st_size > 1000
        rows[way] = json.loads((tmp_path / way / "closed_loop.json").read_text())["rows"]
    headers = {row["system"]: row.pop("header_bytes") for row in rows["link"]}
    assert headers.pop("genie") is None  # no link tells what it knows
    assert all(headers.values())
    assert {row.pop("header_bytes") for row in rows["direct"]} == {None}
    assert rows["link"] == rows["direct"]
    assert any(row["mean_rounds"] > 1.0 for row in rows["link"])


def test_the_fixed_rate_is_the_best_for_the_price_at_the_average_snr(pairs: dict[int, Manifest]) -> None:
    table = Accuracy((-10.0, 0.0, 10.0, 30.0), ((0.1, 0.5, 0.9, 0.9), (0.1, 0.8, 0.95, 0.95)), 0.95)
    layout = replace(pairs[4].layout, increments=(4, 16))
    for snr, rungs in ((0.0, [20, 20, 4]), (30.0, [20, 4, 4])):
        assert [best_rung(table, layout, snr, price) for price in (0.0, 0.005, 1.0)] == rungs
    policies = {e.point.policy for e in plan(pairs, {**OPTIONS, "price": 1.0}) if e.system == "fixed"}
    assert policies == {"fixed:2"}


def test_an_image_that_comes_again_is_not_encoded_again_and_gets_the_same_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded: list[int] = []
    true = TransmitChain.encode
    monkeypatch.setattr(TransmitChain, "encode", lambda one, batch: encoded.append(len(batch)) or true(one, batch))
    images = [*load_images("digits", "test").images[:6]] * 2
    spec, policy, shared = ChannelSpec(snr_db=5.0), RatePolicy.parse("adaptive"), Encodings()
    runs = [list(run_direct(find_pair("digits"), images, spec, 1, policy, encodings=shared)) for _ in range(2)]
    assert encoded == [1] * 6
    assert runs[0] == runs[1] == list(run_direct(find_pair("digits"), images, spec, 1, policy))


def test_a_sweep_weighs_every_snr_the_same_and_compares_frame_by_frame() -> None:
    rights = {0.0: np.zeros(400, int), 10.0: np.ones(400, int)}
    entries, outcomes = [], {}
    for snr, right in rights.items():
        for system, symbols in (("robust", 32), ("adaptive", 8)):
            point = replace(POINT, policy=system, snr_db=snr)
            entries.append(Entry("snr", snr, system, point))
            outcomes[point.id] = outcome(right, symbols)
    robust, adaptive = sweep(entries, outcomes, 0.001)
    assert (adaptive["snr_db"], adaptive["accuracy"][0]) == ([0.0, 10.0], 0.5)
    assert adaptive["less"]["robust"]["uses"] == (-24.0, -24.0, -24.0)
    assert adaptive["less"]["robust"]["accuracy"] == (0.0, 0.0, 0.0)
    assert robust["less"] == {}


def test_a_system_may_have_a_goal_of_its_own(pairs: dict[int, Manifest]) -> None:
    systems = "adaptive,adaptive@0.2,adaptive+ir,adaptive@2+ir,adaptive@price,genie@price"
    points = [e.point for e in plan(pairs, {**OPTIONS, "systems": systems, "snr": "5", "experiments": "snr"})]
    assert [(p.policy, p.goal.kind, p.goal.value, p.ask_below) for p in points] == [
        ("adaptive", "within", 1.0, 0.0), ("adaptive", "within", 0.2, 0.0), ("adaptive", "within", 5.0, 0.9),
        ("adaptive", "within", 2.0, 0.9), ("adaptive", "price", 0.001, 0.0), ("genie", "price", 0.001, 0.0),
    ]  # fmt: skip
    for wrong in ("adaptive@a", "adaptive@", "adaptive@-1", "adaptive@nan", "adaptive@1+arq", "robust@3", "fixed:2@1",
                  "robust+ir", "fixed+ir", "adaptive+content"):  # fmt: skip
        with pytest.raises(ConfigError, match="choose of"):
            plan(pairs, {**OPTIONS, "systems": wrong, "experiments": "snr"})


def test_points_of_other_images_or_other_code_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, validation = (load_told(find_pair("digits"), "digits", split) for split in ("test", "validation"))
    places = [points_of(images, tmp_path) for images in (test, validation, replace(test, labels=test.labels[::-1]))]
    monkeypatch.setattr(loop_run, "code_sha256", lambda *_: "another")
    assert len({*places, points_of(test, tmp_path)}) == 4
    assert points_of(test, tmp_path) == points_of(test, tmp_path)


@pytest.mark.parametrize("wrong", [{"snr": "0,inf"}, {"snr": "nan"}, {"at": math.inf}, {"at": math.nan}])
def test_an_snr_that_is_no_number_of_db_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--snr and --at take numbers of dB"):
        plan({4: find_pair("digits")}, {"experiments": "snr", "snr": "0", "at": 10.0, **wrong})
