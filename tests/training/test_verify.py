"""Cards computed again: the same decisions are found, whatever was changed is, and what is missing is told as that."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from common.pair.manifest import find_pair
from training import evaluate, verify
from training.cards import making, replaying, retraining
from training.cards.card import Card, read, sealed, summary, write
from training.cards.from_suite import training_of, write_cards
from training.cards.overview import OVERVIEW, against, overview, shipped
from training.cards.packing import pack, unpack
from training.cards.replaying import Verifier
from training.distillation.pairs import write_changed
from training.suites import whole
from training.suites.definitions import SUITES
from training.suites.measuring import outcome_of
from training.suites.roster import roster
from training.suites.verdicts import points
from training.suites.whole import Order, Run
from training.systems.bench import Bench
from training.systems.system import Place

PLACE, STREAMS = Place("awgn", "perfect", 16, -3.0), 3
ORDER = Order(Path())


@pytest.fixture(scope="module")
def run() -> Run:
    """A suite of one place: all images of the test, so that there are a thousand decisions."""
    bench = Bench.open("quick", "digits")
    systems = roster(bench, ["ours", "simplex-bound"])
    outcomes = {
        (name, PLACE): outcome_of(one, PLACE, range(STREAMS), 0, len(bench.labels)) for name, one in systems.items()
    }
    document = {"points": points(outcomes, systems), "command": "python -m training.evaluate --suite quick"}
    return Run(SUITES["quick"], bench, systems, outcomes, document)


@pytest.fixture(scope="module")
def cards(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Card]:
    folder = tmp_path_factory.mktemp("cards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "commit", lambda: "c" * 40)
        return {one.system: one for one in map(read, write_cards(run, ORDER, folder))}


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    """One for all tests: what it has opened, the next finds open."""
    return Verifier()


def turned(card: Card, count: int) -> Card:
    """So many decisions turned, and everything else made to agree with them, seal included."""
    assert card.decisions is not None
    decided, right = unpack(card.decisions), unpack(card.right).astype(float)
    decided[0, :count] = (decided[0, :count] + 1) % 10
    right[0, :count] = 1 - right[0, :count]
    accuracy, low, high = summary(right)
    return sealed(replace(card, decisions=pack(decided), right=pack(right), accuracy=accuracy, ci95=(low, high)))


def test_the_numbers_of_a_card_are_those_of_the_suite(run: Run, cards: dict[str, Card]) -> None:
    assert set(cards) == {"ours", "simplex-bound"}
    for point in run.document["points"]:
        card = cards[point["system"]]
        assert (card.tx_accuracy, card.mean_uses) == (point["tx_accuracy"], point["mean_uses"])
        assert card.accuracy == pytest.approx(point["accuracy"], abs=1e-12)
        assert card.ci95 == pytest.approx(point["ci95"])
    assert cards["ours"].decisions is not None
    assert (unpack(cards["ours"].right) == (unpack(cards["ours"].decisions) == run.bench.labels)).all()


@pytest.mark.parametrize("system", ["ours", "simplex-bound"])
def test_a_sound_card_is_identical(cards: dict[str, Card], tmp_path: Path, verifier: Verifier, system: str) -> None:
    found = verifier.verify(write(cards[system], tmp_path))
    assert (found.verdict, found.differ, found.decisions, found.exit_code) == ("identical", 0, 1080, 0)


@pytest.mark.parametrize(("count", "verdict", "code"), [(1, "few differ", 0), (2, "differs", 1), (300, "differs", 1)])
def test_decisions_that_were_turned_and_sealed_again_are_counted(
    cards: dict[str, Card], tmp_path: Path, verifier: Verifier, count: int, verdict: str, code: int
) -> None:
    found = verifier.verify(write(turned(cards["ours"], count), tmp_path))
    assert (found.verdict, found.differ, found.exit_code) == (verdict, count, code)
    assert f"{count} of 1080" in found.says


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"streams": (5, 6, 7)},
        {"snr_db": 6.0},
        {"n": 32},
        {"channel": "block-rayleigh"},
        {"mean_uses": 8.0},
    ],
    ids=str,
)
def test_a_card_that_claims_another_place_and_was_sealed_again_differs(
    cards: dict[str, Card], tmp_path: Path, verifier: Verifier, change: dict[str, Any]
) -> None:
    found = verifier.verify(write(replace(cards["ours"], **change), tmp_path))
    assert (found.verdict, found.exit_code) == ("differs", 1)


def test_right_answers_that_are_none_differ(cards: dict[str, Card], tmp_path: Path, verifier: Verifier) -> None:
    """The answers are as they were, and only the count of them was made better."""
    right = np.ones((STREAMS, 360))
    accuracy, low, high = summary(right)
    better = replace(cards["ours"], right=pack(right), accuracy=accuracy, ci95=(low, high))
    assert verifier.verify(write(better, tmp_path)).verdict == "differs"


def test_an_altered_card_is_told_before_anything_is_computed(
    cards: dict[str, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("this needs no computing")

    monkeypatch.setattr(replaying, "outcome_of", refuse)
    path = write(cards["ours"], tmp_path)
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    found = Verifier().verify(path)
    assert (found.verdict, found.exit_code) == ("altered", 1)
    assert found.says == "seed is not what was sealed"


MISSING: list[tuple[Callable[[Card], Card], str]] = [
    (lambda c: replace(c, pair="mine", pair_id="0" * 64), "does not ship: give --pair"),
    (lambda c: replace(c, pair_id="0" * 64), "it is of pair digits 000000000000, and digits is"),
    (lambda c: replace(c, data=replace(c.data, fingerprint="0" * 64)), "its images are not these"),
    (lambda c: replace(c, data=replace(c.data, split="validation")), "its images are not these"),
    (lambda c: replace(c, weights={"quick/ours.safetensors": "0" * 64}), "other weights"),
    (lambda c: replace(c, system="nothing"), "--only nothing"),
    (lambda c: replace(c, suite="nothing"), "--suite nothing"),
    (lambda c: replace(c, n=8, csi="estimated"), "cannot be measured here: 8 pilots"),
]


@pytest.mark.parametrize(("change", "told"), MISSING, ids=[told for _, told in MISSING])
def test_what_is_not_here_is_told_as_that(
    cards: dict[str, Card], tmp_path: Path, change: Callable[[Card], Card], told: str
) -> None:
    found = Verifier().verify(write(change(cards["ours"]), tmp_path))
    assert (found.verdict, found.exit_code) == ("missing", 2)
    assert told in found.says
    assert "\n" not in found.says


def test_weights_of_a_system_are_a_part_of_its_card(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.cards import from_suite

    monkeypatch.setattr(Bench, "fitted", tmp_path / "quick")
    assert from_suite.weights_of(run.bench, "vfe") == {}
    (tmp_path / "quick" / "vfe" / "0dB").mkdir(parents=True)
    (tmp_path / "quick" / "vfe.safetensors").write_bytes(b"a")
    (tmp_path / "quick" / "vfe" / "0dB" / "manifest.json").write_bytes(b"b")
    assert set(from_suite.weights_of(run.bench, "vfe")) == {"quick/vfe.safetensors", "quick/vfe/0dB/manifest.json"}


# -- weights that do not ship


def unshipped(card: Card, command: str = "python -m training.distill --recipe digits") -> Card:
    return replace(card, pair="mine", kind="retrain", retrain=command, hours=0.25)


def test_a_card_whose_weights_do_not_ship_says_what_makes_them(cards: dict[str, Card], tmp_path: Path) -> None:
    found = Verifier().verify(write(unshipped(cards["ours"]), tmp_path))
    assert (found.verdict, found.exit_code) == ("retrain", 0)
    assert "`python -m training.distill --recipe digits`, about 0.25 hours" in found.says
    given = Verifier(pair="digits").verify(write(unshipped(cards["ours"]), tmp_path))
    assert given.verdict == "identical"


def test_weights_are_made_again_and_the_accuracies_compared(
    cards: dict[str, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(words: list[str], check: bool) -> Any:
        asked.append(words[1:])
        folder = Path(words[words.index("--out") + 1])
        folder.parent.mkdir(parents=True)
        folder.symlink_to(find_pair("digits").path)
        return type("Ran", (), {"returncode": 0})

    monkeypatch.setattr(retraining.subprocess, "run", train)
    again = Verifier(retrained=tmp_path / "again")
    assert again.verify(write(unshipped(cards["ours"]), tmp_path)).verdict == "agrees"
    far = Verifier(retrained=tmp_path / "far").verify(write(unshipped(turned(cards["ours"], 300)), tmp_path))
    assert (far.verdict, far.exit_code) == ("differs", 1)
    assert asked[0][:3] == ["-m", "training.distill", "--recipe"]


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /", "python -m training.soak", "python -c 1", "python -m training.distill --out /etc",
        "python -m training.distill --run=/etc", "python -m training.distill --teacher /etc", "python",
        "python -m training.distill --store x",
    ],
)  # fmt: skip
def test_a_card_chooses_no_command_and_no_place(cards: dict[str, Card], tmp_path: Path, command: str) -> None:
    card = unshipped(cards["ours"], command)
    with pytest.raises(ConfigError, match="is no training of a pair"):
        retraining.words_of(card, None, tmp_path)
    found = Verifier(retrained=tmp_path / "again").verify(write(card, tmp_path))
    assert (found.verdict, found.exit_code) == ("missing", 2)


def test_a_pair_that_does_not_ship_needs_its_hours(run: Run) -> None:
    manifest = run.bench.manifest
    assert training_of(manifest, None) is None
    other = replace(manifest, name="mine")
    assert training_of(other, 2.0) == manifest.provenance["command"]
    assert shlex.split(manifest.provenance["command"])[:3] == list(retraining.COMMAND)
    for hours in (None, 0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="--hours"):
            training_of(other, hours)


# -- the commands, and the table


def test_a_suite_writes_a_card_for_each_of_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(SUITES["quick"], snrs_db=(-3.0, 10.0), channels=("awgn",), csi=("perfect",), n=(16,))
    monkeypatch.setitem(SUITES, "quick", tiny)
    monkeypatch.setattr(whole, "figure", lambda *_: None)
    words = [
        "--suite",
        "quick",
        "--only",
        "ours,never-told,fano-bound",
        "--images",
        "20",
        "--out",
        str(tmp_path / "out"),
    ]
    told = CliRunner().invoke(evaluate.main, [*words, "--cards", str(tmp_path / "cards")], obj={})
    assert told.exit_code == 0, told.output
    points = json.loads((tmp_path / "out" / "quick.json").read_text())["points"]
    made = {(one.system, one.snr_db): one for one in map(read, (tmp_path / "cards").iterdir())}
    measured = {(p["system"], p["snr_db"]): p for p in points if p["accuracy"] is not None}
    assert set(made) == set(measured)
    assert f"{len(made)} cards" in told.output
    for key, card in made.items():
        assert card.accuracy == pytest.approx(measured[key]["accuracy"])
        assert (card.data.images, card.seeds) == (20, 4)
        assert card.command.startswith("python -m training.evaluate")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cards", "x"], "--cards goes with --suite"), (["--hours", "1"], "--hours goes with --suite"),
        (["--suite", "quick", "--pair", "PAIR", "--cards", "x"], "does not ship, so its cards say how to train it"),
    ],
)  # fmt: skip
def test_cards_that_could_not_be_written_are_refused_before_the_work(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_changed(find_pair("digits"), tmp_path / "pair", name="mine")
    words = [str(tmp_path / "pair") if word == "PAIR" else word for word in words]
    assert told in str(CliRunner().invoke(evaluate.main, words, obj={}).exception)


def test_the_command_says_a_line_for_each_card_and_the_worst_exit_code(cards: dict[str, Card], tmp_path: Path) -> None:
    good, bad = write(cards["simplex-bound"], tmp_path), write(cards["ours"], tmp_path)
    bad.write_text(bad.read_text().replace('"n": 16', '"n": 15'))
    runner = CliRunner()
    result = runner.invoke(verify.main, [str(good), "--json", str(tmp_path / "found.json")], obj={})
    assert (result.exit_code, result.output) == (0, f"{good}: identical, 1080 decisions\n")
    assert json.loads((tmp_path / "found.json").read_text())["cards"][0]["verdict"] == "identical"
    result = runner.invoke(verify.main, [str(tmp_path / "none.json"), str(bad)], obj={})
    assert result.exit_code == 1
    assert "no such card" in result.output
    assert "n is not what was sealed" in result.output
    assert runner.invoke(verify.main, [str(tmp_path / "none.json")], obj={}).exit_code == 2


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        ((0.02, 0.01, 0.03), "won, +2.00 (+1.00 .. +3.00)"), ((-0.02, -0.03, -0.01), "lost, -2.00 (-3.00 .. -1.00)"),
        ((0.0, -0.01, 0.02), "even, +0.00 (-1.00 .. +2.00)"), (None, "not compared"),
    ],
)  # fmt: skip
def test_the_table_says_what_was_won_or_lost(
    cards: dict[str, Card], tmp_path: Path, difference: tuple[float, ...] | None, told: str
) -> None:
    path = write(replace(cards["ours"], against_label_code=difference), tmp_path)
    assert against(read(path)) == told
    assert f"| {told} |" in overview([path])
    assert against(replace(cards["ours"], system="label-code")) == "is it"


def test_other_channels_are_in_the_name_of_a_card_and_in_the_table(cards: dict[str, Card], tmp_path: Path) -> None:
    card = replace(cards["ours"], seed=3)
    assert card.name == cards["ours"].name.replace(".json", "-channel3.json")
    assert ", channel seed 3 |" in overview([write(card, tmp_path)])


def test_the_table_is_that_of_the_cards_that_ship() -> None:
    assert OVERVIEW.read_text(encoding="utf-8") == overview(shipped()), "python -m training.verify --table"


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_every_card_that_ships_is_sealed_and_of_the_shipped_pair(path: Path) -> None:
    card = read(path)
    assert asdict(sealed(card)) == asdict(card)
    assert path.name == card.name
    assert not card.commit.endswith("+"), "made of files that are in no commit"


OF_DIGITS = [path for path in shipped() if read(path).data.name == "digits"]


@pytest.mark.parametrize("path", OF_DIGITS, ids=lambda path: path.name)
def test_every_card_that_ships_is_identical_here(path: Path, verifier: Verifier) -> None:
    found = verifier.verify(path)
    assert found.exit_code == 0, found.says


@pytest.mark.full
@pytest.mark.parametrize("path", [path for path in shipped() if path not in OF_DIGITS], ids=lambda path: path.name)
def test_a_card_of_photographs_is_identical_where_they_lie_in_the_project(path: Path) -> None:
    name = read(path).data.name
    if not Path(name).exists():
        pytest.skip(f"no folder {name} here")
    found = Verifier(None, name, None).verify(path)
    assert found.exit_code == 0, found.says


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_pair_is_trained_again_by_the_command_of_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same machine the same weights come of it, and so the same decisions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(whole, "figure", lambda *_: None)
    tiny = replace(SUITES["quick"], snrs_db=(10.0,), channels=("awgn",), csi=("perfect",), n=(16,))
    monkeypatch.setitem(SUITES, "quick", tiny)
    train = ["-m", "training.distill", "--recipe", "digits", "--epochs", "2", "--force", "--out", "mine"]
    subprocess.run([sys.executable, *train], check=True)
    words = [
        "--suite",
        "quick",
        "--only",
        "ours",
        "--pair",
        "mine",
        "--out",
        "out",
        "--cards",
        "cards",
        "--hours",
        "0.1",
    ]
    assert CliRunner().invoke(evaluate.main, words, obj={}).exit_code == 0
    (path,) = Path("cards").iterdir()
    assert read(path).retrain == "python -m training.distill --recipe digits --epochs 2 --force"
    assert Verifier().verify(path).verdict == "retrain"
    assert Verifier(pair="mine").verify(path).verdict == "identical"
    told = CliRunner().invoke(verify.main, [str(path), "--retrain", "again"], obj={})
    assert told.exit_code == 0, told.output
    assert "agrees, trained again: accuracy +0.00 (+0.00 .. +0.00)" in told.output
