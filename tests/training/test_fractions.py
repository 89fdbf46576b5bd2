"""Shares of the training images: nested, each with its own teacher, refused where they make no sense."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from training import fractions
from training.data.images import load_data
from training.experiments import shares as chosen
from training.experiments import trials
from training.experiments.shares import shares, stretched, teacher_of, variants
from training.experiments.variants import ROWS, Variant
from training.lab.evaluation import Setting
from training.recipes.recipe import Recipe, adjusted
from training.recipes.specs import Schedule
from training.teachers.identity import NOTE


@pytest.mark.parametrize("text", ["0", "-0.5", "nan", "1.5", "a", "", "0.5,,1"])
def test_a_share_that_makes_no_sense_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        shares(text)


def test_a_share_that_is_given_twice_is_one() -> None:
    assert shares("1,0.5,.5,1.0") == [0.5, 1.0]


def test_a_smaller_share_is_part_of_a_larger_one(recipe: Recipe) -> None:
    parts = [load_data(adjusted(recipe, fraction=share), "digits")[0] for share in (0.1, 0.5, 1.0)]
    assert [len(part) for part in parts] == [113, 568, 1137]
    seen = [{image.tobytes() for image in part.images} for part in parts]
    assert seen[0] < seen[1] < seen[2]


def test_a_smaller_share_gets_more_passes_but_fewer_steps() -> None:
    whole = Schedule(epochs=12)
    assert [stretched(whole, share).epochs for share in (1.0, 0.25, 0.1)] == [12, 24, 38]
    steps = [share * stretched(whole, share).epochs for share in (1.0, 0.25, 0.1)]
    assert np.all(np.diff(steps) < 0)


def test_a_teacher_of_the_same_share_is_another_for_another_recipe(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"dataset": "digits", "device": "cpu", "rows": ",".join(ROWS)}
    rows = variants(recipe, 0.5, options)
    assert [row.recipe.loss.hard for row in rows] == [1.0, recipe.loss.hard, recipe.loss.hard]
    folder = rows[2].teacher
    assert folder is not None
    assert (Path(folder) / "config.json").is_file()
    longer = replace(recipe, teacher=replace(recipe.teacher, schedule=replace(recipe.teacher.schedule, epochs=2)))
    assert variants(longer, 0.5, options)[2].teacher != folder
    assert variants(recipe, 0.5, options)[2].teacher == folder


def test_with_all_images_a_teacher_from_outside_has_one_of_the_same_beside_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"dataset": "digits", "device": "cpu", "rows": ",".join(ROWS)}
    own = teacher_of(recipe, options)
    named = [one.name for one in variants(recipe, 1.0, options | {"teacher": own})]
    assert named == ["100 % true labels", "100 % teacher of all"]
    other = tmp_path / "outside"
    shutil.copytree(own, other)
    (other / NOTE).unlink()
    beside = variants(recipe, 1.0, options | {"teacher": str(other)})
    assert [one.teacher for one in beside] == [None, None, own]
    assert beside[2].name == "100 % teacher of the same"


def test_it_runs_with_its_own_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but the training of each row, which a stub stands for."""
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[str, str | None]] = []

    def trained(one: Variant, settings: list[Setting], options: dict[str, Any]) -> trials.Row:
        asked.append((one.name, one.teacher or options["teacher"]))
        assert load_data(one.recipe, options["dataset"])[0].classes == tuple("0123456789")
        assert {setting.symbols for setting in settings} <= set(one.recipe.layout.rates)
        return trials.Row(one.name, np.ones((3, len(settings), 5)), [1.0], [1.0], 1, 1)

    monkeypatch.setattr(trials, "run", trained)
    monkeypatch.setattr(chosen, "teacher_of", lambda part, _: f"teacher of {part.fraction}")
    monkeypatch.setattr(chosen, "made_of_these", lambda folder, part, _: folder.name == f"teacher of {part.fraction}")
    CliRunner().invoke(fractions.main, [], obj={}, standalone_mode=False, catch_exceptions=False)
    assert len(asked) == 4 + 4 + 3
    assert ("10 % teacher of all", "teacher of 1.0") in asked
    assert ("10 % teacher of the same", "teacher of 0.1") in asked


def test_rows_may_be_left_out(recipe: Recipe) -> None:
    assert [one.name for one in variants(recipe, 0.5, {"rows": "teacher of all"})] == [
        "50 % true labels", "50 % teacher of all",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="choose of true labels"):
        variants(recipe, 0.5, {"rows": "teacher"})
