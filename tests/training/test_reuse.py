"""What is re-used fits: images, class names, recipe. What does not fit is left alone, and both are told."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, SemlinkError
from common.images.datasets import load_images
from common.pair.manifest import MANIFEST, SHIPPED, find_pair, read_manifest
from common.pair.origin import recall
from tests.training.test_distill import TINY, call
from training import distill, evaluate, teacher
from training.distillation.judge import Verdict
from training.distillation.provenance import provenance, without_paths
from training.distillation.reuse import made_of_pair, pair_place, teacher_made_of, teacher_place
from training.distillation.soft import soft_key, soft_name
from training.recipes.recipe import load_recipe
from training.recipes.specs import ViewSpec
from training.teachers.identity import TeacherId

VIEW = asdict(ViewSpec(shift=1))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None, untimed: None, few_draws: None) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["distill", "--recipe", "tiny.toml"])
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def pictures(folder: Path, classes: tuple[str, ...], seed: int = 0, apart: int = 190) -> str:
    """16 to train on and 4 to test for each class, 8 x 8, each class with a brightness of its own; apart: of 0..255,
    between the darkest and the brightest class."""
    random = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        for split, count in (("train", 16), ("test", 4)):
            (folder / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = random.integers(0, 60, (8, 8), np.uint8) + apart * number // max(len(classes) - 1, 1)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / split / name / f"{k}.png")
    return str(folder)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("classes", "seed", "why"),
    [(("emu", "owl"), 0, "other classes"), pytest.param(("cat", "dog"), 1, "other images", marks=pytest.mark.full)],
)
def test_two_data_sets_in_one_folder_share_nothing(here: Path, classes: tuple[str, ...], seed: int, why: str) -> None:
    a, b = pictures(here / "a", ("cat", "dog")), pictures(here / "b", classes, seed)
    call(distill, "--recipe", "tiny.toml", "--dataset", a)
    before = contents(here / "build" / "pairs") | contents(here / "build" / "teachers")
    other = call(distill, "--recipe", "tiny.toml", "--dataset", b).stderr
    assert f"teacher: not re-using build/teachers/tiny, made for {why}" in other
    assert f"pair: not writing to build/pairs/tiny, made for {why}" in other
    assert all(path.read_bytes() == raw for path, raw in before.items())
    (mine,) = (path for path in (here / "build/pairs").iterdir() if path.name != "tiny")
    assert mine.name.startswith("tiny-")
    assert find_pair(mine).labels == classes
    alone = here / "alone"
    alone.mkdir()
    call(distill, "--recipe", "tiny.toml", "--dataset", b, "--out", str(alone))
    assert find_pair(alone).id == find_pair(mine).id, "the same as if the other had never been there"
    again = call(distill, "--recipe", "tiny.toml", "--dataset", b).stderr
    assert f"teacher: re-using build/teachers/{mine.name[:5]}" in again
    assert "store: re-using" in again


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"seed": 3}, ""),
        ({"data": "00"}, "made for other images"),
        ({"classes": ["a"]}, "made for other classes"),
        ({"view": {**VIEW, "shift": 2}}, "made with shift 2, not 1"),
        (None, "which has no made.json"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_teacher_is_re_used_where_all_that_it_is_made_of_is_the_same(
    change: dict[str, Any] | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made_of = teacher_made_of(load_recipe("tiny.toml"), load_images("digits", "test"))
    folder = Path("build/teachers/tiny")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if change is not None:
        (folder / "made.json").write_text(json.dumps({**made_of, **change}))
    place, ready = teacher_place("tiny", made_of)
    said = capsys.readouterr().err
    assert ready is not bool(why)
    assert (place == folder) is ready
    assert why in said
    assert ready or str(place) in said


@pytest.mark.usefixtures("here")
def test_a_teacher_of_the_command_is_re_used_and_never_overwritten() -> None:
    call(teacher, "--recipe", "tiny.toml", "--out", "mine")
    before = contents(Path("mine"))
    assert "re-using mine" in call(teacher, "--recipe", "tiny.toml", "--out", "mine").stderr
    for words in (("--seed", "1"), ("--fraction", "0.5")):
        with pytest.raises(ConfigError, match="--out mine holds a teacher made"):
            call(teacher, "--recipe", "tiny.toml", "--out", "mine", *words)
    assert contents(Path("mine")) == before


@pytest.mark.parametrize("kind", ["other data", "no pair", "unreadable", "old"])
def test_a_folder_that_holds_something_else_is_not_written_to(here: Path, kind: str) -> None:
    out = here / "out"
    out.mkdir()
    if kind == "no pair":
        (out / "thesis.tex").write_text("mine")
    else:
        shutil.copy(SHIPPED / "digits" / MANIFEST, out)
        document = json.loads((out / MANIFEST).read_text())
        if kind == "other data":
            document["provenance"]["data"] = "00"
        elif kind == "old":
            document["provenance"].pop("data", None)
        (out / MANIFEST).write_text("{" if kind == "unreadable" else json.dumps(document))
    before = contents(out)
    with pytest.raises(ConfigError, match=r"--out .*/out: .*give another folder"):
        call(distill, "--recipe", "tiny.toml", "--out", str(out), "--no-kd")
    assert contents(out) == before


@pytest.mark.full
def test_a_checkpoint_of_other_images_is_not_taken_up(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.loop import fit as loop

    a, b = pictures(here / "a", ("cat", "dog")), pictures(here / "b", ("cat", "dog"), seed=1)
    monkeypatch.setattr(loop, "CHECKPOINT_S", -1.0)
    monkeypatch.setattr(loop.Run, "forget", lambda _: None)
    words = ("--recipe", "tiny.toml", "--no-kd", "--run", "run")
    call(distill, *words, "--dataset", a, "--out", "first")
    assert "going on after epoch 2" in call(distill, *words, "--dataset", a, "--out", "first").stderr
    assert "going on" not in call(distill, *words, "--dataset", b, "--out", "second").stderr


def test_the_path_of_the_data_is_not_in_the_pair_and_the_defaults_find_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, other = pictures(here / "here" / "zoo", ("cat", "dog")), pictures(here / "there" / "zoo", ("cat", "dog"))
    ids = []
    for place in (data, other):
        monkeypatch.setattr(sys, "argv", ["distill", "--recipe", str(here / "tiny.toml"), f"--dataset={place}"])
        call(distill, "--recipe", "tiny.toml", "--dataset", place, "--epochs", "30", "--no-kd")
        pair = find_pair("build/pairs/tiny")
        ids.append(pair.id)
        assert str(here) not in (pair.path / MANIFEST).read_text()
        assert recall(pair.id) == place
    assert ids[0] == ids[1]
    assert "100.0" in call(evaluate, "--pair", "build/pairs/tiny", "--snr", "20", "--symbols", "6").stdout


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--dataset /home/me/zoo --epochs 3", "--dataset zoo --epochs 3"),
        ("--dataset=/home/me/zoo/ --no-kd", "--dataset=zoo --no-kd"),
        ("--dataset ~/zoo --out /a/b --run=/c --seed 1", "--dataset zoo --seed 1"),
        ("--dataset ~nobody-such/zoo --seed 1", "--dataset zoo --seed 1"),
        ("--teacher /t/one,/t/two --store /s", "--teacher one,two"),
        ("--dataset owner/name --encoder 16,3,1", "--dataset owner/name --encoder 16,3,1"),
        ("--device cuda --log-level debug --config /etc/x.toml --recipe ./r.toml", "--recipe r.toml"),
    ],
)
def test_the_command_that_a_pair_remembers_has_no_paths(words: str, kept: str) -> None:
    assert " ".join(without_paths(words.split())) == kept


def test_a_pair_that_has_not_learnt_ends_with_1_unless_forced(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures(here / "zoo", ("cat", "dog"), apart=0)  # there is nothing to learn
    monkeypatch.setattr("tests.training.test_distill.distill", None)  # which adds --force
    with pytest.raises(SemlinkError, match="is not seen to do better") as caught:
        call(distill, "--recipe", "tiny.toml", "--dataset", data, "--epochs", "1", "--no-kd")
    assert caught.value.exit_code == 1
    assert find_pair("build/pairs/tiny").labels == ("cat", "dog")
    forced = call(distill, "--recipe", "tiny.toml", "--dataset", data, "--epochs", "1", "--no-kd", "--force")
    assert "warning: pair build/pairs/tiny is not seen" in forced.stderr
    before = contents(Path("build/pairs/tiny"))
    otherwise = ("--recipe", "tiny.toml", "--dataset", data, "--epochs", "1", "--no-kd", "--seed", "3")
    said = call(distill, *otherwise, "--force").stderr
    assert "pair: not writing to build/pairs/tiny, made with seed 0, not 3: this one goes to build/pairs/tiny-" in said
    with pytest.raises(ConfigError, match="--out build/pairs/tiny: made with seed 0, not 3; give another folder"):
        call(distill, *otherwise, "--out", "build/pairs/tiny")
    assert contents(Path("build/pairs/tiny")) == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"data": "00"}, "made for other images"),
        ({"epochs": "2"}, "not 2"),
        ({"fraction": "0.5"}, "made with fraction 1, not 0.5"),
        ({"encoder": {"width": 4, "blocks": 1, "stem_stride": 1, "kind": "resnet"}}, "made with width "),
        ({"loss": "labels alone"}, "made with other soft labels, or without any"),
        ({"soft_labels": "another teacher"}, "made with other soft labels, or without any"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_pair_that_was_made_in_another_way_is_not_replaced(
    change: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Path("build/pairs/digits")
    shutil.copytree(SHIPPED / "digits", place)
    made_of = made_of_pair(read_manifest(place)) | change
    chosen = pair_place("digits", made_of, None)
    assert (chosen == place) is not bool(why)
    assert why in capsys.readouterr().err
    assert pair_place("digits", made_of, None) == chosen
    if why and "data" not in change:
        assert pair_place("digits", made_of, place, keep=False) == place
        with pytest.raises(ConfigError, match=f"--out build/pairs/digits: .*{why}.*; give another folder"):
            pair_place("digits", made_of, place)


@pytest.mark.parametrize(
    ("right", "count", "largest", "learnt"),
    [(20, 200, 0.1, False), (26, 200, 0.1, False), (35, 200, 0.1, True), (7, 8, 0.5, True), (5, 8, 0.5, False),
     (190, 200, 0.95, False), (200, 200, 0.95, True), (0, 4, 0.25, False)],
)  # fmt: skip
def test_a_pair_has_learnt_when_its_interval_lies_above_the_largest_class(
    right: int, count: int, largest: float, learnt: bool
) -> None:
    assert Verdict(right, count, largest, "cat").learnt is learnt


def test_a_checkpoint_is_of_its_teacher_with_all_that_it_does_to_pixels() -> None:
    ids = [TeacherId("any", "0" * 64, size, kind) for size in ("32", "224") for kind in ("fp32", "bf16")]
    asked = [SimpleNamespace(id=one) for one in ids]
    assert len({soft_key(one) for one in asked}) == 4
    assert {soft_name(one) for one in asked} == {f"teacher {'0' * 64}"}  # which pairs say, whose ids are to stay
    assert soft_key(None) == soft_name(None)


def test_a_store_that_its_disk_cannot_hold_is_told_before_the_teacher_is_trained(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "tiny.toml").write_text(TINY.replace("views = 2", "views = 900"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=40 << 20))
    with pytest.raises(ConfigError, match="40 MiB left"):  # 900 views of 1,137 answers of 12 bytes, and the pair
        call(distill, "--recipe", "tiny.toml")
    assert not (here / "build" / "teachers").exists()


def test_a_store_is_used_by_another_recipe_that_would_make_the_same(here: Path) -> None:
    call(distill, "--recipe", "tiny.toml")
    (here / "other.toml").write_text((here / "tiny.toml").read_text())
    second = call(distill, "--recipe", "other.toml", "--teacher", "build/teachers/tiny").stderr
    assert "store: re-using build/stores/tiny-" in second
    assert [path.name[:5] for path in (here / "build" / "stores").iterdir()] == ["tiny-"]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--store build/stores/tiny --seed 1", "--seed 1 --teacher lite0"),
        ("--store=build/stores/tiny", "--teacher lite0"),
        ("--store /s/tiny --teacher /t/other", "--teacher other"),
        ("--seed 1", "--seed 1"),
    ],
)
def test_a_pair_of_a_given_store_says_whose_answers_lay_there(
    words: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["distill", *words.split()])
    told = provenance(load_recipe("digits"), 0, "store 12", "lite0", "00", "few parameters", False)
    assert told["command"] == f"python -m training.distill {kept}"
