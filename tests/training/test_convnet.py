"""The convolutional teacher: whitened input, mirror images, and an ordinary folder that any loader reads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn import functional as fn

from common.images.imageset import ImageSet
from training.recipes.recipe import Recipe, load_recipe
from training.recipes.specs import Schedule, TeacherSpec
from training.teachers.convnet import PATCH, ConvNetForImageClassification
from training.teachers.find import load_oracle
from training.teachers.pretrain import build_model, train_teacher

CLASSES = ("dark", "bright")
CPU = torch.device("cpu")


def net(mirror: bool = True) -> ConvNetForImageClassification:
    torch.manual_seed(0)
    model = build_model(TeacherSpec("semlink-convnet", {"widths": [8, 8], "mirror": mirror}, 16), 3, CLASSES)
    assert isinstance(model, ConvNetForImageClassification)
    model.whiten(smooth(200))
    return model.eval()


def smooth(count: int) -> torch.Tensor:
    """Correlated pixels, as photographs have."""
    random = torch.Generator().manual_seed(3)
    return fn.interpolate(torch.randn(count, 3, 4, 4, generator=random), (16, 16), mode="bilinear")


def test_the_first_layer_whitens_patches() -> None:
    half = net().whitening[: 3 * PATCH**2]
    answers = fn.conv2d(smooth(200), half, stride=PATCH).permute(1, 0, 2, 3).flatten(1)
    covariance = torch.cov(answers)
    off = covariance - covariance.diag().diag()
    assert off.abs().max() < 0.02
    assert (covariance.diag() < 1.01).all()
    assert covariance.diag().max() > 0.95


def test_an_image_and_its_mirror_image_get_one_answer() -> None:
    x = smooth(5)
    with torch.no_grad():
        assert torch.allclose(net()(x).logits, net()(x.flip(-1)).logits, atol=1e-5)
        assert not torch.allclose(net(mirror=False)(x).logits, net(mirror=False)(x.flip(-1)).logits, atol=1e-3)


def test_what_is_saved_is_what_answers(tmp_path: Path, recipe: Recipe) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200)
    pixels = (random.integers(0, 120, (200, 16, 16, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)
    images = ImageSet("two", pixels, labels, CLASSES)
    spec = TeacherSpec("semlink-convnet", {"widths": [8, 8]}, 16, schedule=Schedule(epochs=8, batch=50, ema=0.8))
    train_teacher(replace(recipe, teacher=spec), images, tmp_path / "net", 0, CPU, Console(quiet=True))
    logits = load_oracle(str(tmp_path / "net"), CLASSES, CPU).logits(pixels)
    assert (logits.argmax(-1).numpy() == labels).mean() > 0.95
    half = load_oracle(str(tmp_path / "net"), CLASSES, CPU, "bf16").logits(pixels)
    assert (half - logits).abs().max() < 0.1 * logits.abs().max()
    assert not list(tmp_path.rglob("checkpoint.safetensors"))


@pytest.mark.parametrize("name", ["cifar10", "cifar10-gpu"])
def test_the_recipes_name_teachers_that_can_be_made(name: str) -> None:
    spec = load_recipe(name).teacher
    model = build_model(spec, 3, CLASSES)
    parameters = sum(one.numel() for one in model.parameters())
    assert parameters > (20e6 if name.endswith("gpu") else 1e6)
    assert not {"widths", "mirror"} & set(vars(model.config)) or spec.model_type == "semlink-convnet"
