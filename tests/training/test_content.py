"""A rate chosen by the image: what it may save, what it is charged, and that the head sees which images are easy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from common.errors import ConfigError, StoreError
from common.images.datasets import load_images
from common.manifest import ContentShape, find_pair
from sctx.pipeline import TransmitChain
from tests.model.pairs import LAYOUT, tiny_pair, tiny_student
from training.content import (
    HIDDEN,
    SEEN_DB,
    Row,
    by_group,
    compare,
    fit_head,
    main,
    observed,
    predicted,
    write_with,
)  # fmt: skip
from training.control import conditional_entropy, entropy
from training.measure import GRID_DB

DIGITS = find_pair("digits")
RATES = len(DIGITS.layout.rates)
SHAPE = ContentShape(HIDDEN, 2, SEEN_DB)


def shares(easy: np.ndarray) -> np.ndarray:
    """Accuracies of easy images (1 at every rate) and others (1 at the full ladder only): float [N, K, J]."""
    found = np.zeros((len(easy), RATES, len(SEEN_DB)))
    found[easy] = 1.0
    found[:, -1] = 1.0
    return found


def test_entropy_is_of_what_the_other_does_not_tell() -> None:
    a = np.array([0, 1, 0, 1])
    assert conditional_entropy(a, a) == 0.0
    assert conditional_entropy(a, np.zeros(4, int)) == 1.0
    assert conditional_entropy(a, np.array([0, 0, 1, 1])) == 1.0
    assert conditional_entropy(np.zeros(4, int), a) == 0.0
    assert entropy([3, 3, 5, 9]) == 1.5


def choices(own: np.ndarray, head: np.ndarray, found: np.ndarray) -> dict[str, Row]:
    """At one SNR and price, by way."""
    ways = {"table": own, "head": head, "oracle": found}
    return {row.way: row for row in compare(DIGITS, ways, found, [10.0], [0.001], 0)}


def test_a_head_that_says_what_the_table_says_saves_nothing_and_is_charged_nothing() -> None:
    found = shares(np.arange(50) % 2 == 0)
    own = np.repeat(found.mean(0, keepdims=True), 50, 0)
    one = choices(own, own, found)
    assert replace(one["head"], way="table") == one["table"]
    assert one["head"].control == 0.0


def test_knowing_the_image_saves_uses_and_is_charged_for_what_the_choice_tells() -> None:
    found = shares(np.arange(100) % 2 == 0)
    own = np.repeat(found.mean(0, keepdims=True), 100, 0)
    one = choices(own, found, found)
    head, table = one["head"], one["table"]
    assert (head.accuracy, table.accuracy) == (1.0, 1.0)
    layout = DIGITS.layout
    assert head.uses == pytest.approx(layout.pilots + (layout.rates[0] + layout.rates[-1]) / 2)
    assert head.control == pytest.approx(1.0)  # easy or not, and half are
    assert head.value == pytest.approx(1.0 - 0.001 * (head.uses + 1.0))
    assert (one["oracle"].value, head.value > table.value) == (head.value, True)


def test_the_head_finds_the_images_that_are_easy_and_says_what_such_images_reach() -> None:
    features = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    features[:200, 0] = torch.linspace(-2, 2, 200)
    easy = features[:, 0] > 0
    right = torch.from_numpy(shares(easy.numpy())).float()
    before = torch.random.get_rng_state()
    head = fit_head((features[200:], right[200:]), (features[:200], right[:200]), SHAPE, 0)
    said = predicted(head, features[:200])
    assert said.shape == (200, RATES, len(SEEN_DB))
    assert said[features[:200, 0] > 0.3, 0].mean() > 0.9
    assert said[features[:200, 0] < -0.3, 0].mean() < 0.1
    assert said[:, -1].min() == 1.0
    assert torch.bincount(head.group(features[:200])).tolist() == [100, 100]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_training_images_are_worth_is_not_what_the_head_says() -> None:
    """The encoder has learnt them by heart; accuracies are those of images that it has not seen."""
    features = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    by_heart, true = torch.ones(300, RATES, len(SEEN_DB)), torch.rand(300, RATES, len(SEEN_DB)).round()
    head = fit_head((features[300:], by_heart), (features[:300], true), SHAPE, 0)
    assert np.allclose(predicted(head, features[:300]).mean((0, 1)), 0.5, atol=0.1)
    for group, images in enumerate(head.group(features[:300]) == one for one in (0, 1)):
        expected = true[:300][images].mean(0)[:, 0]  # at the first two SNRs, which the running maximum leaves
        assert torch.allclose(head.table[group, :, 0], (2 * expected + true[:300][images].mean(0)[:, 1]) / 3, atol=1e-4)


def test_images_that_cannot_be_told_apart_are_one_group() -> None:
    features, right = torch.zeros(300, 8), torch.rand(300, RATES, len(SEEN_DB))
    head = fit_head((features, right), (features, right), SHAPE, 0)
    assert np.allclose(predicted(head, features), predicted(head, features)[:1])
    assert np.array_equal(*by_group(head, features, right))


def test_an_answer_is_worth_what_the_teacher_gives_it(tmp_path: Path) -> None:
    images, pair = load_images("digits", "validation").take(np.arange(40)), tiny_pair(tmp_path)

    def worth(target: torch.Tensor | None) -> torch.Tensor:
        return observed(tiny_student(), images, pair, SEEN_DB, 2, torch.Generator().manual_seed(0), target)[1]

    labels = torch.nn.functional.one_hot(torch.from_numpy(images.labels), 10).float()
    assert torch.equal(worth(labels), worth(None))
    assert torch.allclose(worth(torch.full((40, 10), 0.1)), torch.tensor(0.1))
    assert torch.allclose(worth(0.3 * labels), 0.3 * worth(None))


def test_what_is_written_is_what_the_transmitter_decides_on(tmp_path: Path) -> None:
    pair, images = tiny_pair(tmp_path / "pair"), load_images("digits", "test").images[:6]
    rates, knots = len(LAYOUT.rates), len(SEEN_DB)
    features = torch.randn(64, 2 * LAYOUT.max_symbols, generator=torch.Generator().manual_seed(0))
    easy = (features[:, :1, None] > 0).float().expand(-1, rates, knots)
    head = fit_head((features, easy), (features, easy), SHAPE, 0)
    chain = TransmitChain(write_with(head, pair, tmp_path / "with"), content=True)
    encoded = chain.encode(images)
    expected = head.accuracies(encoded.clone(), pair.accuracy.snr_db).detach().numpy()
    for one, rows in zip(encoded, expected, strict=True):
        assert np.allclose(chain.accuracy(one[None]).acc, rows, atol=1e-6)


def test_the_command_writes_a_pair_and_refuses_a_store_of_other_images(tmp_path: Path) -> None:
    pair, made = tiny_pair(tmp_path / "pair"), tmp_path / "made"
    words = ["--pair", str(pair.path), "--dataset", "digits", "--views", "1", "--snr", "5", "--price", "0.001"]
    done = CliRunner().invoke(main, [*words, "--write", str(made)], obj={}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert find_pair(made).content == ContentShape(HIDDEN, 3, GRID_DB)
    assert find_pair(made).id != pair.id
    assert "hindsight" in done.output
    with pytest.raises(ConfigError, match="--groups 1: give 2 to 100"):
        CliRunner().invoke(main, [*words, "--groups", "1"], obj={}, catch_exceptions=False)
    with pytest.raises(StoreError, match="no complete store"):
        CliRunner().invoke(main, [*words, "--store", str(tmp_path)], obj={}, catch_exceptions=False)
