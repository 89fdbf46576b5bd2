"""Parquet: labels by name whatever form they have, pictures in every form that holds them, one line for the rest."""

import logging
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.images import tables
from common.images.datasets import load_for, load_images, load_splits, open_split, open_table
from common.pair.manifest import find_pair
from sctx.capture.source import Source
from tests.images.makers import cells, class_label, class_tree, flat, write_table

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

PAIR = find_pair("cifar10")
SHADES = (10, 40, 70, 100, 130, 160)
"""One class each, so that a picture tells its own true class."""
NAMES = PAIR.labels[: len(SHADES)]


def truth(images: np.ndarray) -> list[str]:
    """Names of the classes that the pictures themselves show."""
    return [NAMES[SHADES.index(int(image[0, 0, 0]))] for image in images]


def set_of(where: Path, names: Sequence[str], label: Any = None, form: Any = None) -> Path:
    """A table of one picture a class, labelled as `names` numbers them or by `label(name)`."""
    labels = [label(name) if label else list(names).index(name) for name in NAMES]
    column = pyarrow.array(labels) if form is None else pyarrow.array(labels, form)
    return write_table(where, {"img": cells(SHADES), "label": column}, class_label(names) if names else None)


FORMS = {
    "names in the order of the pair": (NAMES, None, None),
    "names in reverse": (NAMES[::-1], None, None),
    "more names than are used": (PAIR.labels[::-1], None, None),
    "int8": (NAMES[::-1], None, pyarrow.int8()),
    "uint64": (NAMES[::-1], None, pyarrow.uint64()),
    "strings": ((), str, None),
    "large strings": ((), str, pyarrow.large_string()),
    "a dictionary of strings": ((), str, pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
    "a dictionary of numbers": (NAMES[::-1], None, pyarrow.dictionary(pyarrow.int8(), pyarrow.int64())),
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_of_any_form_are_matched_by_name_by_both_readers(form: str, tmp_path: Path) -> None:
    names, label, kind = FORMS[form]
    file = set_of(tmp_path / "test.parquet", names, label, form=kind)
    captures = list(Source(str(file), PAIR).captures())
    shown = truth(np.stack([c.image for c in captures]))
    assert [None if c.label is None else PAIR.labels[c.label] for c in captures] == shown
    assert [c.label for c in Source(f"dataset:{tmp_path}:test", PAIR).captures()] == [c.label for c in captures]
    found = load_images(str(tmp_path), "test")
    assert [found.classes[k] for k in found.labels] == truth(found.images)
    assert load_for(PAIR, str(tmp_path), "test").labels.tolist() == [c.label for c in captures]


def test_files_and_splits_whose_orders_differ_mean_the_same_classes(tmp_path: Path) -> None:
    rng = random.Random(0)
    for k, split in enumerate(("train", "train", "train", "test", "validation")):
        names = rng.sample(NAMES, len(NAMES))
        set_of(tmp_path / f"{split}-{k}.parquet", () if k == 1 else names, str if k == 1 else None)
    parts = {split: load_images(str(tmp_path), split) for split in ("train", "validation", "test")}
    assert len(parts["train"]) == 3 * len(SHADES)
    assert len({part.classes for part in parts.values()}) == 1
    for part in parts.values():
        assert [part.classes[k] for k in part.labels] == truth(part.images)


def test_a_table_and_class_folders_mean_the_same_classes(tmp_path: Path) -> None:
    set_of(tmp_path / "train.parquet", NAMES[::-1])
    class_tree(tmp_path, {f"test/{name}/a.png": shade for name, shade in zip(NAMES, SHADES, strict=True)})
    train, test = (load_images(str(tmp_path), split) for split in ("train", "test"))
    assert train.classes == test.classes
    assert [test.classes[k] for k in test.labels] == truth(test.images)


def test_a_label_that_is_no_class_of_the_pair_is_none_and_said(tmp_path: Path) -> None:
    labels = {"img": cells(SHADES), "label": [0, 1, 2, 3, 4, 5]}
    file = write_table(tmp_path / "test.parquet", labels, class_label(("heron", *NAMES[1:])))
    source = Source(str(file), PAIR)
    assert [c.label for c in source.captures()] == [None, 1, 2, 3, 4, 5]
    assert source.notes == (f"1 of the 6 images of '{file}' count as unlabelled: the model has no class heron",)
    with pytest.raises(DataError, match="does not know: heron"):
        load_for(PAIR, str(tmp_path), "test")


def test_numbers_without_names_are_taken_by_position_only_where_they_fit_and_it_is_said(tmp_path: Path) -> None:
    rows = {"img": cells(SHADES), "label": [0, 1, 2, 3, 4, 5]}
    file = write_table(tmp_path / "test.parquet", rows)
    source = Source(str(file), PAIR)
    assert [c.label for c in source.captures()] == [0, 1, 2, 3, 4, 5]
    assert "numbers without names: taken by their position" in source.notes[0]
    assert "by their position" in load_for(PAIR, str(tmp_path), "test").notes[-1]
    write_table(file, {**rows, "label": [0, 1, 2, 3, 4, 11]})
    source = Source(str(file), PAIR)
    assert [c.label for c in source.captures()] == [None] * 6
    assert "6 of the 6" in source.notes[0]
    with pytest.raises(DataError, match="does not know: 0, 1, 2"):
        load_for(PAIR, str(tmp_path), "test")


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4, 5, 6), (3, 7, 20, 100, 101, 4000), (0, 1, 2, 3, 4, 5)])
def test_numbers_without_names_are_the_classes_that_occur_wherever_they_begin(
    numbers: tuple[int, ...], tmp_path: Path
) -> None:
    write_table(tmp_path / "train.parquet", {"img": cells(SHADES), "label": numbers})
    write_table(tmp_path / "validation.parquet", {"img": cells(SHADES[:2]), "label": [numbers[1], numbers[4]]})
    write_table(tmp_path / "test.parquet", {"img": cells(SHADES[:2])})
    train, validation = load_splits(str(tmp_path), ("train", "validation"), None)
    assert train.classes == validation.classes == tuple(map(str, numbers))
    assert train.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert validation.labels.tolist() == [1, 4]
    pair = replace(PAIR, labels=train.classes)
    file = write_table(tmp_path / "some.parquet", {"img": cells(SHADES[:2]), "label": [numbers[1], numbers[4]]})
    assert [c.label for c in Source(str(file), pair).captures()] == [1, 4]  # by name: 1 is not the second class
    labels = [c.label for c in Source(str(file), PAIR).captures()]
    assert labels == [None, None]  # they may count from 1: no guess


