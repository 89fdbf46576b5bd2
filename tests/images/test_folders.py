"""Folders of pictures: splits by the names that people give them, classes, and what was left out, told."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.core import ParameterSource
from PIL import Image

from common.errors import ConfigError, DataError
from common.images import folders
from common.images.datasets import exactly, load_for, load_images, load_splits, open_split
from common.pair.manifest import SHIPPED, find_pair
from common.pair.shapes import Preprocess
from sctx.capture.source import Source
from tests.images.makers import class_label, class_tree, encoded, flat, write_table
from tests.images.test_tables import memory
from training import distill, evaluate, teacher
from training.data.images import fingerprint, load_data, load_told
from training.recipes.recipe import load_recipe

PAIR = find_pair("cifar10")
SMALL = Preprocess(8, 8, 3, (0.5,) * 3, (0.5,) * 3)
CLASSES = {f"{place}/{k}.png": 10 + k for place in ("train/cat", "train/dog", "test/cat", "test/dog") for k in range(3)}


def shades(images: np.ndarray) -> list[int]:
    return sorted(images[:, 0, 0, 0].tolist())


def table(path: Path, values: list[int]) -> None:
    columns = {
        "img": [{"bytes": flat(one), "path": None} for one in values],
        "label": [k % 2 for k in range(len(values))],
    }
    write_table(path, columns, class_label(["cat", "dog"]))


@pytest.mark.parametrize("word", ["validation", "val", "valid", "dev", "Val", "VALIDATION"])
@pytest.mark.parametrize("form", ["folders", "tables", "a table", "tables in a folder"])
def test_a_validation_split_is_found_by_its_names_and_said(word: str, form: str, tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES)
    rows, features = {"img": [{"bytes": flat(77), "path": None}] * 2, "label": [0, 1]}, class_label(["cat", "dog"])
    if form == "folders":
        class_tree(tmp_path, {f"{word}/cat/a.png": 77, f"{word}/dog/a.png": 77})
    else:
        names = {"tables": f"{word}-00000-of-00001", "a table": word, "tables in a folder": f"{word}/0000"}
        write_table(tmp_path / f"{names[form]}.parquet", rows, features)
    found = load_images(str(tmp_path), "validation", SMALL)
    assert shades(found.images) == [77, 77]
    assert any("is taken as the validation split" in note and word.lower() in note.lower() for note in found.notes)
    assert shades(load_images(str(tmp_path), "train", SMALL).images) == [10, 10, 11, 11, 12, 12]


def test_without_one_it_is_said_that_train_gives_it(tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES)
    assert load_images(str(tmp_path), "validation", SMALL).notes == (
        "there is no validation split: a fixed tenth of train/ is held out for it",
    )
    assert load_images(str(tmp_path), "test", SMALL).notes == ()


@pytest.mark.parametrize("change", ["a picture more", "one less", "another"])
def test_pictures_held_out_of_another_train_than_the_pairs_are_not_measured_on(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One picture more or less, and others are held out: most of them have been trained on."""
    class_tree(tmp_path, {f"train/{name}/{k:02d}.png": k for name in ("cat", "dog") for k in range(20)})
    made_of = {"data": fingerprint(load_images(str(tmp_path), "train", PAIR.preprocess))}
    pair = replace(PAIR, provenance=made_of, dataset=tmp_path.name)
    assert len(load_told(pair, str(tmp_path), "validation")) == 4
    if change == "one less":
        (tmp_path / "train/cat/07.png").unlink()
    else:
        class_tree(tmp_path, {"train/cat/99.png" if change == "a picture more" else "train/cat/07.png": 99})
    with pytest.raises(DataError, match=r"may have seen what is held out of it: put pictures .* into test/CLASS/"):
        load_told(pair, str(tmp_path), "validation")
    load_told(replace(pair, dataset="others"), str(tmp_path), "validation")
    assert "the pair may have seen some of these" in " ".join(capsys.readouterr().err.split())
    class_tree(tmp_path, {"test/cat/a.png": 5, "val/cat/a.png": 5})
    for split in ("test", "validation", "train"):
        load_told(pair, str(tmp_path), split)


