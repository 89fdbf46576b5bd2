"""CIFAR-10 from parquet, where it is at hand: shapes, split and the cost of the shipped recipe's transmitter."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.images.datasets import load_images
from common.pair.manifest import find_pair
from common.pair.shapes import Preprocess
from sctx.encoder import Encoder, make_encoder
from training.distillation.measure import transmitter_cost
from training.lab.evaluation import Lab, Setting
from training.recipes.recipe import Recipe, adjusted, load_recipe

DATA = Path(os.environ.get("SEMLINK_DATA", Path(__file__).parents[2].parent / "shared" / "data" / "cifar10"))
IMAGE = Preprocess(32, 32, 3, (0.5,) * 3, (0.25,) * 3)


def encoder(recipe: Recipe) -> Encoder:
    return make_encoder(recipe.encoder, 3, 10)


@pytest.mark.skipif(not DATA.is_dir(), reason="no CIFAR-10 parquet: set SEMLINK_DATA to its folder")
def test_the_test_split_is_read_whole() -> None:
    images = load_images(str(DATA), "test")
    assert images.images.shape == (8000, 32, 32, 3)
    assert images.classes[:3] == ("airplane", "automobile", "bird")


def test_the_transmitter_for_photographs_keeps_its_budget() -> None:
    recipe = load_recipe("cifar10")
    parameters, macs = transmitter_cost(encoder(recipe), IMAGE)
    assert parameters <= 300_000
    assert macs <= 45_000_000
    whole = sum(tensor.numel() * 4 for tensor in encoder(recipe).state_dict().values())
    assert whole < 4_000_000


@pytest.mark.parametrize(
    ("shape", "low", "high"), [("14,2,2", 4e6, 6e6), ("14,2,1", 18e6, 22e6), ("16,3,1", 40e6, 45e6)]
)
def test_a_family_of_transmitters_costs_as_much_as_is_asked_for(shape: str, low: float, high: float) -> None:
    recipe = adjusted(load_recipe("cifar10"), encoder=shape)
    _, macs = transmitter_cost(encoder(recipe), IMAGE)
    assert low < macs < high
    assert replace(recipe, encoder=load_recipe("cifar10").encoder) == load_recipe("cifar10")


def test_multiply_accumulates_of_a_known_network() -> None:
    """ResNet-20 on 32 x 32 has 40.8 M (He et al. 2015, table 6; counted per layer), plus the head."""
    recipe = load_recipe("cifar10")
    head = 64 * 10
    shortcuts = 16 * 32 * 256 + 32 * 64 * 64
    blocks = 3 * 16 * 9 * 1024 + 6 * 16 * 16 * 9 * 1024
    blocks += 16 * 32 * 9 * 256 + 5 * 32 * 32 * 9 * 256 + 32 * 64 * 9 * 64 + 5 * 64 * 64 * 9 * 64
    assert transmitter_cost(encoder(recipe), IMAGE)[1] == blocks + shortcuts + head


def test_a_recipe_over_a_base_changes_only_what_it_says() -> None:
    base, large = load_recipe("cifar10"), load_recipe("cifar10-gpu")
    assert (large.layout, large.encoder, large.loss, large.view) == (base.layout, base.encoder, base.loss, base.view)
    assert large.schedule.epochs > base.schedule.epochs
    assert large.teacher.config["layer_type"] == "basic"


def test_the_shipped_pair_keeps_its_size() -> None:
    manifest = find_pair("cifar10")
    halves = [manifest.path / f"{half}.safetensors" for half in ("encoder", "decoder")]
    assert sum(path.stat().st_size for path in halves) < 4_000_000
    assert manifest.labels == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.skipif(not DATA.is_dir(), reason="no CIFAR-10 parquet: set SEMLINK_DATA to its folder")
def test_the_shipped_pair_answers_photographs_it_has_not_seen() -> None:
    """500 test images, 10 dB, 16 symbols. 87.7 % on all 8,000; 80 % is five standard errors of 500 below."""
    manifest = find_pair("cifar10")
    images = load_images(str(DATA), "test").take(np.arange(500))
    setting = Setting("awgn", "known", 10.0, 16, 1, 0, 0, 7.8e-5, 10.0)
    right = Lab(manifest, images.images).decide(setting, stream=0) == images.labels
    assert right.mean() > 0.80
