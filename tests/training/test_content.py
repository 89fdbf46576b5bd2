"""A rate chosen by the image: what it may save, what it is charged, and that the head sees which images are easy."""

import numpy as np
import pytest
import torch

from common.manifest import find_pair
from training.content import GRID_DB, compare, conditional_entropy, fit_head

RATES = len(find_pair("digits").layout.rates)


def tables(easy: np.ndarray) -> np.ndarray:
    """Accuracies of easy images (1 at every rate) and others (1 at the full ladder only): float [N, K, G]."""
    found = np.zeros((len(easy), RATES, len(GRID_DB)))
    found[easy] = 1.0
    found[:, -1] = 1.0
    return found


def test_entropy_is_of_what_the_other_does_not_tell() -> None:
    a = np.array([0, 1, 0, 1])
    assert conditional_entropy(a, a) == 0.0
    assert conditional_entropy(a, np.zeros(4, int)) == 1.0
    assert conditional_entropy(a, np.array([0, 0, 1, 1])) == 1.0
    assert conditional_entropy(np.zeros(4, int), a) == 0.0


def test_a_head_that_says_what_the_table_says_saves_nothing_and_is_charged_nothing() -> None:
    found = tables(np.arange(50) % 2 == 0)
    own = found.mean(0, keepdims=True)
    rows = compare(find_pair("digits"), own, np.repeat(own, 50, 0), found, [10.0], [0.001], 0)
    table, head, _ = rows
    assert (head.accuracy, head.uses, head.control, head.value) == (table.accuracy, table.uses, 0.0, table.value)


def test_knowing_the_image_saves_uses_and_is_charged_for_what_the_choice_tells() -> None:
    found = tables(np.arange(100) % 2 == 0)
    own = found.mean(0, keepdims=True)
    table, head, oracle = compare(find_pair("digits"), own, found, found, [10.0], [0.001], 0)
    assert (head.accuracy, table.accuracy) == (1.0, 1.0)
    layout = find_pair("digits").layout
    assert head.uses == pytest.approx(layout.pilots + (layout.rates[0] + layout.rates[-1]) / 2)
    assert head.control == pytest.approx(1.0)  # easy or not, and half are
    assert head.value == pytest.approx(1.0 - 0.001 * (head.uses + 1.0))
    assert (oracle.value, head.value > table.value) == (head.value, True)


def test_the_head_finds_the_images_that_are_easy() -> None:
    features = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    right = torch.from_numpy(tables((features[:, 0] > 0).numpy())).float()
    before = torch.random.get_rng_state()
    predicted = fit_head((features[200:], right[200:]), (features[:200], right[:200]), 0)(features[:200])
    easy = features[:200, 0] > 0.3
    assert predicted[easy, 0].mean() > 0.9
    assert predicted[features[:200, 0] < -0.3, 0].mean() < 0.1
    assert predicted.shape == (200, RATES, len(GRID_DB))
    torch.random.set_rng_state(before)
