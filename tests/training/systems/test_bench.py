"""What every system is given: own decisions, costs, and images that are not mixed."""

import numpy as np
import pytest

from training.data.images import fingerprint
from training.systems.bench import Bench


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.open("quick", "digits")


def test_the_transmitters_own_decision_is_that_of_the_pair_without_noise(bench: Bench) -> None:
    assert bench.tx_accuracy == np.mean(bench.decide(bench.images) == bench.labels)
    assert 0.97 < bench.tx_accuracy <= 1
    alone = np.concatenate([bench.decide(one[None]) for one in bench.images[:20]])
    assert (alone == bench.tx_decided()[:20]).all()


def test_images_to_choose_on_are_not_among_those_to_fit_on_or_to_measure(bench: Bench) -> None:
    splits = [{one.tobytes() for one in part.images} for part in (bench.train(), bench.validation(), bench.test)]
    sizes = [len(part) for part in (bench.train(), bench.validation(), bench.test)]
    assert sizes == [1137, 300, 360]
    assert sum(map(len, splits)) == len(splits[0] | splits[1] | splits[2])
    assert bench.data == fingerprint(bench.test)


def test_who_decides_at_the_transmitter_pays_for_the_decoder_too(bench: Bench) -> None:
    parameters, macs = bench.encoder_cost
    more, more_macs = bench.decider_cost
    decoder = bench.manifest.decoder
    assert macs < more_macs
    assert parameters < more
    assert more_macs - macs >= 5 * bench.manifest.layout.max_symbols * decoder.hidden


def test_a_bench_of_few_images_has_the_first_ones(bench: Bench) -> None:
    few = Bench.open("quick", "digits", most=7)
    assert (few.images == bench.images[:7]).all()
    assert (few.labels == bench.labels[:7]).all()