def test_a_pair_that_does_not_say_of_what_it_was_made_may_have_seen_what_is_held_out_which_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class_tree(tmp_path, CLASSES)
    load_told(replace(PAIR, provenance={}), str(tmp_path), "validation")
    assert "it may have seen some of these" in " ".join(capsys.readouterr().err.split())


def test_a_class_keeps_a_picture_to_train_on_wherever_its_only_one_falls(tmp_path: Path) -> None:
    """Of thirty classes of one picture each, some fall whole into the tenth that is held out."""
    names = {f"class {k:02d}/a.png": k for k in range(30)} | {f"more/{k:02d}.png": 100 + k for k in range(30)}
    class_tree(tmp_path, names)
    train, held = load_splits(str(tmp_path), ("train", "validation"), SMALL)
    assert set(train.labels.tolist()) == set(range(31))
    assert sorted(shades(train.images) + shades(held.images)) == sorted(names.values())  # each once
    assert any("none is held out of" in note and "class " in note for note in held.notes)
    assert set(held.labels.tolist()) == {30}


def test_too_few_pictures_to_hold_some_out_are_told(tmp_path: Path) -> None:
    class_tree(tmp_path, {"cat/a.png": 1, "dog/a.png": 2})
    with pytest.raises(DataError, match="too few pictures to hold some of them out"):
        load_images(str(tmp_path), "validation", SMALL)


def test_a_share_that_has_nothing_of_a_class_is_refused_by_name(tmp_path: Path) -> None:
    class_tree(
        tmp_path, {f"train/cat/{k:02d}.png": k for k in range(40)} | {"train/rare/a.png": 99, "val/cat/a.png": 1}
    )
    with pytest.raises(
        DataError, match=r"a share of 0.1 of .* has no picture to train on of 1 of its classes \((cat|rare)\)"
    ):
        load_images(str(tmp_path), "train", SMALL, fraction=0.1)
    assert len(load_images(str(tmp_path), "train", SMALL, fraction=1.0)) == 41


@pytest.mark.parametrize("more", ["valid/cat/a.png", "dev/cat/a.png", "Val/a.png", "val.parquet", "valid-0.parquet"])
def test_two_validation_splits_are_refused(more: str, tmp_path: Path) -> None:
    class_tree(tmp_path, {**CLASSES, "val/cat/a.png": 1})
    (tmp_path / more).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / more).write_bytes(b"")
    with pytest.raises(DataError, match=r"has two validation splits, .* and .*: remove one of them"):
        load_images(str(tmp_path), "train", SMALL)


def test_other_words_for_train_and_test_are_understood(tmp_path: Path) -> None:
    words = {name.replace("train", "Training").replace("test", "eval"): shade for name, shade in CLASSES.items()}
    class_tree(tmp_path, words)
    assert len(load_images(str(tmp_path), "test", SMALL)) == 6
    assert "eval/ is taken as the test split" in load_images(str(tmp_path), "test", SMALL).notes


def test_splits_in_the_only_folder_that_has_some_are_taken_and_those_in_several_pointed_at(tmp_path: Path) -> None:
    class_tree(tmp_path / "data", CLASSES)
    class_tree(tmp_path / "docs", {"figures/a.png": 1})
    found = load_images(str(tmp_path), "train", SMALL)
    assert found.classes == ("cat", "dog")
    assert found.notes[0] == f"the splits are those in {tmp_path / 'data'}"
    class_tree(tmp_path / "more", CLASSES)
    with pytest.raises(DataError, match=r"has no train split: .*data, .*more have some: give one of them"):
        load_images(str(tmp_path), "train", SMALL)


