"""A recipe is a file that somebody wrote: any value of any key is taken as it is meant or refused in one line."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError
from common.pair.manifest import Manifest, find_pair
from tests.images.makers import class_tree
from training.recipes.of_pair import recipe_of, require_teacher, share_of, teacher_of
from training.recipes.recipe import CONFIGS, Recipe, adjusted, load_recipe

VALUES = [
    "-1", "0", "1", "2.5", "1e400", "nan", "inf", "-inf", "9223372036854775808", "1000000000000", "true", '""', '"x"',
    '"../../x"', '"\\u001b[31m"', "[]", "[1, 2]", "[-1]", "[1.5]", '["a"]', "[[1]]", "{}", "{a = 1}", "1979-05-27",
]  # fmt: skip
TABLES: dict[str, list[str]] = {
    "": ["views", "encoding", "fraction", "threads", "embedding", "name", "order", "base", "image", "colour"],
    "layout": ["increments", "pilots", "slot", "order", "rates"],
    "image": ["height", "width", "channels"],
    "encoder": ["width", "blocks", "stem_stride", "kind"],
    "view": ["seed", "shift", "shear", "flip", "gain", "cutout", "reflect", "fill"],
    "teacher": ["model_type", "size", "label_smoothing", "config", "schedule"],
    "teacher.schedule": ["epochs", "batch", "lr", "weight_decay", "ema", "optimiser", "bf16"],
    "loss": ["hard", "tau", "embedding"],
}

GONE = ("decoder", "channel", "decisions")
"""Tables of recipes of before words and features: what they asked for is not trained any more."""


def loaded(path: Path, text: str) -> Recipe | str:
    """The recipe, or what it is refused with."""
    path.write_text(text)
    try:
        return load_recipe(str(path))
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.full)])
def test_any_value_of_any_key_is_meant_or_one_line(step: int, table: str, tmp_path: Path) -> None:
    layout, refused = "[layout]\nincrements = [2, 4]\n", 0
    for key in TABLES[table]:
        for value in VALUES[len(key) % step :: step]:
            line = f"{key} = {value}\n"
            text = f"{line}{layout}" if not table else f"{layout}[{table}]\n{line}"
            if table == "layout":
                text = f"[layout]\n{line}" if key == "increments" else f"{layout}{line}"
            found = loaded(tmp_path / "r.toml", text)
            if isinstance(found, str):
                assert found.startswith(f"recipe {tmp_path / 'r.toml'}: "), (text, found)
                assert found.isprintable(), (text, found)
                refused += 1
                continue
            plain: Any = found.plain()
            for part in [*table.split("."), key] if table else [key]:
                plain = plain.get("order" if (table, key) == ("layout", "order") else part, plain)
            assert type(plain) in (int, float, bool, str, tuple, dict), (text, plain)
    assert refused > 0.5 * len(TABLES[table]) * len(VALUES) / step


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"needs a table \[layout\]"),
        ("[layout]\n", "layout lacks increments"),
        ("layout = 3", r"needs a table \[layout\]"),
        ("[layout]\nincrements = 4", r"layout\.increments = 4 is no list"),
        ("[layout]\nincrements = [2]\n[encoder]\nwidth = 4.0", r"encoder\.width = 4\.0 is no int"),
        ("[layout]\nincrements = [2]\n[encoder]\nwidth = true", r"encoder\.width = True is no int"),
        ("[layout]\nincrements = [2]\npilots = 0", "without pilots no receiver can tell what a pair's symbols say"),
        ("base = 'digits'\n[layout]\npilots = 0", "without pilots no receiver can tell what a pair's symbols say"),
        ("[layout]\nincrements = [2]\n[view]\nflip = 1", r"view\.flip = 1 is no bool"),
        ("[layout]\nincrements = [2]\n[encoder]\nadaptive = true", r"unknown key 'encoder\.adaptive'"),
        ("[layout]\nincrements = [2]\n[loss]\nbeta = 1e-3", r"unknown key 'loss\.beta'"),
        *((f"[layout]\nincrements = [2]\n[{gone}]", f"unknown key '{gone}'") for gone in GONE),
        ("views = '10'\n[layout]\nincrements = [2]", r"views = '10' is no int"),
        ("[layout]\nincrements = [2]\n[loss]\ntau = nan", r"loss\.tau = nan is no float"),
        ("[layout]\nincrements = [2]\n[teacher.schedule]\nepochs = 0", "epochs"),
        ("base = '/etc/passwd'", "is none of"),
        ("base = '../configs/digits'", "is none of"),
        ("x = " + "[" * 100_000, "recipe"),
        ("# " + "x" * 2**20 + "\n", "no recipe has more"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str, tmp_path: Path) -> None:
    found = loaded(tmp_path / "r.toml", text)
    assert isinstance(found, str)
    assert re.search(reason, found), found
    assert "\n" not in found


def test_whole_numbers_are_taken_where_a_fraction_could_stand(tmp_path: Path) -> None:
    found = loaded(tmp_path / "r.toml", "fraction = 1\n[layout]\nincrements = [2]\n[loss]\ntau = 2\n[schedule]\nlr = 1")
    assert isinstance(found, Recipe)
    assert (found.fraction, found.loss.tau, found.schedule.lr) == (1, 2, 1)


def test_the_recipes_that_come_with_the_project_load() -> None:
    assert len([load_recipe(path.stem) for path in CONFIGS.glob("*.toml")]) >= 5


def test_true_labels_alone_are_without_a_teachers_embedding_too() -> None:
    recipe = load_recipe("tinyimagenet100")
    assert recipe.loss.embedding
    assert adjusted(recipe, hard=1.0).loss.embedding == 0
    assert adjusted(recipe, hard=0.5).loss.embedding == recipe.loss.embedding


def made_by(**notes: str) -> Manifest:
    own = find_pair("digits")
    return replace(own, provenance={**own.provenance, **notes})


def test_the_recipe_of_a_pair_is_that_of_its_manifest_with_its_own_passes_share_and_transmitter() -> None:
    recipe = load_recipe("digits")
    assert recipe_of(find_pair("digits"), "digits") == recipe
    half = recipe_of(made_by(epochs="90", fraction="0.25"), "digits")
    assert (half.schedule.epochs, half.fraction) == (90, 0.25)
    assert half.teacher.schedule.epochs == round(recipe.teacher.schedule.epochs / 2)
    wide = replace(made_by(), encoder=replace(recipe.encoder, width=4))
    assert recipe_of(wide, "digits").encoder.width == 4


DISTIL = "python -m training.distill"


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ({"recipe": "mine", "command": f"{DISTIL} --recipe mine.toml"}, "which is none of"),
        ({"recipe": "digits", "command": f"{DISTIL} --recipe=digits.toml"}, "which is none of"),
        ({"recipe": "cifar10", "command": f"{DISTIL} --recipe digits"}, "cifar10, and these data have digits"),
        ({"epochs": "many"}, "does not say by which recipe"),
        ({"epochs": "0"}, "does not say by which recipe"),
    ],
)  # fmt: skip
def test_a_recipe_that_is_not_known_is_not_guessed(notes: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        recipe_of(made_by(**notes), "digits")
    bare = replace(made_by(), provenance={})
    with pytest.raises(ConfigError, match="does not say by which recipe"):
        recipe_of(bare, "digits")


def test_a_recipe_that_was_fitted_to_data_is_fitted_again_whatever_the_data_are_called(tmp_path: Path) -> None:
    mine = tmp_path / "cifar10"  # as a recipe is
    class_tree(mine, {f"train/{name}/{k}.png": 9 for name in ("cat", "dog") for k in range(4)})
    notes = {"recipe": "cifar10", "epochs": "7", "command": f"{DISTIL} --dataset cifar10"}
    found = recipe_of(made_by(**notes), str(mine))
    assert (found.name, found.schedule.epochs) == ("cifar10", 7)
    assert found.image.height != load_recipe("cifar10").image.height
    other = tmp_path / "other"
    mine.rename(other)
    with pytest.raises(ConfigError, match="made by recipe cifar10, and these data have other"):
        recipe_of(made_by(**notes), str(other))


@pytest.mark.parametrize(
    ("notes", "share"),
    [
        ({}, 1.0), ({"fraction": "0.25"}, 0.25), ({"command": f"{DISTIL} --fraction 0.1"}, 0.1),
        ({"fraction": "x"}, None), ({"fraction": "nan"}, None), ({"fraction": "0"}, None), ({"fraction": "1.5"}, None),
    ],
)  # fmt: skip
def test_the_share_of_the_images_is_that_of_the_manifest_or_refused(notes: dict[str, str], share: float | None) -> None:
    if share is not None:
        assert share_of(made_by(**notes)) == share
        return
    with pytest.raises(ConfigError, match="its share of images must be above 0"):
        share_of(made_by(**notes))


def test_the_teacher_that_was_given_is_known() -> None:
    assert teacher_of(made_by()) is None
    for words in ("--teacher lite0", "--teacher=lite0"):
        assert teacher_of(made_by(command=f"python -m training.distill {words} --seed 1")) == "lite0"
    require_teacher(made_by(), None, "teacher")
    require_teacher(made_by(command=f"{DISTIL} --teacher lite0"), "lite0", "teacher")
    with pytest.raises(ConfigError, match="teacher: pair digits was taught by lite0; give it by --teacher"):
        require_teacher(made_by(command=f"{DISTIL} --teacher lite0"), None, "teacher")
