"""The recipe that fits itself: for any number and size of pictures a transmitter within its budget, and a training that
makes sense."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from common.pair.shapes import Preprocess
from sctx.encoder import make_encoder
from training.distillation.measure import transmitter_cost
from training.recipes import fitted as fitted_recipe
from training.recipes.fitted import REFERENCE, Seen, fitted, look, recipe_for, stages
from training.recipes.recipe import adjusted, load_recipe
from training.teachers.pretrain import build_model

BASE = load_recipe("pictures")
SIZES = (1, 8, 9, 16, 28, 31, 32, 33, 40, 48, 63, 64, 65, 96, 100, 224, 1000, 4000)
COUNTS = (4, 40, 60, 150, 1215, 1350, 4500, 45_000, 1_000_000)


def seen(images: int = 1215, side: int = 100, classes: int = 10, channels: int = 3) -> Seen:
    return Seen("mine", images, classes, side, channels)


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transmitter_of_any_picture_keeps_its_budget_and_its_teacher_can_be_built(side: int, channels: int) -> None:
    recipe = fitted(BASE, seen(side=side, channels=channels))
    image = recipe.image
    blank = Preprocess(image.height, image.width, channels, (0.5,) * channels, (0.5,) * channels)
    parameters, macs = transmitter_cost(make_encoder(recipe.encoder, channels, 10), blank)
    assert parameters <= 300_000
    assert macs <= 45_000_000
    assert min(side, 8) <= image.height <= max(side, 8)
    teacher = build_model(recipe.teacher, channels, ("a", "b")).eval()
    with torch.no_grad():
        assert teacher(torch.zeros(2, channels, recipe.teacher.size, recipe.teacher.size)).logits.shape == (2, 2)


@pytest.mark.parametrize("images", COUNTS)
def test_every_number_of_pictures_gets_batches_that_it_can_fill_and_passes_that_end(images: int) -> None:
    recipe = fitted(BASE, seen(images=images))
    for schedule in (recipe.schedule, recipe.teacher.schedule):
        assert 16 <= schedule.batch <= 256
        assert images // schedule.batch >= min(16, images // 16)
        assert 1 <= schedule.epochs <= 400
        assert 0 < schedule.lr <= 0.01


def test_more_pictures_take_fewer_passes_but_more_steps() -> None:
    schedules = [fitted(BASE, seen(images=count)).schedule for count in COUNTS[2:7]]
    assert np.all(np.diff([one.epochs for one in schedules]) < 0)
    looks = [one.epochs * count for one, count in zip(schedules, COUNTS[2:7], strict=True)]
    assert np.all(np.diff(looks) > 0)
    assert fitted(BASE, seen(images=REFERENCE)).schedule.epochs == 120


@pytest.mark.parametrize("classes", [2, 10, 100, 300, 1000])
def test_any_number_of_classes_can_be_stored(classes: int) -> None:
    from training.knowledge import encoding

    encoding.check(fitted(BASE, seen(classes=classes)).encoding, classes)


def photos(folder: Path, sides: list[tuple[int, int]], grey: bool = False) -> str:
    random = np.random.default_rng(0)
    for k, (height, width) in enumerate(sides):
        place = folder / "photos" / "train" / ("cat", "dog")[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        image = Image.fromarray(pixels if not grey else np.repeat(pixels[..., :1], 3, -1))
        image.convert("L" if grey and k % 2 else "RGB").save(place / f"{k}.jpg")
    return str(folder / "photos")


def test_a_look_finds_number_size_and_colour(tmp_path: Path) -> None:
    sides = [(100, 140), (120, 100), (100, 100), (60, 300), (260, 300)] * 8
    assert look(photos(tmp_path / "a", sides)) == Seen("photos", 36, 2, 100, 3)
    assert look(photos(tmp_path / "b", [(40, 40)] * 20, grey=True)) == Seen("photos", 18, 2, 40, 1)


def lamps(folder: Path, coloured: list[bool], kind: str) -> str:
    """Grey panels of 32 x 32 with a lamp of 2 x 2 pixels, which has colour or has not, in one class."""
    place = folder / "lamps" / "train" / "cat"
    for k, colour in enumerate(coloured):
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(60, 76, (32, 32, 1), np.uint8).repeat(3, -1)
        pixels[8:10, 8:10] = (228, 0, 0) if colour else 68
        Image.fromarray(pixels).save(place / f"{k:03d}.{kind}", quality=60)
    (folder / "lamps" / "train" / "dog").mkdir()
    Image.fromarray(pixels[..., 0]).save(folder / "lamps" / "train" / "dog" / "a.png")
    return str(folder / "lamps")


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_little_colour_is_colour_and_what_jpeg_leaves_of_grey_is_none(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(lamps(tmp_path / "a", [False] * 20, kind)).channels == 1
    assert look(lamps(tmp_path / "b", [True] * 20, kind)).channels == 3
    rare = lamps(tmp_path / "c", [k in (50, 51) for k in range(400)], kind)
    fits, real = list[Preprocess | None](), fitted_recipe.decode_image
    monkeypatch.setattr(fitted_recipe, "decode_image", lambda one, fit: fits.append(fit) or real(one, fit=fit))
    assert look(rare).channels == 3
    assert fits == [None] * 100 + [fitted_recipe.AS_FED] * len(fits[100:])
    assert len(fits) < 160  # it ends at the first, the fiftieth or so
    monkeypatch.setattr(fitted_recipe, "LOOKED_AT_FOR_COLOUR", 100)
    assert look(rare).channels == 1  # neither is among the hundred that are looked at first


def test_without_a_recipe_it_fits_itself_and_says_so(tmp_path: Path) -> None:
    recipe, told = recipe_for(photos(tmp_path, [(96, 96)] * 60), None)
    assert (recipe.name, recipe.image.height, recipe.encoder.stem_stride) == ("photos", 64, 2)
    assert "54 pictures to train on, 2 classes, 96 pixels" in told[0]
    assert "64 x 64, stem stride 2, batches of 16" in told[1]
    assert recipe_for("digits", None) == (load_recipe("digits"), ())
    assert recipe_for("nowhere", "cifar10") == (load_recipe("cifar10"), ())


def test_epochs_mean_all_of_it() -> None:
    recipe = adjusted(fitted(BASE, seen()), epochs=3, views=2)
    assert (recipe.schedule.epochs, recipe.teacher.schedule.epochs) == (3, 1)
    assert stages(recipe) == "passes over the images: teacher 1 (if it is made here), student 3; 2 views"
    assert "teacher" not in stages(adjusted(recipe, hard=1.0))
    assert adjusted(recipe, epochs=6).teacher.schedule.epochs == 2