COLUMNS = {"labels": "text", "Label": 0, "class": 0, "cls": "text", "category": True, "target": 0}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_labels_of_another_usual_name_is_taken_and_said(column: str, tmp_path: Path) -> None:
    kind = type(COLUMNS[column])
    rows = {"img": cells(SHADES), "split": ["x"] * 6, column: [kind(k % 2) for k in range(6)]}
    file = write_table(tmp_path / "train.parquet", rows)
    found = load_images(str(tmp_path), "train")
    assert [found.classes[k].lower() for k in found.labels] == [str(kind(SHADES.index(v) % 2)).lower()
                                                        for v in found.images[:, 0, 0, 0]]  # fmt: skip
    assert f"{file}: column `{column}` is taken as the label" in found.notes
    write_table(file, {**rows, "fine_label": [0] * 6, "category" if column != "category" else "class": ["a"] * 6})
    with pytest.raises(DataError, match="several columns of labels"):
        load_images(str(tmp_path), "train")


def test_a_table_without_labels_is_one_line_for_training(tmp_path: Path) -> None:
    rows = {"img": cells(SHADES), "fine_label": [0] * 6, "coarse_label": [0] * 6, "category": [[1, 2]] * 6}
    file = write_table(tmp_path / "train.parquet", rows)
    with pytest.raises(DataError, match=r"none of the 5 images .* has no column `label`; it has img, fine_label, coar"):
        load_images(str(tmp_path), "train")
    source = Source(str(file), PAIR)
    assert [c.label for c in source.captures()] == [None] * 6
    assert "has no column `label`" in source.notes[0]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (("train-00000-of-00002",), "of 2 parts there are 0:"),
        (("train-00001-of-00003", "train-00002-of-00003"), "of 3 parts there are 1, 2:"),
        (("train-00000-of-00001-3f2a", "train-00000-of-00001-b7c1"), "of 1 parts there are 0, 0:"),
        (("train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"), "in two numbers of parts"),
        (("train-00000-of-00002", "train-00001-of-00002"), ""),
        (("train-00000-of-00002-3f2a", "train-00001-of-00002-b7c1"), ""),
        (("train-clean-0-of-1", "train-other-0-of-2", "train-other-1-of-2"), ""),
        (("train-0", "train-1"), ""),
    ],
)
@pytest.mark.parametrize("folder", ["", "data", "train"])
def test_a_split_in_parts_is_read_when_all_of_them_are_there(
    folder: str, parts: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    for part in parts:
        write_table(tmp_path / folder / f"{part}.parquet", {"img": cells(SHADES), "label": list(range(6))})
    if reason:
        with pytest.raises(DataError, match=reason):
            open_split(str(tmp_path), "train")
    else:
        assert len(open_split(str(tmp_path), "train")) + len(open_split(str(tmp_path), "validation")) == 6 * len(parts)


def test_numbers_beside_names_that_they_are_not_are_refused(tmp_path: Path) -> None:
    set_of(tmp_path / "train-0.parquet", NAMES)
    write_table(tmp_path / "train-1.parquet", {"img": cells(SHADES), "label": [0] * 6})
    with pytest.raises(DataError, match=r"train-1.parquet has numbers as labels.*train-0.parquet has names"):
        load_images(str(tmp_path), "train")


def test_rows_without_a_label_are_counted_and_named_for_training_and_sent_by_the_transmitter(tmp_path: Path) -> None:
    for missing in (None, -1):
        rows = {"img": cells(SHADES), "label": [0, missing, 1, missing, 2, 3]}
        file = write_table(tmp_path / "test.parquet", rows, class_label(NAMES))
        assert [c.label for c in Source(str(file), PAIR).captures()] == [0, None, 1, None, 2, 3]
        with pytest.raises(DataError, match=r"2 of the images.*test.parquet row 1 \(without a label\), .* row 3"):
            load_images(str(tmp_path), "test")
        kept = load_images(str(tmp_path), "test", skip_bad=True)
        assert kept.labels.tolist() == [0, 1, 2, 3]
        assert "left out 2 of the images" in kept.notes[-1]
    for rows in ({"img": cells(SHADES)}, {"img": cells(SHADES), "label": [None] * 6}):
        write_table(file, rows)
        assert [c.label for c in Source(str(file), PAIR).captures()] == [None] * 6


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([None, 1.0], r"column `label`, row 1 is '1.0' \(double\), no label; write integers or strings"),
        ([Decimal("1.5"), None], r"column `label`, row 0 is .*decimal"),
        ([[1, 2], [3]], r"column `label`, row 0 is .*list"),
        ([{"a": 1}, None], r"column `label`, row 0 is .*struct"),
        ([date(2020, 1, 1), None], r"column `label`, row 0 is .*date32"),
        ([b"cat", None], r"column `label`, row 0 is .*binary"),
        ([0, -2], r"column `label`, row 1 is -2, but labels go from 0"),
        ([0, 10**12], r"column `label`, row 1 is 1000000000000, but labels go from 0 to 65535"),
        (["cat", "x" * 5000], r"column `label`, row 1: 'x+' is no class name: at most 200"),
        (["cat", "a\nb"], r"column `label`, row 1: 'a\\nb' is no class name"),
    ],
)
def test_what_cannot_be_a_label_is_one_line_with_column_and_row(labels: list[Any], words: str, tmp_path: Path) -> None:
    file = write_table(tmp_path / "test.parquet", {"img": cells((1, 2)), "label": labels})
    for read in (lambda: Source(str(file), PAIR), lambda: load_images(str(tmp_path), "test")):
        with pytest.raises(DataError, match=r"test\.parquet: " + words) as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_label_beyond_the_names_and_a_name_that_is_there_twice_are_refused(tmp_path: Path) -> None:
    file = write_table(tmp_path / "a.parquet", {"img": cells((1, 2)), "label": [0, 7]}, class_label(NAMES))
    with pytest.raises(DataError, match="column `label`, row 1 is 7, but the schema names 6 classes"):
        open_table(file)
    write_table(file, {"img": cells((1, 2)), "label": [0, 1]}, class_label(("crane", "crane")))
    with pytest.raises(DataError, match="two classes are named 'crane'"):
        open_table(file)


