"""Teachers of every kind, offline: a model trained here, a foreign classifier, zero-shot models, ensembles."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from common.errors import ConfigError, ModelError
from common.images.datasets import load_images
from training.oracle import Classifier, identify, load_oracle
from training.pretrain import train_teacher
from training.recipe import Recipe

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
CPU = torch.device("cpu")
CLASSES = tuple("0123456789")
PHOTOS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=10
    )
    transformers.AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path / "resnet")
    return tmp_path / "resnet"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    folder = tmp_path / "clip"
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 80, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
        vision_config={**small, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz."]
    vocabulary += [f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz0123456789."]
    tokenizer = transformers.CLIPTokenizer(
        vocab={token: k for k, token in enumerate(vocabulary)}, merges=[], model_max_length=77
    )
    tokenizer.save_pretrained(folder)
    processor = {"crop_size": {"height": 16, "width": 16}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_a_teacher_trained_here_loads_like_any_other(recipe: Recipe, tmp_path: Path) -> None:
    train = load_images("digits", "train")
    train_teacher(recipe, train, tmp_path / "teacher", 0, CPU, Console(quiet=True))
    oracle = load_oracle(str(tmp_path / "teacher"), train.classes, CPU)
    logits = oracle.logits(train.images[:20])
    assert (logits.shape, logits.dtype) == ((20, 10), torch.float32)
    assert oracle.id == identify(str(tmp_path / "teacher"))
    assert "teacher" in oracle.id.name
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    train_teacher(recipe, train, tmp_path / "again", 0, CPU, Console(quiet=True))
    assert identify(str(tmp_path / "again")).sha256 == oracle.id.sha256


def test_a_foreign_classifier_sees_resized_pixels(classifier: Path) -> None:
    oracle = load_oracle(str(classifier), CLASSES, CPU)
    assert '"height": 224' in oracle.id.preprocess
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
    assert both.id == identify(f"{classifier},{clip}")
    assert both.id != identify(f"{clip},{classifier}")


def test_a_batch_too_large_for_memory_is_halved(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = load_oracle(str(classifier), CLASSES, CPU)
    assert isinstance(oracle, Classifier)
    expected = oracle.logits(PHOTOS)
    sizes: list[int] = []
    answer = oracle._answer

    def small_memory(images: torch.Tensor) -> torch.Tensor:
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


def test_teachers_that_cannot_be_used_are_one_line(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="10 classes and the data set 3"):
        load_oracle(str(classifier), ("a", "b", "c"), CPU)
    with pytest.raises(ConfigError, match="no teacher"):
        load_oracle("./nowhere", CLASSES, CPU)
    with pytest.raises(ConfigError, match=r"config\.json"):
        load_oracle(str(tmp_path), CLASSES, CPU)
    (classifier / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no \\*\\.safetensors"):
        load_oracle(str(classifier), CLASSES, CPU)
