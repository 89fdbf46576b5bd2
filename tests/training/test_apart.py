"""Classes kept out of a data set: none of their pictures is left in what a pair is trained on, and none is lost."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from common.images.datasets import load_images, open_split
from training.enrolment.apart import KNOWN, NEW, kept_apart, main

SPLITS = ("train", "validation", "test")


def test_every_picture_is_in_one_of_the_two_and_none_of_the_new_in_the_known(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["--dataset", "digits", "--classes", "7, 3", "--out", str(tmp_path)], obj={})
    assert ran.exit_code == 0, ran.output
    for split in SPLITS:
        whole = load_images("digits", split)
        known, new = (load_images(str(tmp_path / part), split) for part in (KNOWN, NEW))
        assert (known.classes, new.classes) == (tuple("01245689"), tuple("37"))
        kept = np.isin(whole.labels, (3, 7))
        assert np.array_equal(known.images[..., :1], whole.images[~kept])
        assert np.array_equal(new.images[..., :1], whole.images[kept])
        assert [new.classes[k] for k in new.labels] == [whole.classes[k] for k in whole.labels[kept]]
        assert [known.classes[k] for k in known.labels] == [whole.classes[k] for k in whole.labels[~kept]]


def test_encoded_pictures_stay_as_they_are_and_ids_come_along(tmp_path: Path) -> None:
    from PIL import Image

    top = tmp_path / "photos"
    for split in SPLITS:
        for k, name in enumerate(("ant", "bee", "cow")):
            (top / split / name).mkdir(parents=True)
            Image.new("RGB", (9, 9), (80 * k, 20, 30)).save(top / split / name / "a.jpg", quality=60)
    ids = [{"wnid": f"n0000000{k}", "name": name} for k, name in enumerate(("ant", "bee", "cow"))]
    (top / "classes.json").write_text(json.dumps(ids))
    kept_apart(str(top), ["bee"], tmp_path / "out")
    known = open_split(str(tmp_path / "out" / KNOWN), "train")
    assert known.ids == ("n00000000", "n00000002")
    pictures = [picture for _, picture in known.pictures()]
    assert pictures == [(top / "train" / name / "a.jpg").read_bytes() for name in ("ant", "cow")]
    assert open_split(str(tmp_path / "out" / NEW), "test").classes == ("bee",)


@pytest.mark.parametrize(
    ("classes", "why"), [(["x"], "'digits' has 0, 1"), (list("012345678"), "1 of the 10 classes would be left")]
)  # fmt: skip
def test_what_cannot_be_kept_apart_is_refused_and_nothing_written(classes: list[str], why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why):
        kept_apart("digits", classes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NEW).mkdir()
    with pytest.raises(ConfigError, match="there is a new in it"):
        kept_apart("digits", ["3"], tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / NEW]
