"""The report says what its files say; a number that changes changes it; what is not there is said to be not there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.pair.manifest import find_pair
from training import claims
from training.cards.card import Card
from training.findings import orders
from training.findings.chapters import (
    accuracy,
    axes,
    document,
    feedback_worth,
    later,
    second_look,
    training_data,
    unwon,
    yardstick,
)
from training.findings.chapters.document import claims as rows_of
from training.findings.chapters.document import figures, note, stale, text, write
from training.findings.claim import BOTH, EVEN, LOST, NONE, OPEN, WON, Row, of_interval, of_less, of_standing
from training.findings.headline import Headline, compared, further_apart, intervals
from training.findings.result import Result
from training.findings.retrained import CIFAR10, DIGITS, TENTH
from training.findings.sources import Sources, Standing, Suite, of_result, training_seed


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources.read()


def test_the_page_and_its_figures_are_what_the_results_say(sources: Sources) -> None:
    assert stale(sources) == [], "python -m training.claims writes them"


def test_a_page_that_was_edited_is_noticed(sources: Sources, tmp_path: Path) -> None:
    page = tmp_path / document.REPORT
    page.write_text(text(sources).replace("**lost**", "**won**", 1), encoding="utf-8")
    assert document.REPORT in stale(sources, tmp_path)


def spoilt(sources: Sources, by: float) -> Sources:
    """Every accuracy of a suite moved."""
    suites = {}
    for name, suite in sources.suites.items():
        points = [{**one, "accuracy": one["accuracy"] and one["accuracy"] + by} for one in suite.document["points"]]
        suites[name] = Suite(name, {**suite.document, "points": points})
    return replace(sources, suites=suites)


def test_a_number_that_changes_changes_page_and_figure(sources: Sources) -> None:
    moved = spoilt(sources, 0.01)
    assert text(moved) != text(sources)
    frontier = axes.FIGURE
    assert note(figures(moved)[frontier]) != note(figures(sources)[frontier])


def test_a_figure_remembers_what_it_was_drawn_from(sources: Sources, tmp_path: Path) -> None:
    small = replace(sources, results={})
    write(small, tmp_path)
    assert stale(small, tmp_path) == []
    assert axes.FIGURE in stale(spoilt(small, 0.01), tmp_path)


def test_what_is_not_there_is_said_to_be_not_measured() -> None:
    nothing = Sources({}, {}, {})
    for claim, rows in rows_of(nothing).items():
        assert {row.verdict for row in rows} <= {NONE}, claim
    assert all(found == "not measured" for _, _, found, _ in yardstick.rows(nothing))
    assert "not measured" in text(nothing)


def test_every_row_with_a_verdict_names_its_file(sources: Sources) -> None:
    rows: list[Row] = [row for some in rows_of(sources).values() for row in some]
    assert all(("](" in row.source) == (row.verdict != NONE) for row in rows)


def test_every_file_is_in_the_last_table(sources: Sources) -> None:
    last = text(sources).split("## Where each number comes from")[1]
    for name in (*sources.suites, *sources.results):
        assert f"/{name}.json)" in last
    for card in sources.cards.values():
        assert f"`{document.seedless(card)}`" in last


def test_a_suite_that_notes_its_machine_and_commit_is_told_by_them(sources: Sources) -> None:
    noted = {"machine": {"cpu": "one of ours", "instructions": "NEON", "torch": "9"}, "commit": "c" * 40 + "+"}
    suites = {name: replace(one, document={**one.document, **noted}) for name, one in sources.suites.items()}
    last = text(replace(sources, suites=suites)).split("## Where each number comes from")[1]
    assert last.count(f"| one of ours, NEON, torch 9 | 0 | 0 | {'c' * 12}+ |") == len(suites)


@pytest.mark.parametrize(
    ("ahead", "behind", "verdict"), [(3, 0, WON), (0, 1, LOST), (1, 1, BOTH), (0, 0, OPEN)]
)  # fmt: skip
def test_a_verdict_is_of_places_ahead_and_behind(ahead: int, behind: int, verdict: str) -> None:
    assert of_standing(Standing(ahead, behind, 9, above=5, below=4)) == verdict
    assert of_standing(None) == NONE


def test_a_verdict_on_sizes_and_intervals() -> None:
    assert [of_less(*one) for one in ((1, 2), (2, 1), (100, 101))] == [WON, LOST, EVEN]
    assert [of_interval(*one) for one in ((0.1, 1), (-1, -0.1), (-1, 1))] == [WON, LOST, OPEN]


def suite(gap: float, p: float) -> Suite:
    row: dict[str, Any] = {"system": "ours", "against": "label-code", "difference": [gap, 0.0], "p_holm": [p, 1.0]}
    return Suite("one", {"points": [], "systems": {}, "comparisons": [row]})


@pytest.mark.parametrize(("gap", "p", "won", "lost"), [(0.1, 0.01, 1, 0), (-0.1, 0.01, 0, 1), (0.1, 0.06, 0, 0)])
def test_who_is_ahead_is_told_from_either_side(gap: float, p: float, won: int, lost: int) -> None:
    above, surest = int(gap > 0), (p, 1.0) if gap > 0 else (1.0, p)
    assert suite(gap, p).standing("ours", "label-code") == Standing(won, lost, 2, above, 1 - above, surest)
    assert suite(gap, p).standing("label-code", "ours") == Standing(lost, won, 2, 1 - above, above, surest[::-1])
    assert suite(gap, p).standing("ours", "vfe") is None


def test_a_system_is_shown_where_it_has_numbers_and_any_of_a_kind_will_do(sources: Sources) -> None:
    quick = sources.suites["quick"]
    assert accuracy.corner_of(quick, "jpeg-ldpc") == accuracy.HOME
    assert accuracy.corner_of(quick, "webp-ldpc") == ("awgn", "perfect", 56)
    assert accuracy.lacking([quick], (("nobody", "vfe"), ("teacher",))) == []
    assert accuracy.lacking([], (("dt-jscc", "vfe"),)) == ["DT-JSCC"]


def test_a_run_of_fewer_images_comes_after_the_suite_and_says_how_many(sources: Sources) -> None:
    quick = sources.suites["quick"]
    less = {**quick.document, "data": {**quick.document["data"], "images": 7}}
    both = replace(sources, suites={"a": Suite("a", less), "quick": quick})
    assert [one.name for one in both.suites_of("digits")] == ["quick", "a"]
    names = [row.against for row in accuracy._of_pair("digits", [quick, Suite("a", less)])]
    assert names == [row.against for row in accuracy.rows(sources) if row.pair == "digits"]
    kept = [one for one in quick.document["points"] if one["system"] in ("ours", "label-code")]
    few = Suite("quick", {**quick.document, "points": kept})
    again = {row.against for row in accuracy._of_pair("digits", [few, Suite("a", less)])}
    assert {"label code", "VFE, 7 images", "WebP + LDPC, 56 uses, 7 images"} <= again


def test_what_rivals_were_given_is_told_of_all_that_have_weights(sources: Sources) -> None:
    told = {row[:2] for row in accuracy.efforts(sources)}
    fitted = {(pair, accuracy.BESIDE[system]) for pair in accuracy.PAIRS for system in accuracy.FITTED
              if (suite := sources.suite_of(pair)) is not None and suite.has(system)}  # fmt: skip
    assert told == fitted


def test_a_teacher_from_outside_is_held_to_one_of_the_same_images(sources: Sources) -> None:
    def row(name: str, accuracy: float, **more: object) -> dict[str, Any]:
        found = {"difference": 1.0, "ci95": [0.5, 1.5], "difference_over_seeds": [1.0, 1.1, 0.9]}
        return {"name": f"10 % {name}", "accuracy": accuracy} | found | more

    beside = {"to_same_difference": -2.0, "to_same_ci95": [-2.5, -1.5], "to_same_difference_over_seeds": [-2, -2, -2.1]}
    rows = [row("true labels", 15.0), row("teacher of all", 20.0, **beside), row("teacher of the same", 22.0)]
    name = "fractions-tinyimagenet100-tenth"
    made = replace(sources.results[name], found={"rows": rows})
    found = [one for one in training_data.rows(Sources({}, {}, {name: made})) if one.pair == "tinyimagenet100-small"]
    assert [(one.against, one.cells[2], one.verdict) for one in found] == [
        ("true labels alone", "20.0 / 15.0", WON), ("true labels alone", "22.0 / 15.0", WON),
        ("a teacher of the same images", "20.0 / 22.0", LOST),
    ]  # fmt: skip


def swept(mean: float, low: float) -> Sources:
    """A loop in which a policy saves half of the uses at some loss of accuracy."""
    less = {"accuracy": [mean, low, 0.0], "uses": [-20.0, -21.0, -19.0]}
    row = {"system": "adaptive", "snr_db": [0.0], "accuracy": [0.9, 0.8, 1.0], "uses": [20.0, 19.0, 21.0],
           "less": {"robust": less}}  # fmt: skip
    found = {"sweep": [row], "rows": [{"doppler_cycles": 100.0}]}
    return Sources({}, {}, {"loop-digits": Result(1, "loop-digits", "", "", {}, {}, (0,), found, "")})


@pytest.mark.parametrize(("mean", "low", "told"), [(-0.001, -0.0025, "50 %"), (-0.001, -0.0026, "(50 %)")])
def test_savings_are_at_equal_accuracy_where_the_whole_interval_is(mean: float, low: float, told: str) -> None:
    assert feedback_worth.sweep_rows(swept(mean, low))[0][6] == told


def test_a_label_alone_is_held_to_the_better_of_its_receivers(sources: Sources) -> None:
    known, rows = later.told(sources), later.rows(sources)
    shares = [known[one, 32, 10.0, 5]["accuracy"] for one in ("answer", "word")]
    (row,) = (row for row in rows if (row.pair, row.against) == ("32 symbols, 10 dB", "label alone"))
    assert row.cells[0] == f"{100 * max(shares):.1f}"
    assert min(shares) < max(shares)


def enrolled(**more: float) -> Sources:
    """New classes whose encoder has half of them, and more systems at one place."""
    flat = {"features": 0.5, "noiseless": 0.45, "teacher": 0.8}
    there = {"link": 0.4, "word": 0.2, "answer": 0.2, "pq-code": 0.3, **more}
    places = [
        *((one, None, None, right) for one, right in flat.items()),
        *((one, 32, 5.0, it) for one, it in there.items()),
    ]
    points = [{"system": one, "symbols": symbols, "snr_db": snr, "examples": count,
               "told": {"accuracy": right, "low": right, "high": right}}
              for one, symbols, snr, right in places for count in later.SHOWN]  # fmt: skip
    sizes = {"pairs": [{"name": "tinyimagenet100", "macs": 4e7}], "teachers": [{"name": later.LARGE, "macs": 2e8}]}
    made = {later.RESULT: {"points": points}, "sizes": sizes}
    return Sources({}, {}, {one: Result(1, one, "", "", {}, {}, (0,), found, "") for one, found in made.items()})


@pytest.mark.parametrize(("finite", "said"), [(0.44, "88 % of the encoder's own"), (0.46, "within reach"), (None, "")])
def test_what_uses_bound_is_said_of_the_ideal_code_that_was_asked(finite: float | None, said: str) -> None:
    sources = enrolled() if finite is None else enrolled(finite=finite, capacity=0.48)
    lines = "".join(unwon.section(sources, {}))
    assert said in lines
    assert ("lie beyond" in lines) is (finite == 0.44)
    assert ("ideal code" in lines) is (finite is not None)


def test_a_teacher_that_is_sent_stands_beside_ours_with_its_operations() -> None:
    lines = "\n".join(later.section(enrolled(**{"teacher-pq": 0.6})))
    assert "5.0 times as much: 200 MMAC" in lines
    assert "| 32 symbols, 5 dB | 60.0 | 60.0 | 40.0 | 40.0 | 50 | 50 |" in lines


def test_classes_that_nothing_has_met_stand_by_their_names() -> None:
    """Each class once, and a gain whose average is of the lines above it."""
    assert sorted(",".join(orders.APART).split(",")) == sorted(find_pair("cifar10").labels)
    there = {"link": 0.9, "answer": 0.6, "word": 0.7, "pq-code": 0.8}
    places = [*((one, 56, 10.0, right) for one, right in there.items()), ("features", None, None, 0.95)]
    points = [{"system": one, "symbols": symbols, "snr_db": snr, "examples": count,
               "told": {"accuracy": right, "low": right - 0.01, "high": right + 0.01}}
              for one, symbols, snr, right in places for count in later.SHOWN]  # fmt: skip
    made = Result(1, "apart-cifar10-3", "", "", {}, {}, (0,), {"points": points}, "")
    before = enrolled(**{"teacher-pq": 0.6})
    lines = "\n".join(later.section(replace(before, results={**before.results, made.name: made})))
    assert not [one for one in later.section(before) if "nothing has met" in one]
    row = "| deer, dog, frog | 33.3 | 90.0 | 90.0 | 70.0 | 70.0 | won | 80.0 | 80.0 | 95.0 | 95.0 |"
    assert row in lines
    assert "| bird, cat | 50.0 | not measured |" in lines
    assert "+20.0 to +20.0 points ahead" in lines
    assert "over 1 parts" in lines


def test_cards_of_other_channels_are_no_training_seeds(sources: Sources) -> None:
    own = accuracy.by_seed(sources)
    assert all(card.seed == 0 for some in own.values() for _, card in some)
    again = replace(sources, cards={file: card for file, card in sources.cards.items() if card.seed})
    assert accuracy.by_seed(again) == {}
    assert accuracy.drawn_again(sources, "quick", -6.0) == accuracy.drawn_again(again, "quick", -6.0) != []


def test_a_second_look_says_of_each_headline_what_is_left(sources: Sources) -> None:
    lines = [*second_look.lines(sources)]
    assert {one.left for one in lines} == {second_look.STANDS, second_look.WEAK, second_look.FALLS}
    assert len({one.headline for one in lines}) == len(lines)
    assert [*second_look.lines(Sources({}, {}, {}))] == []


def test_luck_is_told_where_ours_is_above_what_no_code_passes(sources: Sources) -> None:
    said = "points on the label code"
    assert [one.left for one in second_look.lines(sources) if said in one.headline] == [second_look.FALLS]
    assert [one for one in second_look.lines(spoilt_ours(sources)) if said in one.headline] == []


def spoilt_ours(sources: Sources) -> Sources:
    """Ours below the bound of its decisions at every place."""
    quick = sources.suites["quick"]
    points = [{**one, "accuracy": one["accuracy"] and 0.5} if one["system"] == "ours" else one
              for one in quick.document["points"]]  # fmt: skip
    return replace(sources, suites={**sources.suites, "quick": Suite("quick", {**quick.document, "points": points})})


# -- training seeds, and two runs


def test_an_interval_over_seeds_is_students() -> None:
    found = Headline({0: 1.0, 1: 2.0, 2: 3.0}).interval
    assert found == pytest.approx((2.0, 2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5), abs=1e-5)
    assert Headline({0: 1.0, 1: 2.0, 2: 3.0}).told(1).endswith("3 training seeds: 1.0 2.0 3.0")


def test_one_seed_has_no_interval_and_says_so() -> None:
    assert Headline({0: 98.5}).interval is None
    assert Headline({0: 98.5}).told() == "98.5, one training seed"


def test_the_seed_of_a_card_is_in_the_command_that_trains_its_pair(sources: Sources) -> None:
    card: Card = next(iter(sources.cards.values()))
    assert training_seed(replace(card, retrain=None)) == 0
    assert training_seed(replace(card, retrain="python -m training.distill --recipe digits --seed 12")) == 12


def test_two_runs_differ_where_both_intervals_do_not_allow_it_and_not_by_chance_among_many() -> None:
    same, far, apart = (0.5, 0.4, 0.6), (0.9, 0.85, 0.95), (0.66, 0.56, 0.76)
    assert further_apart([same], [same]) == [False]
    assert further_apart([same, same], [same, far]) == [False, True]
    assert further_apart([same], [apart]) == [True]
    assert further_apart([same] * 20, [apart, *[same] * 19]) == [False] * 20  # p = 0.02 is nothing among twenty


def test_numbers_that_have_an_interval_are_found_wherever_they_stand() -> None:
    found = {
        "rows": [{"accuracy": [0.5, 0.4, 0.6], "x": 3, "less": {"robust": {"uses": [-1.0, -2.0, 0.0]}}}],
        "points": [{"told": {"accuracy": 0.3, "low": 0.2, "high": 0.4}}, {"accuracy": 0.9, "ci95": [0.8, 1.0]}],
        "snr_db": [0.0, 5.0, 10.0],
    }
    assert dict(intervals(found)) == {
        "rows[0].accuracy": (0.5, 0.4, 0.6), "rows[0].less.robust.uses": (-1.0, -2.0, 0.0),
        "points[0].told": (0.3, 0.2, 0.4), "points[1]": (0.9, 0.8, 1.0),
    }  # fmt: skip
    lines, count = compared(found, {**found, "points": [{"told": {"accuracy": 0.9, "low": 0.88, "high": 0.92}}]})
    assert (len(lines), count) == (1, 3)
    assert lines[0].startswith("points[0].told: 0.9000 (0.8800 .. 0.9200) before, 0.3000")


# -- the command


@pytest.mark.parametrize(("by", "code"), [(0.0, 0), (0.3, 1)])
def test_another_seed_is_compared_and_not_kept(monkeypatch: pytest.MonkeyPatch, by: float, code: int) -> None:
    name, asked = "enrolment-tinyimagenet100", []
    before = Sources.read().results[name]

    def measured(_: str, more: list[str]) -> Result:
        asked.append(more)
        points = [{**one, "told": {end: value + by for end, value in one["told"].items()}}
                  for one in before.found["points"]]  # fmt: skip
        return replace(before, found={**before.found, "points": points})

    monkeypatch.setattr(orders, "measured", measured)
    ran = CliRunner().invoke(claims.main, ["--measure", name, "--seed", "3"], obj={})
    assert ran.exit_code == code, ran.output
    assert asked == [["--seed", "3"]]
    assert "numbers differ" in ran.output
    assert Sources.read().results[name] == before


def test_the_command_checks() -> None:
    ran = CliRunner().invoke(claims.main, ["--check"], obj={})
    assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "1"], "--seed goes with --measure"),
        (["--measure", "nothing"], "there are sizes"),
        (["--measure", "sizes", "--seed", "1"], "commands that draw a channel"),
    ],
)
def test_wrong_use_is_told(words: list[str], said: str) -> None:
    ran = CliRunner().invoke(claims.main, words, obj={})
    assert said in str(ran.exception) + ran.output


def retrained(seed: int, ours: float, theirs: float, p: float) -> dict[str, Any]:
    """What a suite of a pair that was trained again has: ours and a rival at every SNR of the home, and their label."""
    snrs = (*accuracy.SNRS_DB, 20.0)
    shares = {"ours": ours, "vfe": theirs, "label-code": ours}
    points = [{"system": name, "channel": "awgn", "csi": "perfect", "n": 16, "snr_db": snr, "accuracy": share}
              for name, share in shares.items() for snr in snrs]  # fmt: skip

    def beside(system: str, against: str, gap: float) -> dict[str, Any]:
        many = [gap] * len(snrs)
        return {"system": system, "against": against, "channel": "awgn", "csi": "perfect", "n": 16, "snr_db": [*snrs],
                "difference": many, "low": many, "high": many, "p_holm": [p] * len(snrs)}  # fmt: skip

    return {
        "points": points, "pair": {"name": "mine", "id": "0"}, "suite": "cifar10",
        "systems": {"ours": {"trained": {"seed": str(seed), "epochs": "4"}}},
        "comparisons": [beside("ours", "label-code", -0.001 * (seed + 1)), beside("vfe", "ours", theirs - ours)],
    }  # fmt: skip


def results_of(names: Sequence[str], found: Sequence[dict[str, Any]]) -> dict[str, Result]:
    return {name: Result(1, name, "", "", {}, {}, (0,), one, "") for name, one in zip(names, found, strict=True)}


@pytest.mark.parametrize(
    ("gaps", "p", "verdict"),
    [
        ((0.1, 0.11, 0.12), 0.01, WON), ((-0.1, -0.1, -0.1), 0.01, LOST),
        ((0.1, 0.11, 0.12), 0.5, OPEN), ((0.1, -0.1, 0.1), 0.01, OPEN),
    ],
)  # fmt: skip
def test_rivals_of_a_tenth_are_ahead_or_behind_where_every_run_and_the_seeds_say_so(
    gaps: tuple[float, ...], p: float, verdict: str
) -> None:
    names = [*TENTH.orders]
    found = [retrained(seed, 0.7 + gap, 0.7, p) for seed, gap in enumerate(gaps)]
    rows = training_data.rows(Sources({}, {}, results_of(names, found)))
    (row,) = [one for one in rows if one.against == "VFE"]
    assert (row.pair, row.verdict) == ("digits", verdict)
    assert row.cells[2] == f"{70 + 100 * sum(gaps) / 3:.1f} / 70.0"
    assert all(of_result(name) in row.source for name in names)


def test_pairs_that_were_trained_again_have_a_row_each_snr_and_their_number_is_told() -> None:
    names = [*CIFAR10.orders]
    some = Sources({}, {}, results_of(names, [retrained(seed, 0.8, 0.7, 0.01) for seed in (2, 0, 1)]))
    assert [*accuracy.runs_of(some, CIFAR10)] == [2, 0, 1]  # by what was trained, not by what was asked
    rows = [one for one in accuracy.headlines(some) if one[0] == CIFAR10.title]
    assert len(rows) == len(accuracy.SNRS_DB)
    assert "3 training seeds: -0.10 -0.20 -0.30" in rows[0][3]
    assert "`cifar10` 3 of today's recipe, and one as it ships" in text(some)
    assert "`cifar10` one; beside" in text(Sources({}, {}, {}))


def test_rivals_over_training_seeds_are_those_that_every_run_has() -> None:
    shipped = Suite("quick", retrained(0, 0.8, 0.7, 0.01))
    names = [*DIGITS.orders]
    found = results_of(names, [retrained(1, 0.82, 0.7, 0.01), retrained(2, 0.84, 0.7, 0.01)])
    (row,) = accuracy.rival_rows(Sources({"quick": shipped}, {}, found))
    assert row[:2] == (DIGITS.title, "VFE")
    assert "3 training seeds: +10.0 +12.0 +14.0" in row[2]
    assert row[5] == "; ".join(["+4 -0 of 4"] * 3)
    assert [*accuracy.rival_rows(Sources({"quick": shipped}, {}, {}))] == []
