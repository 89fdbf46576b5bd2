"""The statistics by which new classes are told apart are those of what was received; baselines are what they say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from common.errors import ConfigError, DataError
from common.images.datasets import load_images
from common.pair.manifest import SHIPPED, find_pair, shipped_pairs
from scrx.heads.judging import Judge
from scrx.heads.space import FILE, find_space
from tests.scrx.heads.spaces import LITTLE, MUCH, NOISE, WIDE, head, pictures, space
from tests.training.kinds import make
from training.enrolment.episodes import Episodes, rows_of
from training.enrolment.heard import Heard
from training.enrolment.ideal import GaussianCode, capacity_bits, finite_bits, water_level
from training.enrolment.sent import QuantisedFeatures, answers_of, bits_for, teachers_embedding
from training.enrolment.unseen import counted
from training.enrolment.whitening import fit_space, student
from training.teachers.find import load_oracle
from training.teachers.oracles import ask_both


def received(classes: int, each: int, seed: int = 0, first: int = 0) -> Heard:
    """Pictures of classes of the made space, every one both ways."""
    of, random = space(), np.random.default_rng(seed)
    means = random.normal(size=(classes, WIDE))
    label = np.tile(np.repeat(np.arange(classes), each), 2)
    bits = np.repeat([LITTLE, MUCH], classes * each)
    rows = [pictures(of, means[label[bits == one]], one, random) for one in (LITTLE, MUCH)]
    image = first + np.tile(np.arange(classes * each), 2)
    return Heard(np.concatenate(rows), bits.astype(np.float32), image, label)


def clean_of(heard: Heard) -> Heard:
    """Of these what was received well: as good as without a channel."""
    return heard.where(heard.bits == MUCH)


def test_mean_turn_and_noise_of_each_bin_are_found_again() -> None:
    """As far as they can be: a turn of u changes nothing, and the scale is that of the means that were drawn."""
    heard = received(60, 20)
    fitted, of = fit_space(heard, clean_of(heard), "", "", "", bins=2), space()
    assert LITTLE < fitted.about.edges[0] < MUCH
    for one, noise in enumerate(NOISE):
        assert fitted.noise[one] == pytest.approx(noise, rel=0.2)
        assert fitted.tail[one] >= 32
        back = np.linalg.inv(of.white[one].astype(np.float64)) @ fitted.white[one]
        assert np.allclose(back @ back.T, np.eye(WIDE), atol=0.4)


def test_as_many_pictures_of_new_classes_are_called_unknown_as_was_said() -> None:
    """Classes, pictures and channels that the limits were not measured on."""
    heard = received(30, 30)
    fitted = fit_space(heard, clean_of(heard), "", "", "", bins=2)
    fresh = received(30, 30, seed=1)
    odd = fresh.image % 2 == 1
    found = Episodes(fitted, fresh.where(odd), fresh.where(~odd), 10, 0).strangers(5, 0.05)
    assert found.unknown == pytest.approx(0.05, abs=0.03)
    assert found.found > 4 * found.unknown
    true = Episodes(space(), fresh.where(odd), fresh.where(~odd), 10, 0).strangers(5, 0.05)
    assert found.right == pytest.approx(true.right, abs=0.01)
    assert found.sure == pytest.approx(true.sure, abs=0.03)  # of which half of the pictures being strangers is no part


def test_classes_that_differ_more_than_those_known_before_are_no_more_often_unknown() -> None:
    """Pictures of new classes lie twice as far apart as those that limits were measured on: their examples tell."""
    heard = received(30, 30)
    fitted = fit_space(heard, clean_of(heard), "", "", "", bins=2)
    fresh = received(30, 30, seed=1)
    random = np.random.default_rng(2)
    wider = replace(fresh, embedding=fresh.embedding + random.normal(size=fresh.embedding.shape).astype(np.float32) / 3)
    odd = wider.image % 2 == 1
    shown, asked = wider.where(odd), wider.where(~odd)
    unknown = {count: Episodes(fitted, shown, asked, 20, 0).strangers(count, 0.05).unknown for count in (1, 5)}
    assert unknown[5] < 0.08
    assert unknown[1] == 0  # nothing is known of how far apart two pictures of a class may be


def test_episodes_judge_as_the_receiver_does() -> None:
    of, random = space(), np.random.default_rng(3)
    means = random.normal(size=(4, WIDE))
    label = np.repeat(np.arange(4), 50)
    shown = Heard(pictures(of, means, MUCH, random), np.full(4, MUCH, np.float32), np.arange(4), np.arange(4))
    asked = Heard(pictures(of, means[label], LITTLE, random), np.full(200, LITTLE, np.float32), np.arange(200), label)
    made = head(of, means[:0], 1, MUCH, random)
    from scrx.heads.head import Example

    for k in range(4):
        made = made.with_class(str(k), "", [Example("00" * 16, k, MUCH, shown.embedding[k])])
    told = Judge(made, of, 0.0).answers(asked.embedding, asked.bits)
    right = np.mean([one["likeliest"] == str(k) for one, k in zip(told, label, strict=True)])
    assert Episodes(of, shown, asked, 2, 0).accuracy(1).accuracy == pytest.approx(right)


@pytest.mark.parametrize("dof", [2.0, 8.0, 1000.0])
def test_heavy_tails_are_found(dof: float) -> None:
    random, wide = np.random.default_rng(0), 20
    scale = dof / random.chisquare(dof, 20_000)
    squares = 3.0 * scale * random.chisquare(wide, 20_000)
    found, tail = student(squares, wide)
    assert tail == dof
    assert found == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize(("classes", "each"), [(3, 100), (20, 1)])
def test_too_few_pictures_are_refused(classes: int, each: int) -> None:
    heard = received(classes, each)
    with pytest.raises(DataError, match="give more images"):
        fit_space(heard, heard, "", "", "", bins=2)


def test_quantised_features_come_as_the_books_have_them_where_the_channel_is_good() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(500, 8)).astype(np.float32)
    coder = QuantisedFeatures(features, 16, 32)
    good, bad = (coder.sent(features, snr, random) for snr in (15.0, -15.0))
    turned = features @ coder._turn.T
    assert ((good - turned) ** 2).mean() < 0.6 * (turned**2).mean()
    assert ((bad - turned) ** 2).mean() > (turned**2).mean()


@pytest.mark.parametrize("bits", [0.0, 3.0, 20.0, 200.0])
def test_an_ideal_code_leaves_as_much_error_as_the_rate_says(bits: float) -> None:
    """Against the parametric form of the rate of a Gaussian, which the code does not use."""
    random, variance = np.random.default_rng(0), np.array([9.0, 4.0, 1.0, 0.25])
    features = (random.normal(size=(200_000, 4)) * np.sqrt(variance)).astype(np.float32)
    level = water_level(variance, bits)
    assert 0.5 * np.log2(np.maximum(variance / level, 1.0)).sum() == pytest.approx(bits, abs=1e-6)
    coder = GaussianCode(features, np.eye(4), bits)
    come = coder.sent(features, random) @ coder._axes.T + features.mean(0)
    assert ((come - features) ** 2).mean(0).sum() == pytest.approx(np.minimum(variance, level).sum(), rel=0.02)


def test_errors_of_an_ideal_code_count_as_its_metric_has_them() -> None:
    """What the metric makes a hundred times as large comes first, though it varies least."""
    random = np.random.default_rng(0)
    features = (random.normal(size=(20_000, 2)) * [10.0, 1.0]).astype(np.float32)
    coder = GaussianCode(features, np.diag([0.01, 1.0]), 2.0)
    come = (coder.sent(features, random) @ coder._axes.T) / [0.01, 1.0]
    assert np.corrcoef(come[:, 1], features[:, 1])[0, 1] > 0.9
    assert abs(np.corrcoef(come[:, 0], features[:, 0])[0, 1]) < 0.1


def test_a_code_of_finite_length_carries_less_than_the_channel_and_ever_more_of_it() -> None:
    """By hand, 32 uses at 5 dB: C 2.0574 bits, V 1.9612, 2.3263 deviations, half of log2 n: 49.91 bits of 65.84."""
    shares = [finite_bits(uses, 5.0) / capacity_bits(uses, 5.0) for uses in (4, 32, 256, 10**6)]
    assert shares == sorted(shares)
    assert shares[1] == pytest.approx(49.91 / 65.84, abs=1e-4)
    assert 0.99 < shares[-1] < 1.0
    assert finite_bits(1, -10.0) == 0.0


def test_an_embedding_is_a_teachers_whatever_its_classes(tmp_path: Path) -> None:
    """The data's ten are none of its three; rows are asked in parts."""
    names = ("ant", "bee", "cow")
    folder = str(make("ResNet", tmp_path / "teacher", names))
    images = load_images("digits", "test", find_pair("digits").preprocess).take(np.arange(300))
    _, own = ask_both(load_oracle(folder, names, torch.device("cpu")), images.images)
    assert np.allclose(teachers_embedding(folder, images), own.numpy(), atol=1e-4)


