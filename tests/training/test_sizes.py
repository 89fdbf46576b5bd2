"""Sizes are those that are known from elsewhere: published parameters, the wire's own bytes, weights times places."""

import pytest
import torch
from torch import nn

from common.pair.manifest import find_pair, shipped_pairs
from training.distillation.measure import cost_of
from training.experiments.sizes import pair_sizes, teacher_sizes

PUBLISHED = {"efficientnet-lite0": 4_652_008, "ViT-B/16": 86_567_656 - 1000 * 769 + 10 * 769}
"""Parameters; ViT-B/16 with ten classes in the place of a thousand."""


def test_operations_are_weights_times_places() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, groups=4, stride=2, padding=1),
        nn.Flatten(2),
        nn.Linear(16, 5),
    )
    macs = 3 * 4 * 9 * 64 + 4 * 9 * 16 + 16 * 5 * 4
    assert cost_of(network, torch.zeros(1, 3, 8, 8)) == (sum(p.numel() for p in network.parameters()), macs)


@pytest.mark.parametrize("name", sorted(shipped_pairs()))
def test_a_message_has_the_bytes_of_the_wire(name: str) -> None:
    """DATA costs 46 bytes beside 8 for each symbol (section 10 of the protocol)."""
    manifest = find_pair(name)
    sizes = pair_sizes(manifest)
    assert sizes["id"] == manifest.id
    assert [rate["symbols"] for rate in sizes["rates"]] == list(manifest.layout.rates)
    for rate in sizes["rates"]:
        assert (rate["header_bytes"], rate["sample_bytes"]) == (46, 8 * rate["uses"])


def test_teachers_are_as_large_as_they_were_published() -> None:
    sizes = {one["name"]: one["parameters"] for one in teacher_sizes()}
    assert {name: sizes[name] for name in PUBLISHED} == PUBLISHED
