"""A rate chosen by the image: its own accuracy table, from a head that a pair may have or not."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from common.errors import ConfigError
from common.images.datasets import load_images
from common.manifest import Manifest, find_pair
from sctx.belief import Report
from sctx.cli import command
from sctx.pipeline import TransmitChain
from sctx.rate import Goal, RatePolicy, decide
from sctx.transmitter import Transmitter
from tests.model.pairs import with_content

IMAGES = load_images("digits", "test").images[:20]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return with_content(find_pair("digits"), tmp_path_factory.mktemp("content"))


def test_an_image_is_decided_on_by_the_table_of_its_group(pair: Manifest) -> None:
    chain, table = TransmitChain(pair, content=True), pair.accuracy
    assert chain.content is not None
    features = chain.encode(IMAGES)
    groups = chain.content.group(features).tolist()
    assert set(groups) == {0, 1, 2}
    for one, group in zip(features, groups, strict=True):
        said = chain.accuracy(one[None])
        assert said.snr_db == table.snr_db
        assert np.allclose(said.acc, np.array(table.acc) ** (3.0, 1.0, 0.3)[group], atol=1e-5)


def test_between_its_own_snrs_a_table_is_linear_in_db_and_beyond_them_constant(pair: Manifest) -> None:
    head = TransmitChain(pair, content=True).content
    assert head is not None
    features, snrs = torch.randn(4, 2 * pair.layout.max_symbols), head.shape.snr_db
    below, first, between, second = head.accuracies(features, [snrs[0] - 9, snrs[0], snrs[0] + 0.5, snrs[1]]).unbind(-1)
    assert torch.equal(below, first)
    share = 0.5 / (snrs[1] - snrs[0])
    assert torch.allclose(between, (1 - share) * first + share * second, atol=1e-6)


def test_images_under_one_report_get_rates_of_their_own(pair: Manifest) -> None:
    chain, rates, policy = TransmitChain(pair, content=True), pair.layout.rates, RatePolicy(goal=Goal("price", 0.001))
    report = Report(10.0, 10.0, 0.0, 0.0, 0, 0)
    tables = [chain.accuracy(features[None]) for features in chain.encode(IMAGES)]
    assert len({decide(policy, report, 0, rates, table).rate for table in tables}) > 1


def test_the_head_changes_nothing_for_those_who_do_not_ask_it(pair: Manifest) -> None:
    plain, shipped = TransmitChain(pair), TransmitChain(find_pair("digits"))
    assert pair.id != shipped.manifest.id
    features = plain.encode(IMAGES)
    assert torch.equal(features, shipped.encode(IMAGES))
    assert np.array_equal(plain.modulate(features, 5.0), shipped.modulate(features, 5.0))
    assert plain.accuracy(features[:1]) == shipped.manifest.accuracy


def test_a_pair_without_a_head_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"content: pair digits has no content head.*training\.content") as caught:
        Transmitter("127.0.0.1:1", content=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="no content head"):
        CliRunner().invoke(command, ["--peer", "127.0.0.1:1", "--content"], obj={}, catch_exceptions=False)
