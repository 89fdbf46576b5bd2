"""A data set that says the WordNet ids of its classes is understood by a teacher that has two of one name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from common.images.datasets import load_for, load_images
from common.pair.manifest import find_pair
from training.teachers.columns import match
from training.teachers.efficientnet_lite import imagenet_classes

IDS = {"crane": "n03126707", "goldfish": "n01443537"}
LISTED = [{"label": k, "wnid": wnid, "name": name} for k, (name, wnid) in enumerate(IDS.items())]


def data_set(folder: Path, classes: Any, nested: bool = False) -> Path:
    root = folder / "data" if nested else folder
    for split in ("train", "test"):
        for name in IDS:
            (root / split / name).mkdir(parents=True)
            for k in range(3):
                Image.fromarray(np.full((8, 8, 3), 40 * k, np.uint8)).save(root / split / name / f"{k}.png")
    if classes is not None:
        (root / "classes.json").write_text(classes if isinstance(classes, str) else json.dumps(classes))
    return folder


@pytest.mark.parametrize("nested", [False, True])
def test_ids_decide_between_two_classes_of_one_name(tmp_path: Path, nested: bool) -> None:
    images = load_images(str(data_set(tmp_path, LISTED, nested)), "train")
    assert images.classes == tuple(IDS)
    assert images.ids == images.take(np.arange(2)).ids == tuple(IDS.values())
    known = imagenet_classes()
    assert [known[k].rpartition(", ")[2] for k in match(known, images.asked, "teacher").order] == list(IDS.values())
    with pytest.raises(ConfigError, match="several classes that may be 'crane'"):
        match(known, images.classes, "teacher")
    assert match(["goldfish", "crane"], images.asked, "teacher").order == (1, 0)  # a teacher of names alone


@pytest.mark.parametrize(("labels", "ids"), [(("goldfish", "crane"), True), (("crane", "goldfish", "newt"), False)])
def test_a_pair_has_the_ids_in_its_own_order_or_none(tmp_path: Path, labels: tuple[str, ...], ids: bool) -> None:
    pair = replace(find_pair("cifar10"), labels=labels)
    images = load_for(pair, str(data_set(tmp_path, LISTED)), "test")
    assert images.ids == (tuple(IDS[name] for name in labels) if ids else ())


@pytest.mark.parametrize(
    ("classes", "why"),
    [
        (LISTED[:1], "it has no class 'goldfish'"),
        ([*LISTED, {"wnid": "n02012849", "name": "crane"}], "it has several ids for 'crane'"),
        ([{**LISTED[0], "wnid": "03126707"}, LISTED[1]], "it is no list of"),
        ({"crane": "n03126707"}, "it is no list of"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_says_something_else_is_told_and_not_used(tmp_path: Path, classes: Any, why: str) -> None:
    images = load_images(str(data_set(tmp_path, classes)), "train")
    assert images.ids == ()
    assert images.asked == images.classes
    assert any("classes.json is not used: " in note and why in note for note in images.notes)


def test_without_the_file_nothing_is_said(tmp_path: Path) -> None:
    images = load_images(str(data_set(tmp_path, None)), "train")
    assert images.ids == ()
    assert not images.notes or "classes.json" not in " ".join(images.notes)
