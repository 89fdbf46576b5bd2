"""Embeddings in the store: few bytes, the same guarantees as for answers, and a student that learns from them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from common.errors import ConfigError, ModelError, StoreError
from common.images.imageset import ImageSet
from training.knowledge.embedding import (
    STEPS,
    Projection,
    allot,
    cosine_error,
    fit_projection,
    losses,
    projection_from,
)
from training.knowledge.generate import generate, plan_for, projected
from training.knowledge.shards import MANIFEST, PROJECTION, Store, merge, open_store, projection_notes
from training.recipes.specs import ViewSpec
from training.student.losses import unexplained
from training.teachers.identity import TeacherId

QUIET = Console(quiet=True)
VIEW = ViewSpec(shift=1, flip=True)
RNG = np.random.default_rng(0)
IMAGES = ImageSet("noise", RNG.integers(0, 256, (60, 8, 8, 3), np.uint8), RNG.integers(0, 4, 60), tuple("abcd"))


class Linear:
    """A teacher whose embedding is linear in the pixels and whose answers are linear in the embedding."""

    id = TeacherId("linear", "5" * 64, "{}", "fp32")

    def __init__(self, width: int = 24) -> None:
        random = torch.Generator().manual_seed(3)
        self._into = torch.randn(192, width, generator=random) / torch.arange(1, width + 1)
        self._out = torch.randn(width, 4, generator=random)
        self.asked = 0

    def answers(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        self.asked += len(images)
        embedding = (torch.from_numpy(images).flatten(1).float() / 64 - 2) @ self._into + 3.0
        return embedding @ self._out, embedding

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        return self.answers(images)[0]


def correlated(rows: int, width: int = 200, seed: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    turned = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(2))).Q
    return torch.randn(rows, width, generator=random) / torch.arange(1, width + 1) @ turned + 1.5


def made(folder: Path, size: int = 6, shard: int = 25, which: range = range(2), teacher: Linear | None = None) -> Store:
    teacher = teacher or Linear()
    kept = projected(folder, IMAGES, teacher, size)
    plan = plan_for(IMAGES, "train", teacher.id, VIEW, "int8", shard, kept)
    store = generate(folder, plan, which, IMAGES, teacher, QUIET)
    assert store is not None
    return store


def test_steps_are_those_that_are_best_for_a_gaussian() -> None:
    x = np.linspace(-8, 8, 400_001)
    density = np.exp(-(x**2) / 2)

    def error(bits: int, step: float) -> float:
        levels = 1 << bits
        kept = (np.clip(np.floor(x / step + levels / 2), 0, levels - 1) + 0.5 - levels / 2) * step
        return float(((x - kept) ** 2 * density).sum() / density.sum())

    for bits, step in enumerate(STEPS, 1):
        assert error(bits, step) <= min(error(bits, 0.985 * step), error(bits, 1.015 * step))


def test_bits_go_where_they_take_most_off() -> None:
    assert allot(np.array([16.0, 4.0, 1.0, 0.01]), 6).tolist() == [3, 2, 1, 0]
    assert allot(np.array([1.0, 1.0]), 100).tolist() == [8, 8]
    variance = RNG.exponential(size=50)
    bits = allot(np.sort(variance)[::-1], 77)
    assert bits.sum() == 77
    assert (np.diff(bits.astype(int)) <= 0).all()


@pytest.mark.parametrize("size", [1, 7, 16, 64])
def test_what_comes_back_is_near_and_takes_the_bytes_that_were_asked_for(size: int) -> None:
    projection = fit_projection(correlated(5000), size)
    fresh = correlated(300, seed=9)
    packed = projection.encode(fresh)
    assert packed.shape == (300, size)
    assert packed.dtype == torch.uint8
    back = projection.decode(packed)
    exact = projection.project(fresh)
    distortion = (((back - exact) ** 2).mean(0) / exact.var(0)).numpy()
    wanted = (0.3634, 0.1188, 0.03744, 0.01154, 0.003495, 0.00104, 0.0003, 0.00009)  # Max 1960, table II
    for bits in np.unique(projection.bits):
        assert distortion[projection.bits == bits].mean() < 1.35 * wanted[bits - 1], bits
    error = cosine_error(fresh, projection.restore(back)).mean()
    assert error < {1: 0.6, 7: 0.2, 16: 0.1, 64: 0.03}[size]
    lost = losses(projection, fresh)
    assert lost["in all"] == pytest.approx(float(error))
    assert 0 < lost["by rounding"] < lost["in all"] + 1e-3
    again = projection_from(projection.to_bytes())
    assert torch.equal(again.decode(again.encode(fresh)), back)


def test_more_bytes_are_nearer_and_a_batch_of_one_is_a_batch_of_many() -> None:
    fresh = correlated(50, seed=4)
    errors = []
    for size in (4, 8, 16, 32, 64):
        projection = fit_projection(correlated(400), size)
        packed = projection.encode(fresh)
        errors.append(float(cosine_error(fresh, projection.restore(projection.decode(packed))).mean()))
        assert torch.equal(torch.cat([projection.encode(row[None]) for row in fresh]), packed)
    assert errors == sorted(errors, reverse=True)


def test_what_cannot_be_an_embedding_or_a_projection_is_refused() -> None:
    with pytest.raises(ValueError, match="all images have the same embedding"):
        fit_projection(torch.ones(5, 3), 4)
    for size in (0, 5000):
        with pytest.raises(ValueError, match="1 to 4096 bytes"):
            fit_projection(correlated(5), size)
    sound = fit_projection(correlated(50, 8), 4)
    for field, wrong in (("bits", sound.bits + 8), ("deviation", -sound.deviation), ("mean", sound.mean * np.nan),
                         ("basis", sound.basis[:, :-1]), ("bits", sound.bits.astype(np.int32))):  # fmt: skip
        parts = {name: getattr(sound, name) for name in ("mean", "basis", "deviation", "bits")}
        with pytest.raises(ValueError, match=r"is|has|finite|bits|projection"):
            Projection(**{**parts, field: np.asarray(wrong)})


def test_one_generation_serves_answers_and_embeddings(tmp_path: Path) -> None:
    teacher = Linear()
    store = made(tmp_path / "store", teacher=teacher)
    assert teacher.asked == 3 * len(IMAGES)  # once to fit the projection, once for each of two views
    assert json.loads((store.folder / MANIFEST).read_text())["schema"] == 3
    assert store.payload_bytes() == 4 + 2 + 6
    view = store.view(1, IMAGES)
    index = np.array([59, 0, 25, 24, 7])
    assert torch.equal(view.logits(index), store.logits(1)[index])
    assert view.projection is not None
    assert view.embedding(index).shape == (5, view.projection.dims)
    notes = projection_notes(store.folder)
    assert 0 < float(notes["lost by rounding"]) < float(notes["lost in all"]) < 1
    for _ in store.verify(IMAGES):
        pass


def test_a_store_goes_on_where_it_was_and_is_the_same_bytes(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    part = made(tmp_path / "part", which=range(1))
    (part.folder / MANIFEST).unlink()
    (part.folder / part.shards[1].file).write_bytes(b"cut short")
    again = made(tmp_path / "part")
    assert again.plan == whole.plan
    assert [one.sha256 for one in again.shards] == [one.sha256 for one in whole.shards]


def test_another_projection_is_refused_and_another_teachers_is_made_again(tmp_path: Path) -> None:
    store = made(tmp_path / "store")
    raw = (store.folder / PROJECTION).read_bytes()
    (store.folder / PROJECTION).write_bytes(fit_projection(Linear().answers(IMAGES.images)[1] * 2, 6).to_bytes())
    for use in (lambda: store.view(0), lambda: list(store.verify())):
        with pytest.raises(StoreError, match="not the one that the store was made with"):
            use()
    (store.folder / PROJECTION).unlink()
    with pytest.raises(StoreError, match="cannot read"):
        store.view(0)
    assert made(tmp_path / "store").plan == store.plan  # it is fitted again, and is the same
    assert (store.folder / PROJECTION).read_bytes() == raw


def test_a_projection_is_of_its_teacher_with_all_that_it_does_to_pixels(tmp_path: Path) -> None:
    """Killed before the first shard; and of a complete store nothing is replaced, whoever asks."""

    class Otherwise(Linear):
        id = replace(Linear.id, preprocess='{"size": 32}')

        def answers(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
            return super().answers(255 - images)

    projected(tmp_path / "killed", IMAGES, Linear(), 6)
    whole, again = made(tmp_path / "whole", teacher=Otherwise()), made(tmp_path / "killed", teacher=Otherwise())
    assert again.plan == whole.plan
    assert sorted(path.name for path in again.folder.iterdir()) == [MANIFEST, PROJECTION, "v0000", "v0001"]
    raw = (whole.folder / PROJECTION).read_bytes()
    with pytest.raises(StoreError, match="teacher"):
        made(tmp_path / "whole")
    with pytest.raises(StoreError, match="holds 6 bytes of embedding for each view, not 5"):
        made(tmp_path / "whole", size=5)
    assert (whole.folder / PROJECTION).read_bytes() == raw
    assert made(tmp_path / "whole", teacher=Otherwise()).plan == whole.plan


def test_parts_that_share_a_projection_are_merged(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    one = made(tmp_path / "one", which=range(1))
    two = made(tmp_path / "two", which=range(1, 2))
    merged = merge(tmp_path / "merged", [one, two])
    assert merged.plan == whole.plan
    assert torch.equal(merged.view(1).embedding(np.arange(60)), whole.view(1).embedding(np.arange(60)))
    with pytest.raises(StoreError, match=r"embedding"):
        merge(tmp_path / "other", [one, made(tmp_path / "three", size=5)])


def test_a_manifest_that_claims_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    store = made(tmp_path / "store")
    path = store.folder / MANIFEST
    sound = json.loads(path.read_text())
    for change in (
        {"bytes": 0},
        {"bytes": 10**9},
        {"width": -1},
        {"width": 1.5},
        {"sha256": "../x"},
        {"more": 1},
        None,
    ):
        document = json.loads(json.dumps(sound))
        document["plan"]["embedding"] = None if change is None else sound["plan"]["embedding"] | change
        path.write_text(json.dumps(document))
        with pytest.raises(StoreError, match="is damaged"):
            open_store(store.folder)


def test_a_teacher_without_embeddings_says_so(tmp_path: Path) -> None:
    class Mute:
        id = TeacherId("mute", "6" * 64, "{}", "fp32")

        def logits(self, images: NDArray[np.uint8]) -> Tensor:
            return Linear().logits(images)

    with pytest.raises(ConfigError, match="teacher 'mute' gives no embeddings"):
        projected(tmp_path, IMAGES, Mute(), 6)

    class Same(Linear):
        def answers(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
            return super().answers(images)[0], torch.ones(len(images), 3)

    with pytest.raises(ModelError, match="gives 60 different images the same answer"):
        projected(tmp_path, IMAGES, Same(), 6)


def test_the_loss_is_the_share_that_is_not_explained() -> None:
    meant = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    wide = torch.zeros(3, 40, 10)
    assert float(unexplained(wide, meant)) == pytest.approx(1.0)
    wide[..., :6] = meant
    wide[..., 6:] = 100.0  # beyond the components that there are
    assert float(unexplained(wide, meant)) == 0.0
    wide[..., :6] = 0.5 * meant
    assert float(unexplained(wide, meant)) == pytest.approx(0.25)


def test_a_plan_without_embeddings_has_the_id_that_it_always_had() -> None:
    plan = plan_for(IMAGES, "train", Linear.id, VIEW, "int8")
    assert "embedding" not in plan.document()
    assert plan.schema == 2
    assert replace(plan, names=()).schema == 1