def test_truth_values_are_two_classes_by_name(tmp_path: Path) -> None:
    split = open_table(write_table(tmp_path / "a.parquet", {"img": cells((1, 2)), "label": [True, False]}))
    assert [split.classes[k] for k in split.labels] == ["true", "false"]
    assert split.classes == ("false", "true")


def test_pictures_are_found_in_every_form_that_holds_them(tmp_path: Path) -> None:
    raw = [flat(1), flat(2)]
    image = {"picture": {"_type": "Image"}}
    for k, (columns, features) in enumerate([
        ({"image": cells((1, 2))}, None),
        ({"img": raw}, None),
        ({"img": pyarrow.array(raw, pyarrow.large_binary())}, None),
        ({"scan": raw}, None),
        ({"scan": raw, "note": ["a", "b"]}, None),
        ({"picture": cells((1, 2)), "mask": cells((3, 4))}, image),
        ({"image": cells((1, 2)), "thumbnail": raw}, None),
        ({"image": [{"bytes": one, "path": "/etc/passwd", "size": 3} for one in raw]}, None),
        ({"image": ["a.png", "b.png"], "img": raw}, None),
        ({"img": pyarrow.array(raw).dictionary_encode()}, None),
    ]):  # fmt: skip
        split = open_table(write_table(tmp_path / f"{k}.parquet", columns, features))
        assert [picture for _, picture in split.pictures()] == raw, k


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": ["/etc/passwd"]}, "column `image` is string from row 0 on.*a path in a table is never opened"),
        ({"image": [{"path": "a.png"}]}, "column `image` is struct<path: string> from row 0"),
        ({"image": [[1, 2, 3]]}, "column `image` is list"),
        ({"image": [[flat(1)]]}, "column `image` is list"),
        ({"front": [flat(1)], "back": [flat(1)]}, r"several columns of pictures \(front, back\): rename one to"),
        ({"image": [flat(1)], "img": [flat(1)]}, r"several columns of pictures \(image, img\)"),
        ({"label": [1]}, "no column `img` or `image` of pictures; it has label"),
    ],
)
def test_what_holds_no_pictures_is_one_line_that_names_the_column(
    columns: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path / "test.parquet", columns)
    for read in (lambda: Source(str(file), PAIR), lambda: load_images(str(tmp_path), "test")):
        with pytest.raises(DataError, match=words):
            read()


