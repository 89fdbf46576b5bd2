"""The knowledge store: resumable, and refused by name on every mismatch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from rich.console import Console
from safetensors.torch import load, save
from torch import Tensor

from common.errors import StoreError
from common.images.datasets import load_images
from common.images.imageset import ImageSet
from training.knowledge.generate import agreement, generate, plan_for
from training.knowledge.plan import Plan
from training.knowledge.shards import MANIFEST, Store, finished, open_store
from training.recipes.specs import ViewSpec
from training.store import main
from training.teachers.identity import TeacherId

VIEW = ViewSpec(seed=1, shift=1)
TEACHER = TeacherId("fixed", "0" * 64, "none", "fp32")
QUIET = Console(quiet=True)


class FixedTeacher:
    """A linear map of the pixels; counts the images it has seen and can be killed after some."""

    def __init__(self, seed: int = 0, limit: int | None = None) -> None:
        self.id = TEACHER
        self.seen = 0
        self._limit = limit
        self._weights = torch.randn(64, 10, generator=torch.Generator().manual_seed(seed))

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        self.seen += len(images)
        if self._limit is not None and self.seen > self._limit:
            raise KeyboardInterrupt
        return torch.from_numpy(images.reshape(len(images), -1)).float() / 64 @ self._weights


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return load_images("digits", "train").take(np.arange(200))


@pytest.fixture(scope="module")
def plan(images: ImageSet) -> Plan:
    return plan_for(images, "train", TEACHER, VIEW, "int8", shard=64)


@pytest.fixture
def store(tmp_path: Path, plan: Plan, images: ImageSet) -> Store:
    made = generate(tmp_path / "store", plan, range(3), images, FixedTeacher(), QUIET)
    assert made is not None
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_read_is_what_the_teacher_said(store: Store, images: ImageSet) -> None:
    assert (store.views, len(store.shards)) == (3, 12)
    for view in range(3):
        assert store.logits(view, images).shape == (200, 10)
    loss, same = agreement(store, images, FixedTeacher(), 64, view=2)
    assert loss < 1e-4
    assert same == 1.0
    assert agreement(store, images, FixedTeacher(seed=1), 64)[1] < 0.5
    assert store.payload_bytes() == 12


def test_an_own_answer_agrees_where_two_classes_are_nearer_than_a_level(
    tmp_path: Path, plan: Plan, images: ImageSet
) -> None:
    teacher = FixedTeacher()
    teacher._weights[:, 9] = teacher._weights[:, 0] + 1e-3 * torch.randn(64, generator=torch.Generator().manual_seed(2))
    made = generate(tmp_path / "near", plan, range(1), images, teacher, QUIET)
    assert made is not None
    assert agreement(made, images, teacher, 200)[1] == 1.0


def test_opening_gives_what_sealing_returned(store: Store) -> None:
    assert open_store(store.folder) == store


def test_a_killed_generation_goes_on_and_ends_bit_for_bit_the_same(
    tmp_path: Path, store: Store, plan: Plan, images: ImageSet
) -> None:
    folder = tmp_path / "killed"
    total = 0
    for limit in (70, 150, 64, 250):
        teacher = FixedTeacher(limit=limit)
        with pytest.raises(KeyboardInterrupt):
            generate(folder, plan, range(3), images, teacher, QUIET)
        assert not (folder / MANIFEST).exists()
        (folder / "v0000").mkdir(parents=True, exist_ok=True)
        (folder / "v0000" / ".left.tmp").write_bytes(b"half a shard")
    teacher = FixedTeacher()
    generate(folder, plan, range(3), images, teacher, QUIET)
    total += teacher.seen
    assert total < 600
    assert files(folder) == files(store.folder)


def test_a_damaged_shard_is_made_again_before_sealing(store: Store, plan: Plan, images: ImageSet) -> None:
    before = files(store.folder)
    path = store.folder / store.shards[4].file
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 4
    path.write_bytes(raw)
    assert not finished(store.folder, plan, 1, 0, 64)
    teacher = FixedTeacher()
    generate(store.folder, plan, range(3), images, teacher, QUIET)
    assert teacher.seen == 64
    assert files(store.folder) == before


def test_more_views_are_added_to_what_is_there(store: Store, plan: Plan, images: ImageSet) -> None:
    teacher = FixedTeacher()
    more = generate(store.folder, plan, range(5), images, teacher, QUIET)
    assert more is not None
    assert (more.views, teacher.seen) == (5, 400)


def test_a_flipped_bit_is_refused(store: Store) -> None:
    path = store.folder / store.shards[0].file
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="SHA-256"):
        store.logits(0)
    store.logits(1)
    with pytest.raises(StoreError, match="SHA-256"):
        list(store.verify())


@pytest.mark.parametrize("command", ["info", "card"])
def test_what_a_store_is_said_to_hold_is_there(store: Store, command: str) -> None:
    said = CliRunner().invoke(main, [command, str(store.folder)])
    assert (said.exit_code, "verify" in said.stderr) == (0, True)
    path = store.folder / store.shards[-1].file
    path.write_bytes(path.read_bytes()[:100])
    ran = CliRunner().invoke(main, [command, str(store.folder)])
    assert isinstance(ran.exception, StoreError)
    assert f"{path} is damaged (100 bytes, not " in str(ran.exception)
    path.unlink()
    assert "no file of this store" in str(CliRunner().invoke(main, [command, str(store.folder)]).exception)


def test_a_missing_shard_is_refused(store: Store) -> None:
    (store.folder / store.shards[-1].file).unlink()
    with pytest.raises(StoreError, match="cannot read"):
        store.logits(2)


def test_without_a_manifest_there_is_no_store(store: Store) -> None:
    (store.folder / MANIFEST).unlink()
    with pytest.raises(StoreError, match="no complete store"):
        open_store(store.folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema": 1, "plan": {}}'])
def test_a_damaged_manifest_is_one_line(store: Store, text: str) -> None:
    (store.folder / MANIFEST).write_text(text)
    with pytest.raises(StoreError, match="damaged") as caught:
        open_store(store.folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"dataset": "letters"}, "dataset"),
        ({"data_sha256": "0"}, "data_sha256"),
        ({"teacher": replace(TEACHER, name="other")}, "teacher.name"),
        ({"teacher": replace(TEACHER, sha256="1" * 64)}, "teacher.sha256"),
        ({"teacher": replace(TEACHER, preprocess="224")}, "teacher.preprocess"),
        ({"teacher": replace(TEACHER, dtype="bf16")}, "teacher.dtype"),
        ({"view": replace(VIEW, shift=2)}, "view.shift"),
        ({"view": replace(VIEW, seed=9)}, "view.seed"),
        ({"view_version": 0}, "view_version"),
        ({"encoding": "top3"}, "encoding"),
        ({"classes": 11}, "classes"),
        ({"shard": 100}, "shard"),
    ],
)
def test_another_plan_is_refused_by_name(
    store: Store, plan: Plan, images: ImageSet, change: dict[str, object], name: str
) -> None:
    with pytest.raises(StoreError, match=rf"was made for {name} = "):
        generate(store.folder, replace(plan, **change), range(3), images, FixedTeacher(), QUIET)


def test_shards_of_another_plan_are_refused_even_without_a_manifest(store: Store, plan: Plan, images: ImageSet) -> None:
    (store.folder / MANIFEST).unlink()
    with pytest.raises(StoreError, match="another plan"):
        generate(store.folder, replace(plan, encoding="top3"), range(3), images, FixedTeacher(), QUIET)


def test_training_data_that_differs_is_refused_by_name(store: Store, images: ImageSet) -> None:
    store.check_data(images, VIEW)
    pixels = images.images.copy()
    pixels[7] ^= 1
    changed = ImageSet(images.name, pixels, images.labels, images.classes)
    with pytest.raises(StoreError, match="fingerprint"):
        store.check_data(changed, VIEW)
    with pytest.raises(StoreError, match="samples"):
        store.check_data(images.take(np.arange(100)), VIEW)
    with pytest.raises(StoreError, match="views"):
        store.check_data(images, replace(VIEW, shift=3))
    with pytest.raises(StoreError, match="other pixels"):
        store.logits(0, changed)


def test_the_ids_by_which_a_teacher_was_asked_are_those_of_the_data(
    plan: Plan, images: ImageSet, tmp_path: Path
) -> None:
    """`classes.json` put right: pixels, labels and names are the same, and the columns are others."""
    ids = tuple(f"n{k:08d}" for k in range(10))
    named, swapped = replace(images, ids=ids), replace(images, ids=(*ids[1::-1], *ids[2:]))
    wrong = replace(plan, ids=swapped.ids)
    assert (wrong.id, wrong.schema) == (plan.id, 4)
    assert plan_for(named, "train", TEACHER, VIEW, "int8", shard=64) == replace(plan, ids=ids) != wrong
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "part", wrong, range(1), named, FixedTeacher(limit=100), QUIET)
    with pytest.raises(StoreError, match="another plan"):
        generate(tmp_path / "part", replace(plan, ids=ids), range(1), named, FixedTeacher(), QUIET)
    assert generate(tmp_path / "store", wrong, range(1), named, FixedTeacher(), QUIET) is not None
    store = open_store(tmp_path / "store")
    assert store.plan == wrong
    store.check_data(swapped, VIEW)
    for by_position in (False, True):
        with pytest.raises(StoreError, match="made for WordNet ids"):
            store.check_data(named, VIEW, by_position)
    with pytest.raises(StoreError, match="made for WordNet ids"):
        store.check_data(images, VIEW)
    store.check_data(images, VIEW, by_position=True)  # classes.json stayed where the store was made
    for mine in (plan, replace(plan, ids=ids)):
        with pytest.raises(StoreError, match="was made for ids"):
            mine.refuse(store.plan, store.folder)


def test_a_store_of_before_ids_is_read_against_data_with_ids_only_where_somebody_says_so(
    store: Store, plan: Plan, images: ImageSet
) -> None:
    assert store.plan.schema == 2
    named = replace(images, ids=tuple(f"n{k:08d}" for k in range(10)))
    store.check_data(images, VIEW)
    store.check_data(named, VIEW, by_position=True)
    with pytest.raises(StoreError, match=r"does not hold the WordNet ids.*--by-position"):
        store.check_data(named, VIEW)
    with pytest.raises(StoreError, match=r"does not hold the WordNet ids.*--by-position"):
        replace(plan, ids=named.ids).refuse(store.plan, store.folder)


def test_a_shard_whose_hash_was_mended_still_shows_other_pixels(store: Store, images: ImageSet) -> None:
    """Someone who rewrites shard and manifest cannot make views that the teacher never saw pass."""
    document = json.loads((store.folder / MANIFEST).read_text())
    document["shards"][0]["view_sha256"] = "f" * 64
    (store.folder / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(StoreError, match="other pixels"):
        open_store(store.folder).logits(0, images)


def test_shards_are_plain_safetensors(store: Store) -> None:
    tensors = load((store.folder / store.shards[0].file).read_bytes())
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {"level": torch.uint8, "step": torch.float16}
    assert save(tensors)


def test_a_setting_of_the_image_processor_that_differs_is_named(store: Store, plan: Plan, tmp_path: Path) -> None:
    here, there = ('{"processor": {"size": %d, "do_resize": true}}' % side for side in (32, 224))  # noqa: UP031
    ours, theirs = (replace(plan, teacher=replace(TEACHER, preprocess=text)) for text in (here, there))
    with pytest.raises(StoreError, match=r"was made for teacher\.preprocess\.processor\.size = 224, not 32"):
        ours.refuse(theirs, tmp_path)
