"""`python -m training.convert`: the body of an old pair's encoder goes on under a new head; what is none is refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save

from common.errors import ModelError, SemlinkError
from common.images.datasets import load_images
from common.pair.manifest import MANIFEST, find_pair
from sctx.encoder import load_encoder
from tests.model.pairs import SHAPE, tiny_encoder, tiny_pair
from training.convert.__main__ import main
from training.convert.earlier import read_old
from training.distillation.measure import said_of

OLD = {
    "schema": 1, "name": "old", "layout": {"increments": [2, 4], "pilots": 4, "slot": 16}, "order": 16,
    "preprocess": {"height": 8, "width": 8, "channels": 1, "mean": [0.3], "std": [0.4]}, "dataset": "digits",
    "labels": list("0123456789"), "tasks": ["classify", "embedding"], "encoder": {**asdict(SHAPE), "adaptive": True},
    "decoder": {"hidden": 16, "blocks": 1, "embedding": 8}, "provenance": {"command": "python -m training.distill"},
    "accuracy": {"snr_db": [0.0, 10.0], "acc": [[0.1, 0.2], [0.2, 0.3]], "clean": 0.3}, "calibration": None,
    "sha256": {"encoder": "0" * 64, "decoder": "0" * 64},
}  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A pair of before words and features, whose head gave two numbers per symbol, in half precision."""
    weights = {f"encoder.{name}": one.half() for name, one in tiny_encoder().state_dict().items()}
    weights |= {"encoder.head.weight": torch.zeros(12, 16), "encoder.head.bias": torch.zeros(12)}
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "encoder.safetensors").write_bytes(save({**weights, "adapt.inner.bias": torch.zeros(64)}))
    (folder / MANIFEST).write_text(json.dumps(OLD))
    return folder


def call(*words: str) -> None:
    ran = CliRunner().invoke(main, words, obj={}, standalone_mode=False)
    if ran.exception is not None:
        raise ran.exception


@pytest.mark.usefixtures("few_draws")
def test_the_body_is_kept_and_a_head_is_fitted_to_it(old: Path, tmp_path: Path) -> None:
    call("--pair", str(old), "--dataset", "digits", "--out", str(tmp_path / "new"))
    made = find_pair(tmp_path / "new")
    assert (made.name, made.layout.increments, made.labels) == ("old", (2, 4), tuple("0123456789"))
    assert made.provenance["body_of"] == read_old(old).id
    body, new = tiny_encoder().state_dict(), load_encoder(made)
    kept = new.state_dict()
    assert all(torch.equal(kept[name], body[name].half().to(body[name].dtype)) for name in body if "head" not in name)
    images = load_images("digits", "test")
    decided, _ = said_of(new, images, made.preprocess)
    assert np.mean(decided == images.labels) > 0.5  # of 10 classes, by features that nobody trained


def put(*path: str, value: Any) -> Any:
    def change(folder: Path) -> None:
        document = json.loads((folder / MANIFEST).read_text())
        inner = document
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
        (folder / MANIFEST).write_text(json.dumps(document))

    return change


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (put("layout", "pilots", value=0), "without pilots no receiver"),
        (put("schema", value=3), "no manifest of a pair of before"),
        (put("encoder", "width", value=8), "does not belong to this manifest"),
        (put("encoder", "kind", value="transformer"), "no encoder of kind"),
        (put("labels", value=["a"]), "classes"),
        (put("labels", value=list("012345678")), "does not know"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "manifest"),
        (lambda folder: (folder / MANIFEST).unlink(), "manifest"),
        (lambda folder: (folder / "encoder.safetensors").write_bytes(b"no weights"), "does not belong"),
        (lambda folder: (folder / "encoder.safetensors").unlink(), "encoder"),
    ],
)
def test_what_is_no_old_pair_of_these_images_is_refused_in_one_line(
    spoil: Any, told: str, old: Path, tmp_path: Path
) -> None:
    spoil(old)
    with pytest.raises(SemlinkError, match=told) as caught:
        call("--pair", str(old), "--dataset", "digits", "--out", str(tmp_path / "new"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new" / MANIFEST).exists()


def test_a_pair_of_today_is_not_converted_again(tmp_path: Path) -> None:
    tiny_pair(tmp_path / "today")
    with pytest.raises(ModelError, match="no manifest of a pair of before words and features"):
        call("--pair", str(tmp_path / "today"), "--dataset", "digits", "--out", str(tmp_path / "new"))
