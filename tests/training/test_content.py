"""A rate chosen by the image: what it may save, what it is charged, and that the head sees which images are easy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from common.data import load_images
from common.errors import StoreError
from common.manifest import find_pair
from sctx.content import base_logits
from sctx.pipeline import TransmitChain
from tests.model.pairs import LAYOUT, tiny_pair, tiny_student
from training.content import SHAPE, compare, fit_head, main, observed, tables, write_with
from training.control import conditional_entropy, entropy

DIGITS = find_pair("digits")
RATES = len(DIGITS.layout.rates)


def shares(easy: np.ndarray) -> np.ndarray:
    """Accuracies of easy images (1 at every rate) and others (1 at the full ladder only): float [N, K, J]."""
    found = np.zeros((len(easy), RATES, len(SHAPE.snr_db)))
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


def test_a_head_that_says_what_the_table_says_saves_nothing_and_is_charged_nothing() -> None:
    found = shares(np.arange(50) % 2 == 0)
    own = np.repeat(found.mean(0, keepdims=True), 50, 0)
    table, head, _ = compare(DIGITS, own, own, found, [10.0], [0.001], 0)
    assert (head.accuracy, head.uses, head.control, head.value) == (table.accuracy, table.uses, 0.0, table.value)


def test_knowing_the_image_saves_uses_and_is_charged_for_what_the_choice_tells() -> None:
    found = shares(np.arange(100) % 2 == 0)
    own = np.repeat(found.mean(0, keepdims=True), 100, 0)
    table, head, oracle = compare(DIGITS, own, found, found, [10.0], [0.001], 0)
    assert (head.accuracy, table.accuracy) == (1.0, 1.0)
    layout = DIGITS.layout
    assert head.uses == pytest.approx(layout.pilots + (layout.rates[0] + layout.rates[-1]) / 2)
    assert head.control == pytest.approx(1.0)  # easy or not, and half are
    assert head.value == pytest.approx(1.0 - 0.001 * (head.uses + 1.0))
    assert (oracle.value, head.value > table.value) == (head.value, True)


def test_the_head_finds_the_images_that_are_easy() -> None:
    features = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    right = torch.from_numpy(shares((features[:, 0] > 0).numpy())).float()
    table = replace(DIGITS.accuracy, acc=((0.5,) * len(DIGITS.accuracy.snr_db),) * RATES)
    manifest, before = replace(DIGITS, accuracy=table), torch.random.get_rng_state()
    head = fit_head((features[200:], right[200:]), (features[:200], right[:200]), manifest, 0)
    predicted = tables(head, features[:200], manifest)
    assert predicted[features[:200, 0] > 0.3, 0].mean() > 0.9
    assert predicted[features[:200, 0] < -0.3, 0].mean() < 0.1
    assert predicted.shape == (200, RATES, len(SHAPE.snr_db))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_learnt_by_heart_make_no_image_look_easier_than_the_table_says() -> None:
    """Whatever the training images are worth, the mean over held-out images is the pair's own table."""
    features = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    by_heart, true = torch.ones(300, RATES, len(SHAPE.snr_db)), torch.rand(300, RATES, len(SHAPE.snr_db)).round()
    head = fit_head((features[300:], by_heart), (features[:300], true), DIGITS, 0)
    with torch.no_grad():
        logits = base_logits(DIGITS.accuracy, SHAPE.snr_db)
        assert torch.allclose((logits + head(features[:300])).sigmoid().mean(0), logits.sigmoid(), atol=1e-3)


def test_a_head_that_would_be_worse_than_the_table_learns_nothing() -> None:
    features, right = torch.randn(300, 8, generator=torch.Generator().manual_seed(0)), torch.ones(300, RATES, 8)
    wrong = (features[:, 0] > 0).float()[:, None, None] * right
    held = base_logits(DIGITS.accuracy, SHAPE.snr_db).sigmoid().expand(300, -1, -1)
    head = fit_head((features, wrong), (features, held), DIGITS, 0)
    with torch.no_grad():
        assert head(features).abs().max() == 0.0


def test_an_answer_is_worth_what_the_teacher_gives_it(tmp_path: Path) -> None:
    images, pair = load_images("digits", "validation").take(np.arange(40)), tiny_pair(tmp_path)

    def worth(target: torch.Tensor | None) -> torch.Tensor:
        return observed(tiny_student(), images, pair, 2, torch.Generator().manual_seed(0), target)[1]

    labels = torch.nn.functional.one_hot(torch.from_numpy(images.labels), 10).float()
    assert torch.equal(worth(labels), worth(None))
    assert torch.allclose(worth(torch.full((40, 10), 0.1)), torch.tensor(0.1))
    assert torch.allclose(worth(0.3 * labels), 0.3 * worth(None))


def test_what_is_written_is_what_the_transmitter_decides_on(tmp_path: Path) -> None:
    pair, images = tiny_pair(tmp_path / "pair"), load_images("digits", "test").images[:6]
    rates, knots = len(LAYOUT.rates), len(SHAPE.snr_db)
    features = torch.randn(64, 2 * LAYOUT.max_symbols, generator=torch.Generator().manual_seed(0))
    easy = (features[:, :1, None] > 0).float().expand(-1, rates, knots)
    head = fit_head((features, easy), (features, easy), pair, 0)
    chain = TransmitChain(write_with(head, pair, tmp_path / "with"), content=True)
    encoded = chain.encode(images)
    expected = head.accuracies(encoded.clone(), pair.accuracy, pair.accuracy.snr_db).detach().numpy()
    for one, rows in zip(encoded, expected, strict=True):
        assert np.allclose(chain.accuracy(one[None]).acc, rows, atol=1e-6)


def test_the_command_writes_a_pair_and_refuses_a_store_of_other_images(tmp_path: Path) -> None:
    pair, made = tiny_pair(tmp_path / "pair"), tmp_path / "made"
    words = ["--pair", str(pair.path), "--dataset", "digits", "--views", "1", "--snr", "5", "--price", "0.001"]
    done = CliRunner().invoke(main, [*words, "--write", str(made)], obj={}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert find_pair(made).content == SHAPE
    assert find_pair(made).id != pair.id
    again = CliRunner().invoke(main, [*words, "--learn-from", "validation"], obj={}, catch_exceptions=False)
    assert again.exit_code == 0, again.output
    with pytest.raises(StoreError, match="no complete store"):
        CliRunner().invoke(main, [*words, "--store", str(tmp_path)], obj={}, catch_exceptions=False)
