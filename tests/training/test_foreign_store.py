"""A store that somebody else made: whatever it says, one line or the store; nothing is written outside."""

import copy
import hashlib
import json
import os
import random
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from rich.console import Console
from safetensors.torch import load, save

from common.errors import StoreError
from common.images.imageset import ImageSet
from training import store as command
from training.knowledge.generate import generate, plan_for
from training.knowledge.shards import MANIFEST, Store, merge, open_store
from training.recipes.specs import ViewSpec
from training.teachers.identity import TeacherId

NAMES = tuple("abcdefghijkl")
PIXELS = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 1), np.uint8)
IMAGES = ImageSet("noise", PIXELS, np.arange(50) % 12, NAMES)
VIEW = ViewSpec(seed=1, shift=1)
HOSTILE: list[Any] = [
    None, True, False, -1, 0, 1, 7, 2**31, 2**63, 10**12, 10**100, 1.0, 0.5, -0.0, 1e308, "", "x", "../../out",
    "../.ssh/authorized_keys", "/tmp/outside", "C:\\outside", "\\\\host\\outside", "v0000/../../out", "a\0b",
    "v0001/s00000000-00000020.safetensors", ".", "0" * 64, "g" * 64, "\x1b[31m", "\u202e", "top3", "top999999999",
    "fp16",
    [], [1], ["a"] * 12, {}, {"a": 1}, [[[[]]]],
]  # fmt: skip


class Linear:
    """A teacher that is a linear map of the pixels."""

    id = TeacherId("linear", "0" * 64, "none", "fp32")

    def logits(self, images: NDArray[np.uint8]) -> torch.Tensor:
        weights = torch.randn(36, 12, generator=torch.Generator().manual_seed(0))
        return torch.from_numpy(images.reshape(len(images), -1)).float() / 64 @ weights