def test_class_folders_without_splits_are_trained_on_and_that_is_told(tmp_path: Path) -> None:
    class_tree(
        tmp_path, {name.partition("/")[2]: shade for name, shade in CLASSES.items() if name.startswith("train/")}
    )
    train, held = (load_images(str(tmp_path), split, SMALL) for split in ("train", "validation"))
    assert train.classes == held.classes == ("cat", "dog")
    assert len(held) == 1
    assert len(train) > 1
    assert train.notes[0] == f"{tmp_path} has no splits: each of its folders is taken as a class (cat, dog)"
    with pytest.raises(DataError, match="has no test split"):
        load_images(str(tmp_path), "test", SMALL)


@pytest.mark.parametrize("names", [("cat/a.png",), ("cat/deep/a.png", "dog/deep/a.png"), ("a.png", "cat/a.png")])
def test_one_folder_or_pictures_further_down_are_no_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    class_tree(tmp_path, dict.fromkeys(names, 9))
    with pytest.raises(DataError, match="has no train split"):
        load_images(str(tmp_path), "train", SMALL)


def test_a_folder_that_is_no_class_beside_some_that_are_is_named_and_not_taken(tmp_path: Path) -> None:
    class_tree(tmp_path, {"cat/a.png": 1, "dog/a.png": 2, "old/cat/a.png": 3})
    with pytest.raises(DataError, match=r"has no train split.*class folders need no split, but .*old hold no pictures"):
        load_images(str(tmp_path), "train", SMALL)


LEFT_OUT = {"a.tif": ".tif", "b.gif": ".gif", "c.heic": ".heic", "d.avif": ".avif", "e": "no suffix", "f.txt": ".txt"}


def test_what_is_left_out_is_counted_and_told_by_suffix(tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES)
    for name in LEFT_OUT:
        (tmp_path / "train" / "cat" / name).write_bytes(b"x")
    class_tree(tmp_path, {"train/loose.png": 9})
    notes = load_images(str(tmp_path), "train", SMALL).notes
    assert "7 files left out" in notes[0]
    for kind in (*LEFT_OUT.values(), "1 pictures without a class folder"):
        assert kind in notes[0]
    source = Source(str(tmp_path / "train" / "cat"), PAIR)
    assert source.size == 3
    assert "6 files left out" in source.notes[0]


@pytest.mark.parametrize("content", [None, "a.tif", "a.gif", "a.heic", ".hidden.png", "Thumbs.db"])
def test_a_class_without_pictures_is_refused_by_name(content: str | None, tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES)
    (tmp_path / "train" / "zebra").mkdir()
    if content:
        (tmp_path / "train" / "zebra" / content).write_bytes(b"x")
    with pytest.raises(DataError, match=r"no picture to train on of 1 of its classes \(zebra\)") as caught:
        load_images(str(tmp_path), "train", SMALL)
    assert content is None or content.startswith((".", "T")) or "left out (1 ." in str(caught.value)
    assert len(load_images(str(tmp_path), "test", SMALL)) == 6  # nothing is trained on these


def test_a_class_that_only_another_split_has_and_a_name_without_rows_are_refused_too(tmp_path: Path) -> None:
    class_tree(tmp_path, {**CLASSES, "test/emu/a.png": 5})
    with pytest.raises(DataError, match=r"\(emu\)"):
        load_images(str(tmp_path), "train", SMALL)
    rows = {"img": [{"bytes": flat(77), "path": None}] * 2, "label": [0, 2]}
    write_table(tmp_path / "b" / "train.parquet", rows, class_label(["cat", "dog", "emu"]))
    with pytest.raises(DataError, match=r"\(dog\)"):
        load_images(str(tmp_path / "b"), "train", SMALL)


def test_one_class_is_nothing_to_train_on_and_nested_folders_are_pointed_at(tmp_path: Path) -> None:
    class_tree(tmp_path, {"train/images/cat/a.png": 1, "train/images/dog/a.png": 2})
    with pytest.raises(DataError, match=r"one class only, images; .*in cat, dog below it counts as one class"):
        load_images(str(tmp_path), "train", SMALL)