def test_a_path_in_a_row_is_never_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "private.png").write_bytes(flat(9))
    row = {"bytes": None, "path": str(tmp_path / "private.png")}
    file = write_table(tmp_path / "x.parquet", {"img": [*cells((1,)), row, *cells((2,))]})
    source = Source(str(file), PAIR)
    assert [(c.index, c.image[0, 0, 0]) for c in source.captures()] == [(0, 1), (2, 2)]
    assert source.unreadable == 1
    assert [record.__dict__["why"] for record in caplog.records] == [f"cannot read {file} row 1: it is empty"]


def test_rows_come_in_order_over_batches_row_groups_and_rounds(tmp_path: Path) -> None:
    file = write_table(tmp_path / "train.parquet", {"img": cells(range(100)), "label": [k % 2 for k in range(100)]},
                       row_group_size=7)  # fmt: skip
    seen = [int(c.image[0, 0, 0]) for c in Source(str(file), PAIR).captures(150)]
    assert seen == [*range(100), *range(50)]
    parts = {split: load_images(str(tmp_path), split).images[:, 0, 0, 0].tolist() for split in ("train", "validation")}
    assert sorted(parts["train"] + parts["validation"]) == list(range(100))
    held = [int(c.image[0, 0, 0]) for c in Source(f"dataset:{tmp_path}:validation", PAIR).captures()]
    assert held == parts["validation"]