@pytest.fixture(scope="module", params=["int8", "top3"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    plan = plan_for(IMAGES, "train", Linear.id, VIEW, request.param, shard=20)
    folder = tmp_path_factory.mktemp("stores") / "part"
    made = generate(folder, plan, range(2), IMAGES, Linear(), Console(quiet=True))
    assert made is not None
    return made


@pytest.fixture
def part(sound: Store, tmp_path: Path) -> Path:
    """A copy, two folders deep, so that what leads out of it still lies in the test's own folder."""
    for path in sound.folder.rglob("*.*"):
        target = tmp_path / "deep" / "part" / path.relative_to(sound.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path / "deep" / "part"


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value, whole tables and lists included."""
    yield path
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with the value at `path` replaced, or taken away ("gone"), or there twice ("twice", in a list)."""
    document = copy.deepcopy(document)
    inside: Any = document
    for key in path[:-1]:
        inside = inside[key]
    if value == "gone":
        del inside[path[-1]]
    elif value == "twice" and isinstance(inside, list):
        inside.append(inside[path[-1]])
    else:
        inside[path[-1]] = value
    return document


def write(folder: Path, document: Any) -> None:
    (folder / MANIFEST).write_text(json.dumps(document))


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tried(part: Path, use: Callable[[Store], object]) -> str:
    """What a store that was opened and used was refused with; empty where it was not."""
    try:
        use(open_store(part))
    except StoreError as error:
        return str(error)
    return ""


def use_all(store: Store) -> None:
    list(store.verify())
    store.payload_bytes()
    store.check_data(IMAGES, VIEW)
    for view in store.present:
        store.logits(view, IMAGES)


def fuzz(sound: Store, part: Path, tmp_path: Path, cases: int) -> None:
    """Try that many changes; time is bounded, and what a case leaves behind is looked at."""
    document = json.loads((sound.folder / MANIFEST).read_text())
    every = [(path, value) for path in list(places(document))[1:] for value in (*HOSTILE, "gone", "twice")]
    random.Random(1).shuffle(every)
    want = [sound.logits(view, IMAGES) for view in sound.present]
    before, refused = everything(tmp_path), 0
    began = time.process_time()
    for what in every[:cases]:
        write(part, changed(document, *what))
        if told := tried(part, use_all):
            refused += 1
            assert told.count(str(part)) == 1, (what, told)
            assert "\n" not in told
        else:  # a name or a digest that nothing here can check; the answers are the same
            found = open_store(part)
            assert all(torch.equal(found.logits(view, IMAGES), want[view]) for view in found.present), what
            same = replace(found.plan, dataset="noise", split="train", teacher=sound.plan.teacher)
            assert same == sound.plan, what
        tried(part, lambda store: merge(tmp_path / "into", [store]))
    assert time.process_time() - began < 0.05 * cases
    assert refused > 0.8 * min(cases, len(every))
    after = everything(tmp_path)
    strangers = {path for path in after.keys() - before.keys() if not path.is_relative_to(tmp_path / "into")}
    assert not strangers
    assert all(after[path] == raw for path, raw in before.items() if path.name != MANIFEST)


def test_a_manifest_with_any_value_changed_is_one_line_or_the_same_store(
    sound: Store, part: Path, tmp_path: Path
) -> None:
    fuzz(sound, part, tmp_path, 150)


@pytest.mark.full
def test_a_manifest_with_every_value_changed_is_one_line_or_the_same_store(
    sound: Store, part: Path, tmp_path: Path
) -> None:
    tracemalloc.start()
    fuzz(sound, part, tmp_path, 10_000)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def outside(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["shards"][0].update(file=name)


@pytest.mark.parametrize(
    "name",
    ["../.ssh/authorized_keys", "/tmp/x", "v0000/../../x", "x", "v0000/./s00000000-00000020.safetensors",
     "v0000//s00000000-00000020.safetensors", "V0000/s00000000-00000020.safetensors",
     "v0001/s00000000-00000020.safetensors", "v0000/s00000000-00000020.safetensors\0",
     "v0000\\s00000000-00000020.safetensors", "v0000/s00000000-00000020.safetensors/"],
)  # fmt: skip
def test_a_shard_has_the_name_that_the_store_gives_it_or_is_refused(name: str, part: Path, tmp_path: Path) -> None:
    document = json.loads((part / MANIFEST).read_text())
    document["shards"][0]["file"] = name
    write(part, document)
    for words in (["merge", str(tmp_path / "into"), str(part)], ["info", str(part)], ["verify", str(part)]):
        result = CliRunner().invoke(command.main, words, obj={})
        assert isinstance(result.exception, StoreError), result.output
        assert "is not the name that a store gives it" in str(result.exception)
    assert not (tmp_path / "into").exists()


TEXTS = {
    "deep": '{"schema":2,"plan":' + '{"a":' * 200_000 + "1" + "}" * 200_001 + "}",
    "deep list": "[" * 500_000,
    "long number": '{"schema":' + "9" * 100_000 + "}",
    "NaN": '{"schema":NaN}',
    "infinite": '{"schema":1e999}',
    "not UTF-8": '{"schema":"\udcff"}',
    "empty": "",
    "a pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 346293852\n",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_manifest_that_is_none_is_one_line(text: str, part: Path) -> None:
    (part / MANIFEST).write_bytes(TEXTS[text].encode(errors="surrogateescape"))
    assert str(part) in tried(part, use_all)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", [MANIFEST, "v0000/s00000000-00000020.safetensors"])
@pytest.mark.parametrize("kind", ["fifo", "link out", "link to itself", "folder", "link within"])
def test_what_is_no_file_of_the_store_is_refused(name: str, kind: str, part: Path, tmp_path: Path) -> None:
    path, raw = part / name, (part / name).read_bytes()
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to(path)
    else:  # stores are kept so by git-annex and DVC, inside their own folder
        kept = (part if kind == "link within" else tmp_path) / "kept"
        kept.write_bytes(raw)
        path.symlink_to(kept)
    fits = kind == "link within" or (kind == "link out" and name == MANIFEST)
    assert bool(tried(part, use_all)) != fits
    if not fits:
        tried(part, lambda store: merge(tmp_path / "into", [store]))
        assert not (tmp_path / "into" / MANIFEST).exists()


def test_a_link_in_the_store_that_is_merged_into_is_not_followed_out(part: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "v0000").symlink_to(tmp_path / "outside")
    assert "leads out" in tried(part, lambda store: merge(tmp_path / "into", [store]))
    assert not list((tmp_path / "outside").iterdir())


def test_two_parts_that_disagree_about_a_shard_are_not_mixed(sound: Store, part: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    assert merge(into, [open_store(part), sound]).present == (0, 1)
    other = tmp_path / "other"
    plan = sound.plan
    teacher = Linear()
    teacher.logits = lambda images: -Linear().logits(images)  # type: ignore[method-assign]
    made = generate(other, plan, range(2), IMAGES, teacher, Console(quiet=True))
    assert made is not None
    with pytest.raises(StoreError, match="differs from"):
        merge(tmp_path / "mixed", [sound, made])


def mended(part: Path, raw: bytes) -> None:
    """Put `raw` in the place of the first shard and make the manifest agree."""
    document = json.loads((part / MANIFEST).read_text())
    first = document["shards"][0]
    (part / first["file"]).write_bytes(raw)
    first.update(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    write(part, document)


def hostile_shards(raw: bytes) -> Iterator[bytes]:
    """Shards whose header or tensors are not what the plan says; some end early."""
    tensors = load(raw)
    for name, tensor in tensors.items():
        others = {key: value for key, value in tensors.items() if key != name}
        yield save(others) if others else b""
        yield save({**others, f"{name}2": tensor})
        yield save({**tensors, "more": torch.zeros(1)})
        shapes = (tensor[:-1], tensor[:, :0], tensor[0], tensor[..., None])
        for other in (*shapes, tensor.double(), tensor.to(torch.int64)):
            yield save({**others, name: other.contiguous()})
        if tensor.is_floating_point():
            for value in (float("nan"), float("inf"), float("-inf")):
                yield save({**others, name: torch.full_like(tensor, value)})
        if name == "index":
            yield save({**others, name: torch.full_like(tensor, 12)})
            yield save({**others, name: torch.full_like(tensor, 255)})
    size = struct.unpack("<Q", raw[:8])[0]
    header, payload = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    for claim in (0, size - 1, size + 1, 2**31, 2**40, 2**63, 2**64 - 1):
        yield struct.pack("<Q", claim) + raw[8:]
    for name in tensors:
        for key, value in (
            ("shape", [10**9, 10**9]), ("shape", [-1, 2]), ("shape", "x"), ("dtype", "F99"), ("dtype", 1),
            ("data_offsets", [0, 2**60]), ("data_offsets", [5, 1]), ("data_offsets", None),
        ):  # fmt: skip
            text = json.dumps({**header, name: {**header[name], key: value}}).encode()
            yield struct.pack("<Q", len(text)) + text + payload
    for keep in (0, 4, 8, 40, len(raw) // 2, len(raw) - 1):
        yield raw[:keep]


def test_a_shard_that_is_not_what_the_plan_says_is_one_line_though_its_hash_fits(sound: Store, part: Path) -> None:
    raw = sound.path(sound.shards[0]).read_bytes()
    mended(part, raw)
    assert tried(part, use_all) == ""
    count = 0
    for hostile in hostile_shards(raw):
        mended(part, hostile)
        assert "damaged" in tried(part, lambda store: store.logits(0))
        count += 1
    assert count > 40


def test_written_in_another_way_it_is_the_same_store(sound: Store, part: Path) -> None:
    document = json.loads((part / MANIFEST).read_text())
    (part / MANIFEST).write_text(json.dumps(dict(reversed(document.items())), indent=7))
    assert open_store(part).plan == sound.plan
    assert tried(part, use_all) == ""


def test_a_store_of_the_time_before_class_names_is_read_only_where_somebody_says_by_position(part: Path) -> None:
    document = json.loads((part / MANIFEST).read_text())
    del document["plan"]["names"]
    document["schema"] = 1
    write(part, document)
    old = open_store(part)
    assert old.plan.names == ()
    with pytest.raises(StoreError, match=r"before stores held class names.*--by-position"):
        old.check_data(IMAGES, VIEW)
    old.check_data(IMAGES, VIEW, by_position=True)
    assert old.logits(1, IMAGES).shape == (50, 12)


def test_a_store_is_not_read_against_classes_in_another_order(sound: Store) -> None:
    turned = ImageSet(IMAGES.name, IMAGES.images, 11 - IMAGES.labels, NAMES[::-1])
    for by_position in (False, True):
        with pytest.raises(StoreError, match="class names"):
            sound.check_data(turned, VIEW, by_position)
