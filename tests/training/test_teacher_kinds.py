"""Each kind of teacher gives the pixels and the logits that `transformers` itself gives, column by name."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tests.training.kinds import KINDS, ZERO_SHOT, make
from training.teachers.find import load_oracle
from training.teachers.oracles import Classifier

tf = pytest.importorskip("transformers", reason="transformers is not installed")
CPU = torch.device("cpu")
NAMES = ("cat", "dog", "fishing ship", "emu")
QUICK = {"ViT, not rescaled", "CLIP classifier", "SigLIP classifier", *ZERO_SHOT}
SIZES = [(40, 28, 3), (8, 8, 1)]
MORE_SIZES = [*SIZES, (32, 32, 3), (90, 120, 3)]


def photos(shape: tuple[int, ...], count: int = 5) -> NDArray[np.uint8]:
    """Noise, noise that is smooth, and one image that is black."""
    random = np.random.default_rng(sum(shape))
    smooth = np.cumsum(random.integers(-9, 10, (count, *shape)), axis=1) + 128
    noise = random.integers(0, 256, (count, *shape))
    return np.concatenate((noise, smooth.clip(0, 255), np.zeros((1, *shape)))).astype(np.uint8)


def by_transformers(folder: Path, kind: str, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Pixels and logits as its documentation has them: photographs as Pillow's, one by one."""
    processor = tf.AutoImageProcessor.from_pretrained(folder, backend="pil")
    opened = [Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one).convert("RGB") for one in images]
    pixels = torch.cat([processor(one, return_tensors="pt")["pixel_values"] for one in opened])
    more: dict[str, Any] = {}
    network = tf.AutoModelForZeroShotImageClassification if kind in ZERO_SHOT else tf.AutoModelForImageClassification
    if kind in ZERO_SHOT:
        padding = {"padding": "max_length", "max_length": 24} if kind == "SigLIP" else {"padding": True}
        texts = [f"a photo of a {name}." for name in NAMES]
        more = dict(tf.AutoTokenizer.from_pretrained(folder)(texts, return_tensors="pt", **padding))
    with torch.inference_mode():
        answer = network.from_pretrained(folder).eval()(pixel_values=pixels, **more)
    return pixels, answer.logits_per_image if kind in ZERO_SHOT else answer.logits


@pytest.mark.parametrize("kind", [one if one in QUICK else pytest.param(one, marks=pytest.mark.full) for one in KINDS])
def test_pixels_and_logits_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    folder = make(kind, tmp_path / "teacher", NAMES)
    oracle = load_oracle(str(folder), NAMES, CPU)
    assert isinstance(oracle, Classifier)
    for shape in SIZES if kind in QUICK else MORE_SIZES:
        images = photos(shape)
        pixels, logits = by_transformers(folder, kind, images)
        assert torch.equal(oracle.pixels(images)["pixel_values"], pixels)
        assert torch.allclose(oracle.logits(images), logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))
        answers, embedding = oracle.answers(images)
        assert torch.allclose(answers, oracle.logits(images), atol=1e-5 * float(logits.abs().max()))
        if kind in ZERO_SHOT:
            assert torch.allclose(embedding.norm(dim=-1), torch.ones(len(images)), atol=1e-5)
        elif len(heads := oracle._heads()) == 1:  # its last layer makes the answer of the embedding
            with torch.inference_mode():
                again = heads[0](embedding)
            assert torch.allclose(again, logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))
        assert logits.std(0).max() > 1e-3  # a teacher that tells nothing apart would agree with anything


@pytest.mark.parametrize("kind", ["ViT", pytest.param("SigLIP classifier", marks=pytest.mark.full)])
def test_a_teacher_answers_in_the_order_of_the_data_whatever_its_own(kind: str, tmp_path: Path) -> None:
    images = photos((32, 32, 3))
    folder = make(kind, tmp_path / "teacher", NAMES)
    own = load_oracle(str(folder), NAMES, CPU).logits(images)
    for order in itertools.islice(itertools.permutations(range(4)), 1, 24, 7):
        classes = [NAMES[k] for k in order]
        assert torch.equal(load_oracle(str(folder), classes, CPU).logits(images), own[:, list(order)])
    fewer = load_oracle(str(folder), ("emu", "cat"), CPU).logits(images)
    assert torch.equal(fewer, own[:, [3, 0]])


def test_members_of_a_committee_may_have_different_orders(tmp_path: Path) -> None:
    images = photos((32, 32, 3))
    one = make("ViT", tmp_path / "one", NAMES)
    other = make("Swin", tmp_path / "other", NAMES[::-1], seed=1)
    parts = [load_oracle(str(folder), NAMES, CPU).logits(images).log_softmax(-1) for folder in (one, other)]
    assert torch.allclose(load_oracle(f"{one},{other}", NAMES, CPU).logits(images), sum(parts) / 2, atol=1e-5)
