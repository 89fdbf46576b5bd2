"""The kind of an encoder: a pair that names none is a resnet, and keeps the id that it has had."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import sctx.encoder
from common.errors import ConfigError, ModelError
from common.pair.manifest import find_pair, read_manifest, shipped_pairs
from common.pair.shapes import EncoderShape, Preprocess
from sctx.encoder import ENCODERS, ExpandedResNet, ResNet, load_encoder, make_encoder
from tests.model.pairs import CLASSES, PREPROCESS, SHAPE, tiny_pair
from training.distillation.measure import transmitter_cost
from training.recipes.recipe import CONFIGS, load_recipe
from training.recipes.specs import LossSpec
from training.student.objective import Objective


def test_a_resnet_is_written_without_its_kind_so_that_its_id_stays(tmp_path: Path) -> None:
    assert "kind" in asdict(EncoderShape())
    written = tiny_pair(tmp_path)
    assert "kind" not in json.loads((written.path / "manifest.json").read_text())["encoder"]
    assert isinstance(load_encoder(written), ResNet)
    plain = [load_recipe(found.stem).plain()["encoder"] for found in CONFIGS.glob("*.toml")]
    assert {one.get("kind") for one in plain} == {None, "resnet-expanded"}


@pytest.mark.parametrize("name", shipped_pairs())
def test_a_shipped_pair_is_of_a_known_kind_and_names_it_only_where_it_is_no_resnet(name: str) -> None:
    pair = find_pair(name)
    written = json.loads((pair.path / "manifest.json").read_text())["encoder"]
    assert written.get("kind", "resnet") == pair.encoder.kind
    assert type(load_encoder(pair)) is ENCODERS[pair.encoder.kind]
    assert written.get("kind") != "resnet"


def test_an_expanded_resnet_says_twice_as_much_and_costs_what_it_says(tmp_path: Path) -> None:
    shape = replace(SHAPE, kind="resnet-expanded")
    pair = tiny_pair(tmp_path, shape=shape)
    assert pair.features == 2 * tiny_pair(tmp_path / "narrow").features == 2 * 4 * SHAPE.width
    assert type(load_encoder(pair)) is ExpandedResNet
    large = EncoderShape(16, 3, 2, "resnet-expanded")
    image = Preprocess(64, 64, 3, (0.5,) * 3, (0.25,) * 3)
    parameters, macs = transmitter_cost(make_encoder(large, 3, 100), image)
    assert parameters <= 300_000
    assert macs <= 45_000_000
    assert ExpandedResNet.macs(large, 64, 64) == pytest.approx(macs, rel=0.05)


def test_a_manifest_may_say_that_it_is_a_resnet(tmp_path: Path) -> None:
    path = tiny_pair(tmp_path).path / "manifest.json"
    document = json.loads(path.read_text())
    document["encoder"]["kind"] = "resnet"
    path.write_text(json.dumps(document))
    assert load_encoder(read_manifest(tmp_path))(torch.zeros(1, 1, 8, 8))[1].shape == (1, CLASSES)


def test_a_recipe_keeps_the_kind_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "digits"\n[encoder]\nkind = "pyramid"\n')
    recipe = load_recipe(str(tmp_path / "mine.toml"))
    assert recipe.plain()["encoder"]["kind"] == recipe.encoder.kind == "pyramid"
    with pytest.raises(ConfigError, match="no encoder of kind 'pyramid': this version of semlink has resnet"):
        make_encoder(recipe.encoder, 1, 8)


@pytest.mark.parametrize("kind", ["", "k" * 65])
def test_a_kind_is_a_word(kind: str) -> None:
    with pytest.raises(ModelError, match="kind has"):
        replace(EncoderShape(), kind=kind)


def test_an_encoder_that_would_take_hours_is_refused_before_it_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    Objective(SHAPE, CLASSES, PREPROCESS, LossSpec())
    monkeypatch.setattr(sctx.encoder, "MOST_MACS", 1000)
    with pytest.raises(ConfigError, match="multiply-accumulates"):
        Objective(SHAPE, CLASSES, PREPROCESS, LossSpec())
