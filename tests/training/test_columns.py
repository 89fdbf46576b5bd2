"""Classes of a teacher and classes of the data meet by name, or not at all."""

import itertools

import numpy as np
import pytest

from common.errors import ConfigError, ModelError
from training.teachers.columns import match, names_of

ANIMALS = ("tench", "great white shark", "hen", "Indian cobra")
WRITTEN = [
    lambda name: name,
    str.upper,
    lambda name: name.replace(" ", "_"),
    lambda name: f"  {name.replace(' ', '-').title()} ",
    lambda name: f"{name}, Latina {name[::-1]}",
    lambda name: f"one more word,{name.replace(' ', '  ')}" if name == "hen" else name,
]


@pytest.mark.parametrize("written", range(len(WRITTEN)))
@pytest.mark.parametrize("more", [0, 3])
def test_any_order_and_any_spelling_of_the_same_names_is_put_in_order(written: int, more: int) -> None:
    strangers = tuple(f"stranger {k}" for k in range(more))
    for order in itertools.permutations(range(4)):
        teacher = (*strangers, *(WRITTEN[written](ANIMALS[k]) for k in order))
        columns = match(teacher, ANIMALS, "teacher 'x'")
        assert [teacher[column] for column in columns.order] == [WRITTEN[written](one) for one in ANIMALS]
        assert columns.how == "by name"
        assert bool(columns.told) == (teacher != ANIMALS)
        assert "\n" not in columns.told


def test_a_thousand_classes_are_put_in_order() -> None:
    classes = [f"class {k}" for k in range(1000)]
    order = np.random.default_rng(0).permutation(1000)
    found = match([classes[k] for k in order], classes, "x").order
    assert [order[column] for column in found] == list(range(1000))


@pytest.mark.parametrize(
    ("teacher", "classes", "reason"),
    [
        (("cat", "dog"), ("cat", "emu"), "does not know these classes of the data: emu"),
        (("cat", "dog"), ("0", "1"), "does not know"),
        (("0", "1"), ("cat", "dog"), "does not know"),
        (("LABEL_1", "LABEL_0"), ("cat", "dog"), "does not know"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), ("cat", "dog"), "3 classes and the data set 2"),
        (("cat",), ("cat", "dog"), "does not know these classes of the data: dog"),
        (("tench, Tinca tinca", "hen"), ("n01440764", "n01514668"), "WordNet"),
        (("crane, bird", "crane, machine"), ("crane", "crane, machine"), "several classes that may be 'crane'"),
        (("crane", "crane", "hen"), ("crane", "hen"), "several classes that may be 'crane'"),
        (("big cat", "dog"), ("big cat", "big_cat"), "are both 'big cat'"),
        (("cat", "dog"), ("cat", "cat"), "are both 'cat'"),
    ],
)
def test_names_that_leave_a_doubt_are_refused(teacher: tuple[str, ...], classes: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        match(teacher, classes, "teacher 'x'")
    assert "\n" not in str(caught.value)


def test_position_counts_only_where_somebody_says_so_or_there_are_no_names() -> None:
    by_position = match(("cat", "dog"), ("dog", "cat"), "x", by_position=True)
    assert (by_position.order, by_position.how) == ((0, 1), "by position")
    assert "as asked" in by_position.told
    nameless = match(("LABEL_0", "LABEL_1"), ("dog", "cat"), "x")
    assert (nameless.order, nameless.how) == ((0, 1), "by position")
    assert "no names" in nameless.told
    with pytest.raises(ConfigError, match="3 classes and the data set 2"):
        match(("a", "b", "c"), ("a", "b"), "x", by_position=True)
    assert match(("crane", "crane"), ("crane", "crane"), "x").order == (0, 1)


@pytest.mark.parametrize(
    ("id2label", "label2id", "reason"),
    [
        ({0: "a", 2: "b"}, {}, "must number its classes 0 to 1"),
        ({1: "a", 2: "b"}, {}, "must number"),
        ({0: "a", 1: None}, {}, "gives class 1 no name"),
        ({0: "a", 1: ""}, {}, "gives class 1 no name"),
        ({0: "a", 1: ["b"]}, {}, "gives class 1 no name"),
        ({0: "a", 1: "b"}, {"a": 1, "b": 0}, "do not agree about 'a'"),
        ({0: "a", 1: "b"}, {"a": 0, "b": 2}, "do not agree about 'b'"),
        ({0: "a", 1: "b"}, {"a": "01", "b": "00"}, "do not agree about 'a'"),
        ({0: "a", 1: "b"}, {"a": 1.0, "b": 0.0}, "do not agree about 'a'"),
        ({0: "a", 1: "b"}, {"a": None, "b": 1}, "do not agree about 'a'"),
    ],
)
def test_a_configuration_whose_names_leave_a_doubt_is_refused(id2label: dict, label2id: dict, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        names_of(id2label, label2id, "x")


def test_names_of_a_configuration_are_in_the_order_of_its_columns() -> None:
    assert names_of({1: "b", 0: "a", 2: 7}, {"a": 0, "b": "1", "7": 2}, "x") == ("a", "b", "7")
    assert names_of({0: "a", 1: "b"}, {"LABEL_0": 0, "LABEL_1": 1}, "x") == ("a", "b")
    bare = {0: "LABEL_0", 1: "LABEL_1"}
    assert names_of(bare, {"a": "1", "b": 0}, "x") == ("b", "a")  # as config.label2id = ... leaves it
    for doubtful in ({"a": 0}, {"a": 0, "b": 0}, {"a": 0, "b": 1, "alias": 1}, {"0": "a", "1": "b"}):
        assert names_of(bare, doubtful, "x") == ("LABEL_0", "LABEL_1")
    base = {name: number for number, name in enumerate(("x", "b", "y", "a", "z"))}  # of a head that was exchanged
    for left in (
        base,
        {"b": 0},
        {"old": 0, "older": 1},
        {"a": 0, "alias": 0, "b": 1},
        {"A": 0, "B": 1},
        {"0": 0, "1": 1},
    ):
        assert names_of({0: "a", 1: "b"}, left, "x") == ("a", "b")  # of a base model, say: the weights go by id2label
    assert names_of({0: "crane", 1: "hen", 2: "crane"}, {"hen": 1, "crane": 2}, "x") == ("crane", "hen", "crane")


def test_numbers_that_are_sorted_as_text_are_no_order_of_columns() -> None:
    nameless, folders = tuple(f"LABEL_{k}" for k in range(12)), tuple(sorted(map(str, range(12))))
    with pytest.raises(ConfigError, match=r"numbers sorted as text \(0, 1, 10, 11, 2 ... \(12 in all\)\)"):
        match(nameless, folders, "x")
    assert "LABEL_2 is 10" in match(nameless, folders, "x", by_position=True).told
    assert "LABEL_2 is 2" in match(nameless, tuple(map(str, range(12))), "x").told
    assert match(tuple(map(str, range(12))), folders, "x").order == (0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)
