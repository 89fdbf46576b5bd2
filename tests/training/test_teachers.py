"""Teachers, offline: a model trained here, a foreign classifier, zero-shot models, ensembles; answers that are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console

from common.errors import ModelError
from common.images.datasets import load_images
from common.images.imageset import ImageSet
from common.pair.shapes import Preprocess
from tests.training.kinds import make
from training.knowledge.generate import generate, plan_for
from training.recipes.recipe import Recipe
from training.recipes.specs import ViewSpec
from training.student.objective import Distillation, Objective
from training.teachers.find import Committee, Teacher, find_teacher, load_oracle, weights_sha256
from training.teachers.identity import TeacherId
from training.teachers.oracles import Classifier, ask
from training.teachers.pixels import load_pixels
from training.teachers.pretrain import _Inputs, train_teacher

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
CPU = torch.device("cpu")
CLASSES = tuple("0123456789")
PHOTOS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return make("ResNet", tmp_path / "resnet", CLASSES)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make("CLIP", tmp_path / "clip")


def test_a_teacher_trained_here_loads_like_any_other(recipe: Recipe, tmp_path: Path) -> None:
    train = load_images("digits", "train")
    train_teacher(recipe, train, tmp_path / "teacher", 0, CPU, Console(quiet=True))
    oracle = load_oracle(str(tmp_path / "teacher"), train.classes, CPU)
    logits = oracle.logits(train.images[:20])
    assert (logits.shape, logits.dtype) == ((20, 10), torch.float32)
    assert oracle.id == find_teacher(str(tmp_path / "teacher"), train.classes).id
    assert "teacher" in oracle.id.name
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    train_teacher(recipe, train, tmp_path / "again", 0, CPU, Console(quiet=True))
    assert weights_sha256(str(tmp_path / "again")) == oracle.id.sha256


def test_a_foreign_classifier_sees_resized_pixels(classifier: Path) -> None:
    oracle = load_oracle(str(classifier), CLASSES, CPU)
    assert '"shortest_edge": 32' in oracle.id.preprocess
    assert oracle.logits(PHOTOS).shape == (6, 10)
    assert oracle.logits(PHOTOS[..., :1]).shape == (6, 10)


def test_a_zero_shot_teacher_is_asked_each_class(clip: Path) -> None:
    oracle = load_oracle(str(clip), ("cat", "dog", "ship"), CPU)
    logits = oracle.logits(PHOTOS)
    assert logits.shape == (6, 3)
    assert "a photo of a" in oracle.id.preprocess
    turned = load_oracle(str(clip), ("ship", "dog", "cat"), CPU).logits(PHOTOS)
    assert torch.allclose(turned, logits.flip(-1), atol=1e-4)


def test_an_ensemble_is_the_mean_of_log_probabilities(classifier: Path, clip: Path) -> None:
    both = load_oracle(f"{classifier},{clip}", CLASSES, CPU)
    parts = [load_oracle(str(one), CLASSES, CPU).logits(PHOTOS).log_softmax(-1) for one in (classifier, clip)]
    assert torch.allclose(both.logits(PHOTOS), (parts[0] + parts[1]) / 2, atol=1e-5)
    assert both.id == find_teacher(f"{classifier},{clip}", CLASSES).id
    assert both.id != find_teacher(f"{clip},{classifier}", CLASSES).id


def test_a_folder_with_a_comma_in_its_name_is_one_teacher(classifier: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vit,best"
    folder.symlink_to(classifier, target_is_directory=True)
    found = find_teacher(str(folder), CLASSES)
    assert isinstance(found, Teacher)
    assert isinstance(find_teacher(f"{classifier}, {classifier}", CLASSES), Committee)


def test_a_batch_too_large_for_memory_is_halved(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = load_oracle(str(classifier), CLASSES, CPU)
    assert isinstance(oracle, Classifier)
    expected = oracle.logits(PHOTOS)
    sizes: list[int] = []
    answer = oracle._answer

    def small_memory(images: NDArray[np.uint8]) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError
        return answer(images)

    monkeypatch.setattr(oracle, "_answer", small_memory)
    assert torch.allclose(oracle.logits(PHOTOS), expected, atol=1e-5)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]


def test_bf16_agrees_with_fp32_within_its_precision(classifier: Path) -> None:
    fine, coarse = (load_oracle(str(classifier), CLASSES, CPU, dtype) for dtype in ("fp32", "bf16"))
    assert torch.allclose(fine.logits(PHOTOS), coarse.logits(PHOTOS), atol=0.1)
    assert fine.id != coarse.id


@pytest.mark.parametrize("channels", [1, 3])
def test_a_teacher_trained_here_is_asked_as_it_was_trained(channels: int, recipe: Recipe, tmp_path: Path) -> None:
    """To the last bits of float32; where its processor resizes, it also rounds to 8 bits."""
    coarse = torch.from_numpy(PHOTOS[:, :6, :6, :channels]).permute(0, 3, 1, 2).float()
    fine = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear").permute(0, 2, 3, 1)
    images = fine.numpy().astype(np.uint8)
    for size in (32, 24):
        inputs = _Inputs(size, (0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels])
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(inputs.processor()))
        asked = load_pixels(tmp_path, channels)(images)["pixel_values"]
        trained = inputs(torch.from_numpy(images))
        assert (asked - trained).abs().max() < (1e-6 if size == 32 else 1.1 / 255 / 0.2)


class Fixed:
    """Answers that were made up."""

    id = TeacherId("made up", "0" * 64, "", "fp32")

    def __init__(self, answer: torch.Tensor) -> None:
        self.answer = answer

    def logits(self, images: NDArray[np.uint8]) -> torch.Tensor:
        return self.answer[: len(images)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_answer_that_is_no_number_is_refused_with_image_and_teacher(value: float) -> None:
    answer = torch.randn(40, 3)
    answer[17, 1] = value
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), np.uint8)
    with pytest.raises(ModelError, match=r"'made up' answers image 5017 with -?(nan|inf)"):
        ask(Fixed(answer), images, range(5000, 5040))
    assert torch.equal(ask(Fixed(answer), images[:17]), answer[:17])


def test_an_online_teacher_whose_answer_is_no_number_is_refused(recipe: Recipe) -> None:
    images = ImageSet("noise", PHOTOS, np.arange(6) % 3, ("a", "b", "c"))
    answer = torch.tensor([[0.0, float("nan"), 1.0]])
    objective = Objective(recipe.encoder, 3, Preprocess(32, 32, 3, (0.5,) * 3, (0.5,) * 3), recipe.loss)
    task = Distillation(objective, images, Fixed(answer), CPU)
    with pytest.raises(ModelError, match="'made up' answers image 4 with nan"):
        task.arguments(PHOTOS[4:5], np.array([2, 4]), slice(1, 2), torch.Generator())


@pytest.mark.parametrize("noise", [0.0, 1e-7])
@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [3.0, -2.0, 0.5], [1e4, 0.0, 3.0]])
def test_a_teacher_that_answers_all_images_alike_is_refused(row: list[float], noise: float) -> None:
    shifts = torch.randn(40, 1)  # logits mean the same with any number added
    answer = torch.tensor(row) * (1 + noise * torch.randn(40, 3)) + shifts
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), np.uint8)
    with pytest.raises(ModelError, match="the same answer"):
        ask(Fixed(answer), images)
    assert ask(Fixed(answer), np.repeat(images[:1], 40, 0)).shape == (40, 3)  # images that are alike may be answered so
    sure = torch.tensor(row) + torch.nn.functional.one_hot(torch.arange(40) % 2, 3) + shifts
    assert ask(Fixed(sure), images).shape == (40, 3)


@pytest.mark.parametrize("kind", ["ViT", "CLIP"])
def test_a_teacher_whose_weights_are_no_numbers_is_refused_when_a_store_is_made(kind: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make(kind, tmp_path / "teacher", ("a", "b", "c"))
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "vision" in name or kind == "ViT")
    save_file({**weights, name: weights[name] * float("nan")}, folder / "model.safetensors", {"format": "pt"})
    images = ImageSet("noise", PHOTOS, np.arange(6) % 3, ("a", "b", "c"))
    found = find_teacher(str(folder), images.classes)
    with pytest.raises(ModelError, match=r"'teacher' answers image 0 with nan"):
        generate(tmp_path / "store", plan_for(images, "train", found.id, ViewSpec(), "int8"), range(1), images,
                 found.load(CPU), Console(quiet=True))  # fmt: skip
    assert not (tmp_path / "store" / "manifest.json").exists()