def test_a_damaged_file_is_named_and_ends_in_one_line(tmp_path: Path) -> None:
    file = write_table(tmp_path / "test.parquet", {"img": cells(range(50)), "label": [0] * 50}, class_label(["a", "b"]))
    whole = file.read_bytes()
    for broken in (b"", b"PAR1", whole[:-9], whole[:50] + bytes(400) + whole[450:], whole[:-200] + bytes(200)):
        file.write_bytes(broken)
        with pytest.raises(DataError, match=r"test\.parquet") as caught:
            load_images(str(tmp_path), "test")
        assert "\n" not in str(caught.value)


def memory() -> tuple[int, int]:
    """Resident bytes now, and the peak since it was last reset."""
    said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(said[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be reset here")
def test_a_small_file_that_unpacks_to_gigabytes_costs_the_memory_of_a_row(tmp_path: Path) -> None:
    """One value of 2 MB stands for 1,100 rows: 2.2 GB, were they all held."""
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1100), pyarrow.array([bytes(2 << 20)]))
    file = write_table(tmp_path / "bomb.parquet", {"img": column}, compression="zstd", store_schema=False)
    assert file.stat().st_size < 1 << 20
    pyarrow.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")
    before, split = memory()[0], open_table(file)
    assert sum(len(picture) for _, picture in split.take(np.arange(64)).pictures()) == 64 * (2 << 20)
    assert memory()[1] - before < 400 << 20


def test_a_column_that_is_large_and_unpacks_a_hundredfold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "UNPACKED_BYTES", 1 << 20)
    file = write_table(tmp_path / "a.parquet", {"img": [bytes(1 << 20), flat(1)]}, compression="zstd")
    with pytest.raises(DataError, match=r"a\.parquet unpacks from [\d,]+ bytes to 1,0"):
        list(open_table(file).pictures())
    write_table(file, {"img": [random.Random(0).randbytes(1 << 20), flat(1)]}, compression="zstd")
    assert len(list(open_table(file).pictures())) == 2


def fuzz_tables(folder: Path, seed: int, count: int) -> None:
    """Mutated anywhere, most of all in the footer: rows, or DataError in one line."""
    rng = random.Random(seed)
    file = write_table(folder / "f.parquet", {"img": cells(range(40)), "label": [k % 6 for k in range(40)]},
                       class_label(NAMES), row_group_size=16)  # fmt: skip
    whole = file.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for _ in range(count):
        raw = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(footer, len(raw)) if rng.random() < 0.6 else rng.randrange(len(raw))
            raw[at] = rng.choice([0, 0xFF, raw[at] ^ (1 << rng.randrange(8))])
        file.write_bytes(raw)
        said = ""
        try:
            source = Source(str(file), PAIR)
            captures = list(source.captures(60))
            assert all(c.label is None or 0 <= c.label < len(PAIR.labels) for c in captures)
        except (DataError, ConfigError) as error:
            said = str(error)
        assert "\n" not in said


@pytest.mark.slow
def test_mutated_tables_are_rows_or_one_line(tmp_path: Path) -> None:
    logging.getLogger("sctx.capture.source").disabled = True
    try:
        fuzz_tables(tmp_path, seed=0, count=60)
    finally:
        logging.getLogger("sctx.capture.source").disabled = False


@pytest.mark.full
def test_mutated_tables_at_length(tmp_path: Path) -> None:
    for seed in range(1, 8):
        fuzz_tables(tmp_path, seed, 300)


def test_without_pyarrow_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = set_of(tmp_path / "test.parquet", NAMES)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for read in (lambda: Source(str(file), PAIR), lambda: open_split(str(tmp_path), "test")):
        with pytest.raises(ConfigError, match=r"Parquet needs pyarrow: install it by `pip install '\.\[parquet\]'`"):
            read()