def test_no_more_bits_are_tried_than_could_be_carried() -> None:
    assert bits_for(32, 20.0) == [4, 8, 12, 16, 32, 64]
    assert bits_for(16, 0.0) == [4, 8, 12, 16]
    assert bits_for(4, -10.0) == [4]


@pytest.mark.parametrize(("wrong", "right"), [(0.0, 1.0), (1.0, 0.5)])
def test_an_answer_tells_new_classes_apart_as_far_as_they_get_different_ones(wrong: float, right: float) -> None:
    """Four new classes that the pair takes for four of its own, or two and two for the same one."""
    label = np.repeat(np.arange(4), 30)
    scores = np.eye(6, dtype=np.float32)[label // 2 if wrong else label]
    rows = rows_of(answers_of(scores), label)
    assert counted(rows, rows, 3, 5, 0).accuracy == pytest.approx(right)


@pytest.mark.parametrize("name", [name for name in shipped_pairs() if (SHIPPED / name / FILE).is_file()])
def test_the_space_of_a_shipped_pair_is_its_own(name: str) -> None:
    found = find_space(find_pair(name))
    assert found.about.pair == name
    assert (found.bins(np.array([0.0, 1e3], np.float32)) == [0, len(found.noise) - 1]).all()


def test_more_examples_than_a_class_has_are_refused() -> None:
    from training.enrolment.__main__ import main

    flags = ["--pair", "digits", "--dataset", "digits", "--examples", "5,120"]
    ran = CliRunner().invoke(main, flags, obj={"log_format": "text"})
    assert isinstance(ran.exception, ConfigError)
    assert "--examples 120: class 3 has 103 pictures to be enrolled from; give at most so many" in str(ran.exception)


@pytest.mark.full
def test_the_command_measures_every_system_and_writes_what_it_shows(tmp_path: Path) -> None:
    """Classes that are not new, so that they are told apart."""
    from training.enrolment.__main__ import main

    flags = ["--pair", "digits", "--dataset", "digits", "--examples", "1,5", "--symbols", "32", "--snr=-10,10",
             "--draws", "5", "--json", str(tmp_path / "a.json"), "--figure", str(tmp_path / "a.png")]  # fmt: skip
    ran = CliRunner().invoke(main, flags, obj={"log_format": "text"})
    assert ran.exit_code == 0, ran.output
    points = json.loads((tmp_path / "a.json").read_text())["points"]
    assert {one["system"] for one in points} == {
        "link", "word", "noiseless", "features", "pq-code", "finite", "capacity", "answer"
    }  # fmt: skip
    accuracy = {(p["system"], p["snr_db"], p["examples"]): p["told"]["accuracy"] for p in points}
    assert accuracy["link", 10.0, 5] > 0.9
    assert ("finite", -10.0, 5) not in accuracy
    assert accuracy["capacity", 10.0, 5] >= accuracy["finite", 10.0, 5] > accuracy["capacity", -10.0, 5] + 0.05
    assert accuracy["link", -10.0, 5] > accuracy["link", -10.0, 1] + 0.02  # at 10 dB one is enough
    assert (tmp_path / "a.png").stat().st_size > 1000
