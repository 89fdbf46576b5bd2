"""More is asked for by what the channel left open, and not by what the transmitter itself was not sure of."""

from typing import Any

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.pair.certainty import attainable, shares_of
from common.pair.manifest import find_pair
from common.protocol.messages import Data, Status
from scrx.decoding.brought import attainable_by
from scrx.feedback import answer
from scrx.sessions.table import Work
from sctx.rate.policy import RatePolicy
from training.lab.direct import run_direct

ATTAINABLE = [0.75, 1.0]


def asked(ask_below: int, outputs: dict[str, Any], of: list[float]) -> bool:
    """Whether a frame that is answered so asks for more."""
    data = Data(bytes(16), 0, 0, 0, 0, 0, 0, 0, 0, 0, 1000, ask_below, b"")
    work = Work(data, ("classify",), 0, 10**12)
    return answer(work, outputs, None, 0, 0, 1, of).status is Status.LOW_CONFIDENCE


@pytest.mark.parametrize(
    ("ask_below", "index", "confidence", "more"),
    [
        (90, 0, 0.68, False), (90, 0, 0.67, True),  # nine tenths of 0.75
        (90, 1, 0.91, False), (90, 1, 0.89, True),
        (0, 0, 0.0, False), (100, 0, 0.74, True), (100, 0, 0.75, False),
    ],
)  # fmt: skip
def test_what_counts_is_the_share_of_what_the_answer_can_be(
    ask_below: int, index: int, confidence: float, more: bool
) -> None:
    outputs = {"classify": {"index": index, "name": "", "confidence": confidence}}
    assert asked(ask_below, outputs, ATTAINABLE) is more


@pytest.mark.parametrize(
    "output", [{"confidence": 0.85}, {"index": 7, "confidence": 0.85}, {"index": "0", "confidence": 0.85}]
)
def test_where_the_most_is_not_known_it_is_1(output: dict[str, Any]) -> None:
    """A decoder that somebody brought: it names no class, or one that the pair has not."""
    assert asked(90, {"classify": output}, ATTAINABLE)
    assert asked(90, {"classify": {"index": 0, "confidence": 0.85}}, [])
    assert not asked(90, {"embedding": {"vector": []}}, ATTAINABLE)


def test_an_answer_can_be_as_sure_as_its_decision_was_right() -> None:
    """Two decisions have class 0 for their answer; nobody ever decides for class 2."""
    shares = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], np.float32)
    assert attainable(shares).tolist() == pytest.approx([0.7, 0.5, 1.0])


def test_it_is_the_pairs_own_decoder_that_is_known() -> None:
    class Elsewhere:
        def answer(self, soft: Any) -> list[Any]:
            return []

    own = attainable_by(None, find_pair("cifar10"))
    assert len(own) == 10
    assert min(own) < 0.85 < max(own) < 1.0
    assert attainable_by(Elsewhere(), find_pair("cifar10")) == own
    assert attainable_by(lambda symbols, gamma, tasks: [], find_pair("cifar10")) == []


def test_a_good_channel_is_asked_for_no_more_however_unsure_the_decision() -> None:
    """Photographs: one in eight decisions is wrong, so that no answer is nine tenths sure. They would all ask."""
    pair = find_pair("cifar10")
    shares = shares_of(pair)
    assert shares is not None
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    policy = RatePolicy.parse("fixed:16")
    good = [*run_direct(pair, images, ChannelSpec(snr_db=25.0), 1, policy, 0.9)]
    assert [one.round for one in good] == [0] * len(images)
    assert min(one.confidence for one in good) < 0.9
    bad = [*run_direct(pair, images, ChannelSpec(snr_db=-8.0), 1, policy, 0.9)]
    assert max(one.round for one in bad) > 0