DEBRIS = (".git/a.png", ".ipynb_checkpoints/a.png", "__MACOSX/a.png", "@eaDir/a.png", "cat/._a.png", "cat/.DS_Store",
          "cat/Thumbs.db", "cat/__MACOSX/b.png", "cat/.cache/b.png", "desktop.ini")  # fmt: skip


def test_what_systems_leave_behind_is_neither_class_nor_picture_nor_counted(tmp_path: Path) -> None:
    class_tree(tmp_path, {**CLASSES, **{f"train/{name}": 200 for name in DEBRIS}, "._train/cat/a.png": 3})
    found = load_images(str(tmp_path), "train", SMALL)
    assert found.classes == ("cat", "dog")
    assert shades(found.images)[-1] < 200
    assert found.notes == ()
    source = Source(str(tmp_path / "train"), PAIR)
    assert (source.size, source.notes) == (6, ())


def test_suffixes_in_capitals_and_other_names_of_jpeg_are_pictures(tmp_path: Path) -> None:
    for k, suffix in enumerate(("JPG", "Jpeg", "jpe", "JFIF", "PNG", "BMP", "WEBP")):
        (tmp_path / f"{k}.{suffix}").write_bytes(flat(9, kind="JPEG"))
    assert len(list(Source(str(tmp_path), PAIR).captures())) == 7


