"""Pairs at the places of a suite: what fits, what they are told, and what is said where there is no number."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.errors import ModelError
from common.pair.manifest import find_pair
from training.lab.evaluation import Lab, Setting
from training.systems import bench as benches
from training.systems.bench import Bench
from training.systems.ours import VARIANTS, Ours, trained_otherwise
from training.systems.system import NotThere, Place
from training.systems.teacher_alone import TeacherAlone, keep
from training.systems.with_feedback import OursAdaptive

FEW = 24


@pytest.fixture(scope="module", autouse=True)
def alone() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.open("quick", "digits", most=FEW)


@pytest.fixture
def nothing_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(benches, "SHIPPED", tmp_path)
    return tmp_path


def test_the_longest_prefix_that_fits_with_its_pilots_is_sent(bench: Bench) -> None:
    ours = Ours(bench)
    sent = {
        (csi, n): ours.measure(Place("awgn", csi, n, 3.0), 0, 0).uses
        for csi, n in (("perfect", 8), ("perfect", 64), ("estimated", 10), ("estimated", 16), ("estimated", 64))
    }
    assert sent == {("perfect", 8): 8, ("perfect", 64): 32, ("estimated", 10): 10, ("estimated", 16): 16,
                    ("estimated", 64): 40}  # fmt: skip


@pytest.mark.parametrize("n", [8, 9])
def test_where_nothing_fits_the_reason_is_said(bench: Bench, n: int) -> None:
    for system in (Ours(bench), OursAdaptive(bench)):
        with pytest.raises(NotThere, match=f"8 pilots and the shortest prefix, 2 symbols, are more than {n}"):
            system.measure(Place("block-rayleigh", "estimated", n, 0.0), 0, 0)


@pytest.mark.parametrize(
    ("channel", "csi", "known"),
    [("awgn", "perfect", "known"), ("block-rayleigh", "perfect", "perfect"), ("awgn", "estimated", "estimated")],
)
def test_a_place_means_what_it_means_to_evaluate(bench: Bench, channel: str, csi: str, known: str) -> None:
    setting = Setting(channel, known, 0.0, 8, 1, 5, 0, 0.0, 0.0)
    theirs = Lab(bench.manifest, bench.images).decide(setting, 3)
    measured = Ours(bench).measure(Place(channel, csi, 16 if csi == "estimated" else 8, 0.0), 3, 5)
    assert measured.decided is not None
    assert (measured.decided == theirs).all()
    assert (measured.right == (theirs == bench.labels)).all()


def test_the_closed_loop_keeps_to_its_budget_and_sends_less_where_less_will_do(bench: Bench) -> None:
    adaptive = OursAdaptive(bench)
    low, high = (adaptive.measure(Place("awgn", "estimated", 24, snr_db), 0, 0) for snr_db in (-10.0, 20.0))
    assert high.uses < low.uses <= 24
    with pytest.raises(NotThere, match="without pilots"):
        adaptive.measure(Place("awgn", "perfect", 24, 0.0), 0, 0)


def test_what_is_not_trained_names_the_command_that_trains_it(bench: Bench, nothing_shipped: Path) -> None:
    place = Place("awgn", "perfect", 16, 0.0)
    for name in VARIANTS:
        with pytest.raises(NotThere, match=f"training.baseline --suite quick --system {name}$"):
            trained_otherwise(bench, name)
    with pytest.raises(NotThere, match=r"training\.baseline --suite quick --system teacher$"):
        TeacherAlone(bench).measure(place, 0, 0)


def test_a_pair_of_other_classes_or_images_is_no_variant(bench: Bench) -> None:
    with pytest.raises(NotThere, match="32 x 32 x 3"):
        bench.of(find_pair("cifar10"))


def test_the_teachers_answers_are_only_to_the_images_that_it_saw(bench: Bench, nothing_shipped: Path) -> None:
    decided = np.where(np.arange(FEW) < 3, (bench.labels + 1) % 10, bench.labels)
    keep(bench, decided, {"teacher": "a test"})
    numbers = {
        TeacherAlone(bench).measure(Place(channel, "perfect", n, snr_db), 0, 0).right.mean()
        for channel, n, snr_db in (("awgn", 8, -10.0), ("block-rayleigh", 64, 20.0))
    }
    assert numbers == {1 - 3 / FEW}
    assert TeacherAlone(bench).about["teacher"] == "a test"
    with pytest.raises(NotThere, match="other images"):
        TeacherAlone(Bench.open("quick", "digits", most=5)).measure(Place("awgn", "perfect", 8, 0.0), 0, 0)
    path = bench.weights(TeacherAlone.name).with_suffix(".json")
    for damaged in ('{"cut":', "[]", json.dumps({"data": bench.data, "decided": [1, 2]}),
                    json.dumps({"data": bench.data, "decided": [10] * len(bench.labels)})):  # fmt: skip
        path.write_text(damaged)
        with pytest.raises(ModelError, match=r"teacher\.json: .*python -m training\.baseline"):
            TeacherAlone(bench).measure(Place("awgn", "perfect", 8, 0.0), 0, 0)
