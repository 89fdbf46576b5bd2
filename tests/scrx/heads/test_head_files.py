"""A head is one file: what was enrolled is read again bit for bit, and anything else is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError, ModelError, SemlinkError
from scrx.heads import shelf as shelves
from scrx.heads.head import Example, Head, check_class_name, check_head_name, parse_head
from scrx.heads.packed import pack, unpack
from scrx.heads.shelf import Shelf
from scrx.heads.space import parse_space
from tests.scrx.heads.spaces import MUCH, WIDE, examples, head, pair, space

names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=8)


def same(one: Head, other: Head) -> bool:
    return one.about == other.about and bool(
        (one.embedding == other.embedding).all() and (one.bits == other.bits).all()
    )


@settings(max_examples=20)
@given(st.lists(st.tuples(names, st.just("") | names, st.integers(1, 3)), max_size=4, unique_by=lambda one: one[0]))
def test_a_head_is_read_as_it_was_written(classes: list[tuple[str, str, int]]) -> None:
    random, made = np.random.default_rng(0), Head.empty("h", pair(), WIDE)
    for name, group, count in classes:
        rows = [Example(f"{k:032x}", k * 2**60, random.random(), random.normal(size=WIDE)) for k in range(count)]
        made = made.with_class(name, group, rows)
    read = parse_head(made.packed(), "h", pair(), WIDE)
    assert same(read, made)
    assert read.sha256 == made.sha256
    for name, _, _ in classes:
        assert read.without(name).of(name) is None
        assert len(read.without(name).bits) == len(read.bits) - next(
            one.examples for one in read.classes if one.name == name
        )


def test_examples_that_are_added_lie_with_those_of_their_class() -> None:
    of, random = space(), np.random.default_rng(0)
    means = random.normal(size=(3, WIDE))
    made, more = head(of, means, 2, MUCH, random), examples(of, means[0], 3, MUCH, random)
    grown = made.with_class("c0", "", more)
    assert grown.counts.tolist() == [5, 2, 2]
    assert (grown.embedding[:5] == np.concatenate([made.embedding[:2], [one.embedding for one in more]])).all()
    assert same(grown.without("c0"), made.without("c0"))


WHOLE = head(space(), np.zeros((2, WIDE)), 2, MUCH, np.random.default_rng(0)).packed()


def changed(change: Callable[[dict[str, Any], dict[str, np.ndarray]], object]) -> bytes:
    document, tensors = unpack(WHOLE)
    change(document, tensors)
    return pack(document, tensors)


def first(document: dict[str, Any]) -> dict[str, Any]:
    return document["classes"][0]


BAD = {
    "empty": b"", "no file of ours": b"GIF89a" * 9, "cut": WHOLE[:-7], "of nothing": pack({}, {}),
    "another model": changed(lambda d, t: d.update(model="cd" * 32, pair="others")),
    "another format": changed(lambda d, t: d.update(format="semlink head 9")),
    "an unknown key": changed(lambda d, t: d.update(code="rm")),
    "a class twice": changed(lambda d, t: first(d).update(name="c1")),
    "no examples": changed(lambda d, t: first(d).update(examples=0)),
    "fewer than none": changed(lambda d, t: first(d).update(examples=-2)),
    "too many examples": changed(lambda d, t: first(d).update(examples=3)),
    "a name that moves the cursor": changed(lambda d, t: first(d).update(name="\x1b[2J")),
    "a name that is a number": changed(lambda d, t: first(d).update(name=7)),
    "no number": changed(lambda d, t: t["bits"].fill(np.nan)),
    "doubles": changed(lambda d, t: t.update(bits=t["bits"].astype(np.float64))),
    "another width": changed(lambda d, t: t.update(embedding=t["embedding"][:, :3])),
    "a tensor more": changed(lambda d, t: t.update(more=t["bits"])),
    "a tensor less": changed(lambda d, t: t.pop("bits")),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_head_of_this_pair_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "h.safetensors").write_bytes(BAD[kind])
    with pytest.raises(ModelError, match=r"h\.safetensors.*; move it out of the folder") as told:
        Shelf(pair(), space(), tmp_path, 0.05)
    assert "\n" not in str(told.value)
    assert "\x1b" not in str(told.value)
    if kind == "another model":
        assert "a head for pair others (cdcdcdcdcdcd" in str(told.value)
        assert "this receiver runs made (abababababab)" in str(told.value)
    (tmp_path / "h.safetensors").write_bytes(WHOLE)
    Shelf(pair(), space(), tmp_path, 0.05).close()


@settings(max_examples=60)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_and_never_anything_else(place: int, value: int) -> None:
    raw = bytearray(WHOLE)
    raw[place] = value
    try:
        read = parse_head(bytes(raw), "h", pair(), WIDE)
    except (ModelError, ConfigError):
        return
    assert len(read.bits) == sum(one.examples for one in read.classes)


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "a b", "ä", "x" * 65, "a\0"])
def test_a_head_has_a_name_that_is_safe_as_a_file(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a head"):
        check_head_name(name)


@pytest.mark.parametrize("name", ["", " ", "a ", " a", "a\nb", "\x1b[2J", "x" * 65])
def test_a_class_has_a_name_that_can_be_shown(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a class"):
        check_class_name(name)


def test_what_was_put_is_there_after_the_receiver_was_killed(tmp_path: Path) -> None:
    """The lock goes with the process; what a write has left half done is swept."""
    folder = tmp_path / "new" / "heads"
    first = Shelf(pair(), space(), folder, 0.05)
    made = head(space(), np.zeros((2, WIDE)), 2, MUCH, np.random.default_rng(0), "one")
    first.put(made)
    with pytest.raises(ConfigError, match="another receiver uses"):
        Shelf(pair(), space(), folder, 0.05)
    (folder / ".one.safetensors.77.tmp").write_bytes(b"half")
    first.close()  # all that a kill does
    again = Shelf(pair(), space(), folder, 0.05)
    kept = again.get("one")
    assert kept is not None
    assert same(kept, made)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "one.safetensors"]
    again.remove("one")
    assert [path.name for path in folder.iterdir()] == [".lock"]
    again.close()


def test_a_disk_that_is_full_loses_nothing_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Shelf(pair(), space(), tmp_path, 0.05)
    made = head(space(), np.zeros((2, WIDE)), 2, MUCH, np.random.default_rng(0), "one")
    kept.put(made)

    def full(path: Path, raw: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shelves, "write_atomic", full)
    with pytest.raises(SemlinkError, match="head 'one' was not kept: No space left on device"):
        kept.put(made.without("c0"))
    assert kept.get("one") is made
    assert parse_head((tmp_path / "one.safetensors").read_bytes(), "one", pair(), WIDE).counts.tolist() == [2, 2]
    kept.close()


def test_a_head_that_would_not_fit_into_a_message_is_refused() -> None:
    rows = [Example("00" * 16, k, 1.0, np.zeros(1024, np.float32)) for k in range(300)]
    with pytest.raises(ConfigError, match=r"head 'h' would have \d+ bytes, and \d+ are the most"):
        Head.empty("h", pair(), 1024).with_class("a", "", rows)


SPACE = space().packed()


def test_a_space_is_read_as_it_was_written() -> None:
    read = parse_space(SPACE)
    assert read.about == space().about
    assert (read.white == space().white).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda d, t: d.update(edges=[3.0, 2.0]), lambda d, t: d.update(counts=[]), lambda d, t: t.pop("mean"),
        lambda d, t: t["noise"].fill(0.0), lambda d, t: t.update(white=t["white"][:, :3]),
        lambda d, t: d.update(format="x"), lambda d, t: t["limits"].fill(np.inf),
    ],
)  # fmt: skip
def test_a_space_that_is_none_is_refused(change: Callable[[Any, Any], object]) -> None:
    document, tensors = unpack(SPACE)
    change(document, tensors)
    with pytest.raises(ModelError):
        parse_space(pack(json.loads(json.dumps(document)), tensors))


def test_a_check_of_the_folder_says_what_the_start_would_and_changes_nothing(tmp_path: Path) -> None:
    looking = Shelf(pair(), space(), None, 0.05)
    assert looking.check(tmp_path / "new" / "heads") == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="heads: /proc/nothing cannot be used: "):
        looking.check(Path("/proc/nothing"))
    running = Shelf(pair(), space(), tmp_path, 0.05)
    with pytest.raises(ConfigError, match="another receiver uses"):
        looking.check(tmp_path)
    running.close()
    (tmp_path / ".h.safetensors.77.tmp").write_bytes(b"half")
    (tmp_path / "h.safetensors").write_bytes(WHOLE)
    assert looking.check(tmp_path) == 1
    (tmp_path / "h.safetensors").write_bytes(b"no head")
    with pytest.raises(ModelError, match=r"h\.safetensors.*; move it out of the folder"):
        looking.check(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".h.safetensors.77.tmp", ".lock", "h.safetensors"]
    (tmp_path / "h.safetensors").unlink()
    Shelf(pair(), space(), tmp_path, 0.05).close()  # no lock is kept