def test_links_are_followed_once_and_what_is_no_file_is_counted(tmp_path: Path) -> None:
    top = class_tree(tmp_path / "set", {"cat/a.png": 1})
    class_tree(tmp_path / "elsewhere", {"dog/b.png": 2, "dog/deep/c.png": 3})
    (top / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (top / "cat" / "again").symlink_to(top)
    (top / "cat" / "gone.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(top / "cat" / "pipe.png")
    (top / "cat" / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "cat" / "socket.png"))
        source = Source(str(top), PAIR)
    assert [c.image[0, 0, 0] for c in source.captures()] == [1, 2, 3]
    assert [c.label for c in source.captures()] == [PAIR.labels.index(name) for name in ("cat", "dog", "dog")]
    assert "3 files left out" in source.notes[0]
    assert "2 that are no files" in source.notes[0]
    assert "1 broken links" in source.notes[0]


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_tree(tmp_path, CLASSES)
    closed, real = tmp_path / "train" / "dog", Path.iterdir

    def iterdir(path: Path) -> object:
        if path == closed:  # as for anybody but root
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    for read in (lambda: load_images(str(tmp_path), "train"), lambda: Source(str(tmp_path), PAIR)):
        with pytest.raises(DataError, match=r"cannot read folder .*dog: Permission denied"):
            read()


def test_names_that_are_not_utf8_are_refused_as_classes_and_escaped_where_they_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class_tree(tmp_path, CLASSES)
    odd = os.fsdecode(b"caf\xe9")
    class_tree(tmp_path, {f"train/cat/{odd}.png": 50, "train/cat/a\nb\x1b[31m.png": 51})
    (tmp_path / "train" / "cat" / f"{odd}2.png").write_bytes(b"broken")
    files = [c.file or "" for c in Source(str(tmp_path / "train"), PAIR).captures()]
    assert {f"{tmp_path}/train/cat/{odd}.png", f"{tmp_path}/train/cat/a\nb\x1b[31m.png"} <= set(files)
    assert [str(one.__dict__["why"]).split(":")[0] for one in caplog.records] == [
        rf"cannot read {tmp_path}/train/cat/caf\xe92.png"
    ]
    with pytest.raises(DataError, match=r"caf\\xe92.png") as caught:
        load_images(str(tmp_path), "train", SMALL)
    str(caught.value).encode()
    class_tree(tmp_path, {f"test/{odd}/a.png": 50})
    with pytest.raises(DataError, match=r"the class name 'caf\\udce9' is not UTF-8; rename it") as caught:
        load_images(str(tmp_path), "train", SMALL)
    str(caught.value).encode()


def test_one_name_in_two_forms_of_unicode_is_one_class(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    class_tree(tmp_path, {f"train/{composed}/a.png": 1, "train/dog/a.png": 1, f"test/{apart}/a.png": 1})
    train, test = (load_images(str(tmp_path), split, SMALL) for split in ("train", "test"))
    assert train.classes == test.classes == (composed, "dog")


def test_names_that_differ_in_capitals_are_two_classes_and_said_unless_they_are_letters(tmp_path: Path) -> None:
    class_tree(tmp_path, {f"train/{name}/a.png": 1 for name in ("Cat", "cat", "a", "A")})
    split = open_split(str(tmp_path), "train")
    assert split.classes == ("A", "Cat", "a", "cat")
    assert split.notes == ("classes 'Cat' and 'cat' differ only in capital letters or spaces",)
    class_tree(tmp_path, {"train/cat /b.png": 2})
    assert "classes 'Cat' and 'cat ' differ only" in " ".join(open_split(str(tmp_path), "train").notes)


def test_all_bad_pictures_are_named_at_once_and_can_be_left_out(tmp_path: Path) -> None:
    class_tree(tmp_path, {f"train/{name}/{k:02}.png": k for name in "ab" for k in range(15)})
    for k in range(12):
        (tmp_path / "train" / "a" / f"{k:02}.png").write_bytes((b"", b"words", flat(3)[:40])[k % 3])
    (tmp_path / "train" / "b" / "._00.png").write_bytes(b"resource fork")
    with pytest.raises(DataError, match=r"12 of .*a/00.png \(it is empty\).* and 2 more; .*skip_bad=True") as caught:
        load_splits(str(tmp_path), ("train", "validation"), SMALL)
    assert str(caught.value).count(".png (") == 10
    kept = load_images(str(tmp_path), "train", SMALL, skip_bad=True)
    held = load_images(str(tmp_path), "validation", SMALL, skip_bad=True)
    assert len(kept) + len(held) == 18
    assert sorted(shades(kept.images) + shades(held.images)) == sorted([*range(15), 12, 13, 14])
    assert "left out" in kept.notes[-1]
    for k in range(15):
        (tmp_path / "train" / "a" / f"{k:02}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no picture to train on of 1 of its classes \(a\)"):
        load_images(str(tmp_path), "train", SMALL, skip_bad=True)


def test_commands_of_training_leave_bad_pictures_out_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (distill, evaluate, teacher):
        assert "--skip-bad" in [flag for parameter in command.main.params for flag in parameter.opts]
    class_tree(tmp_path, {f"test/{name}/{k}.png": k for name in ("cat", "dog") for k in range(3)})
    (tmp_path / "test" / "cat" / "0.png").write_bytes(b"words")
    with pytest.raises(DataError, match="skip_bad=True"):
        load_told(PAIR, str(tmp_path), "test")
    assert len(load_told(PAIR, str(tmp_path), "test", skip_bad=True)) == 5
    assert "note: left out 1 of the images" in capsys.readouterr().err
    class_tree(tmp_path, {f"train/{name}/{k}.png": k for name in ("cat", "dog") for k in range(30)})
    (tmp_path / "train" / "cat" / "0.png").write_bytes(b"words")
    train, validation, _ = load_data(load_recipe("cifar10"), str(tmp_path), skip_bad=True)
    assert len(train) + len(validation) == 59
    assert "note: left out 1 of the images" in capsys.readouterr().err


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    class_tree(tmp_path, {name: one for name, one in CLASSES.items() if name.startswith("train")})
    (tmp_path / "test" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images in its test split"):
        load_for(PAIR, str(tmp_path), "test")


def test_labels_come_from_the_nearest_folder_that_is_a_class(tmp_path: Path) -> None:
    class_tree(tmp_path, {"cat/2021/may/a.png": 1, "dog/cat/b.png": 2, "2021/c.png": 3, "d.png": 4})
    labels = {Path(c.file or "").name: c.label for c in Source(str(tmp_path), PAIR).captures()}
    assert labels == {"a.png": 3, "b.png": 3, "c.png": None, "d.png": None}


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be reset here")
@pytest.mark.parametrize("form", ["folders", "tables"])
def test_a_data_set_takes_little_more_memory_than_its_pixels(form: str, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (2, 240, 250, 3), np.uint8)
    pictures, count = [encoded(one, quality=50) for one in drawn], 200
    class_tree(tmp_path / "warm", CLASSES)
    if form == "folders":
        for k in range(count):
            path = tmp_path / "train" / "ab"[k % 2] / f"{k}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pictures[k % 2])
    else:
        cells = [{"bytes": pictures[k % 2], "path": None} for k in range(count)]
        rows = {"img": cells, "label": [k % 2 for k in range(count)]}
        write_table(tmp_path / "train.parquet", rows, class_label("ab"), row_group_size=100, use_dictionary=False)
        del rows, cells
    recipe = load_recipe("cifar10")
    recipe = replace(recipe, image=replace(recipe.image, height=224, width=224))
    load_data(recipe, str(tmp_path / "warm"))  # what libraries take once and for all
    Path("/proc/self/clear_refs").write_text("5")
    before = memory()[0]
    train, validation, _ = load_data(recipe, str(tmp_path))
    assert memory()[1] - before < 1.5 * (train.images.nbytes + validation.images.nbytes)


def test_pictures_that_are_all_alike_are_nothing_to_train_on(tmp_path: Path) -> None:
    names = [f"train/{name}/{k}.png" for name in ("cat", "dog") for k in range(10)]
    class_tree(tmp_path, dict.fromkeys(names, 0))
    with pytest.raises(DataError, match=r"the 18 images of .* to train on are all alike"):
        load_data(load_recipe("cifar10"), str(tmp_path))
    class_tree(tmp_path, {name: k for k, name in enumerate(names)})
    load_data(load_recipe("cifar10"), str(tmp_path))


@pytest.mark.parametrize(("factor", "told"), [(1, True), (16, False)])
def test_grey_of_12_bits_in_16_is_told(
    factor: int, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of which the upper byte leaves 16 greys; one dark picture among others is none of its kind."""
    drawn = np.random.default_rng(0).integers(0, 4096, (20, 30, 40)).astype(np.uint16)
    drawn[0] = 3
    for k, samples in enumerate(drawn):
        path = tmp_path / "train" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(samples * np.uint16(factor)).save(path)
    load_data(load_recipe("cifar10"), str(tmp_path))
    assert bool(re.search(r"to train on reach \d+ of 255: where they are files", capsys.readouterr().err)) == told


def test_mean_and_spread_are_those_of_the_pixels() -> None:
    images = load_images("digits", "train")
    pixels = images.images.reshape(-1, 1) / 255.0
    mean, spread = images.mean_std()
    assert mean == pytest.approx(pixels.mean(0).tolist(), abs=1e-12)
    assert spread == pytest.approx(pixels.std(0).tolist(), abs=1e-12)


def test_a_link_that_leads_up_or_into_another_class_relabels_nothing(tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES)
    (tmp_path / "train" / "cat" / "up").symlink_to("..")
    found = load_images(str(tmp_path), "train", SMALL)
    assert len(found) == 5  # the sixth is held out
    assert any("1 links to a folder above" in note for note in found.notes)
    (tmp_path / "train" / "cat" / "more").symlink_to(tmp_path / "train" / "dog")
    with pytest.raises(DataError, match="classes 'cat' and 'dog' hold the same folder, by a link"):
        load_images(str(tmp_path), "train", SMALL)


def test_what_lies_beside_the_splits_is_told(tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES | {"train_extra/cat/a.png": 1, "train_extra/dog/a.png": 2, "holdout/cat/b.png": 3})
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "readme.md").write_text("hello")
    class_tree(tmp_path, {"shown.png": 4})
    (note,) = load_images(str(tmp_path), "test", SMALL).notes
    assert (
        note
        == f"{tmp_path}: what lies beside its splits is left out: holdout (1 files), shown.png, train_extra (2 files)"
    )


def test_of_what_lies_beside_the_splits_only_so_much_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of a million files, or one of an environment, must not keep a command from starting."""
    class_tree(tmp_path, CLASSES | {f"raw/{k}.png": 1 for k in range(20)} | {f"env/{k}/a.png": 1 for k in range(20)})
    for k in range(20):
        class_tree(tmp_path, {f"env/{k}/.git/a.png": 1})
        (tmp_path / "env" / str(k) / "a.py").write_text("")
    monkeypatch.setattr(folders, "MANY", 10)
    looked_at, real = list[str](), folders._below

    def below(folder: Path) -> Iterator[os.DirEntry[str]]:
        for entry in real(folder):
            looked_at.append(entry.path)
            yield entry

    monkeypatch.setattr(folders, "_below", below)
    monkeypatch.setattr(os, "walk", lambda _: pytest.fail("a tree was walked to its end"))
    (note,) = open_split(str(tmp_path), "test").notes
    assert "raw (10 or more files)" in note
    assert len(looked_at) == 20
    monkeypatch.setattr(folders, "MANY", 1000)
    assert "env (20 files), raw (20 files)" in open_split(str(tmp_path), "test").notes[0]


def test_what_lies_beside_the_splits_is_not_listed_where_they_can_be_no_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_tree(tmp_path, CLASSES | {"raw/a.png": 1})
    listed, real = list[str](), folders.inside
    monkeypatch.setattr(folders, "inside", lambda path, *more: listed.append(path.name) or real(path, *more))
    monkeypatch.setattr(folders, "_looks_like_class", lambda path: pytest.fail(f"{path} was looked at"))
    open_split(str(tmp_path), "train")
    assert "raw" not in listed


@pytest.mark.parametrize("names", [
    ("bus/a.png", "car/a.png", "train/a.png"),
    ("bus/a.png", "train/a.png", "train/steam/a.png", "train/diesel/a.png"),
    ("cats/a.png", "dogs/b.png", "dogs/train/poodle/a.png", "dogs/train/pug/a.png"),
])  # fmt: skip
def test_a_folder_that_may_be_a_class_or_a_split_is_not_guessed_at(names: tuple[str, ...], tmp_path: Path) -> None:
    class_tree(tmp_path, dict.fromkeys(names, 9))
    with pytest.raises(
        DataError, match=r"may be where the train split is, or a class, as .* beside it: rename it, .* [ab].png in it"
    ):
        load_images(str(tmp_path), "train", SMALL)


@pytest.mark.parametrize("beside", ["assets/logo.png", "images/sample.png", "test_set/a.jpg", "cover.jpg"])
@pytest.mark.parametrize("place", ["", "data/"])
@pytest.mark.parametrize("form", ["folders", "a table"])
def test_pictures_beside_a_split_that_can_be_no_class_are_told(
    form: str, place: str, beside: str, tmp_path: Path
) -> None:
    class_tree(tmp_path, {beside: 1, f"{place}{beside}": 1})
    if form == "folders":
        class_tree(tmp_path, {f"{place}train/{name}/{k}.png": k for name in ("cat", "dog") for k in range(10)})
    else:
        table(tmp_path / f"{place}train.parquet", list(range(20)))
    found = load_images(str(tmp_path), "train", SMALL)
    assert found.classes == ("cat", "dog")
    assert any("beside its splits is left out" in note and beside.partition("/")[0] in note for note in found.notes)


def test_a_folder_beside_the_splits_that_may_not_be_read_is_none_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_tree(tmp_path, {f"train/{name}/{k}.png": k for name in ("cat", "dog") for k in range(10)})
    class_tree(tmp_path, {"train/a.png": 9, "private/a.png": 9})
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "private" and access(path, mode))
    assert load_images(str(tmp_path), "train", SMALL).classes == ("cat", "dog")


def test_tables_and_class_folders_in_one_split_are_not_guessed_at(tmp_path: Path) -> None:
    class_tree(tmp_path, CLASSES)
    table(tmp_path / "train" / "part.parquet", [9, 9])
    with pytest.raises(DataError, match=r"holds Parquet files \(part.parquet\) and class folders \(cat, dog\)"):
        load_images(str(tmp_path), "train", SMALL)


@pytest.mark.parametrize("other", ["train_old.parquet", "train-2.parquet", "Train.backup.parquet"])
def test_a_table_of_a_whole_split_beside_another_of_it_is_not_guessed_at(other: str, tmp_path: Path) -> None:
    for name in ("train.parquet", other):
        table(tmp_path / name, list(range(20)))
    with pytest.raises(DataError, match="would both be its train split: rename one of them"):
        load_images(str(tmp_path), "train", SMALL)


@pytest.mark.parametrize("place", ["", "train/"])
def test_tables_that_do_not_count_themselves_are_told(place: str, tmp_path: Path) -> None:
    table(tmp_path / "test.parquet", [1, 2])
    for name in ("train-00000-of-00002", "train-00001-of-00002"):
        table(tmp_path / f"{place}{name}.parquet", list(range(20)))
    assert load_images(str(tmp_path), "train", SMALL).notes == ()
    for k in range(2):
        (tmp_path / f"{place}train-0000{k}-of-00002.parquet").rename(tmp_path / f"{place}train_{'ab'[k]}.parquet")
    said = "2 files are taken together as the train split: train_a.parquet, train_b.parquet"
    assert load_images(str(tmp_path), "train", SMALL).notes == (said,)


def test_a_folder_called_like_a_set_that_is_built_in_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits" / "notes").mkdir(parents=True)
    assert len(open_split("digits", "test")) == 360
    class_tree(tmp_path / "digits", CLASSES)
    with pytest.raises(ConfigError, match=r"say ./digits for the folder"):
        open_split("digits", "test")
    assert open_split("./digits", "test").classes == ("cat", "dog")
    class_tree(tmp_path / "digits", {"training/cat/a.png": 1})  # two train splits, of a folder that nobody named
    with click.Context(evaluate.main) as context:
        found = open_split("digits", "test")  # a default of the command
        assert (len(found), "the set is taken" in found.notes[0]) == (360, True)
        for option, value in (("dataset", "digits"), ("source", "dataset:digits:test")):
            context.params[option] = value
            context.set_parameter_source(option, ParameterSource.ENVIRONMENT)
            with pytest.raises(ConfigError, match=r"say ./digits for the folder, sklearn/digits for the set"):
                open_split("digits", "test")
            context.params[option] = f"./{value}"
    assert len(open_split("sklearn/digits", "test")) == len(open_split(exactly("digits"), "test")) == 360
    assert exactly("./digits") == "./digits"


def test_a_pair_called_like_one_that_ships_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHIPPED / "digits", "digits")
    assert find_pair("digits").id == find_pair("./digits").id
    shutil.copy(SHIPPED / "cifar10" / "manifest.json", "digits")
    with pytest.raises(ConfigError, match=r"say ./digits for the folder"):
        find_pair("digits")
    assert find_pair("./digits").name == find_pair(Path("digits")).name == "cifar10"
    assert find_pair(str(SHIPPED / "digits")).name == "digits"  # as the line says
    with click.Context(evaluate.main) as context:
        context.params["pair"] = "digits"
        context.set_parameter_source("pair", ParameterSource.DEFAULT)
        assert find_pair("digits").name == find_pair("digits").name == "digits"
        assert capsys.readouterr().err.count("is the pair that ships") == 1
        context.set_parameter_source("pair", ParameterSource.COMMANDLINE)
        with pytest.raises(ConfigError, match=r"say ./digits for the folder, /.*digits for the pair that ships"):
            find_pair("digits")
