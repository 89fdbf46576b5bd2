"""Classes are told apart as their own model says: right where that can be known, sure as often as right, or unknown."""

from dataclasses import replace

import numpy as np
import pytest

from scrx.heads.head import Example, Head
from scrx.heads.judging import NEAREST, Judge
from tests.scrx.heads.spaces import LITTLE, MUCH, WIDE, examples, head, pair, pictures, space

CLASSES, ASKED = 5, 200


@pytest.mark.parametrize("learnt", [LITTLE, MUCH])
@pytest.mark.parametrize("asked", [LITTLE, MUCH])
@pytest.mark.parametrize("count", [1, 5])
def test_confidence_is_the_chance_of_being_right_whatever_the_channels_were(
    learnt: float, asked: float, count: int
) -> None:
    """Pictures of the classes and of one more, as many: the model is true, so its chances must be."""
    of, right, sure = space(), [], []
    for seed in range(12):
        random = np.random.default_rng(seed)
        means = random.normal(size=(CLASSES + 1, WIDE))
        judge = Judge(head(of, means[:-1], count, learnt, random), of, 0.0)
        label = random.integers(0, CLASSES + 1, ASKED)
        told = judge.answers(pictures(of, means[label], asked, random), np.full(ASKED, asked, np.float32))
        right += [one["likeliest"] == f"c{k}" for one, k in zip(told, label, strict=True)]
        sure += [one["confidence"] for one in told]
    assert np.mean(right) > 0.55
    assert np.mean(sure) == pytest.approx(np.mean(right), abs=0.03)
    surest = np.argsort(sure)[-len(sure) // 4 :]
    assert np.mean(np.array(sure)[surest]) == pytest.approx(np.mean(np.array(right)[surest]), abs=0.04)


def test_a_poor_example_counts_less_than_a_good_one() -> None:
    """One good and four poor examples are better than the good one alone, and than as many poor ones."""
    of, found = space(), {"good": 0.0, "both": 0.0, "poor": 0.0}
    for seed in range(16):
        random = np.random.default_rng(seed)
        means = random.normal(size=(CLASSES, WIDE)) * 0.7
        label = random.integers(0, CLASSES, ASKED)
        shown = pictures(of, means[label], LITTLE, random)
        drawn = [(examples(of, mean, 1, MUCH, random), examples(of, mean, 5, LITTLE, random)) for mean in means]
        for kind, chosen in {
            "good": [good for good, _ in drawn],
            "poor": [poor[:4] for _, poor in drawn],
            "both": [good + poor[:4] for good, poor in drawn],
        }.items():
            made = Head.empty("h", pair(), WIDE)
            for k, rows in enumerate(chosen):
                made = made.with_class(f"c{k}", "", rows)
            told = Judge(made, of, 0.0).answers(shown, np.full(ASKED, LITTLE, np.float32))
            found[kind] += np.mean([one["likeliest"] == f"c{k}" for one, k in zip(told, label, strict=True)]) / 16
    assert found["both"] > max(found["good"], found["poor"]) + 0.005


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_as_many_pictures_of_enrolled_classes_are_unknown_as_was_said(share: float) -> None:
    """The limit is measured on other pictures of the same model; strangers are found more often than that."""
    bare, ratios = space(), []
    for seed in range(20):
        random = np.random.default_rng(1000 + seed)
        means = random.normal(size=(CLASSES, WIDE))
        scores = Judge(head(bare, means, 5, MUCH, random), bare, 0.0).scores(
            pictures(bare, np.repeat(means, 40, 0), MUCH, random), np.full(40 * CLASSES, MUCH, np.float32)
        )
        ratios.append(scores.likely.max(1) - scores.stranger)
    limits = bare.limits.copy()
    limits[1, :, :] = np.quantile(np.concatenate(ratios), (0.05, 0.2))
    of, ours, strangers = replace(bare, limits=limits), [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        means = random.normal(size=(CLASSES, WIDE))
        judge, bits = Judge(head(of, means, 5, MUCH, random), of, share), np.full(200, MUCH, np.float32)
        told = judge.answers(pictures(of, np.repeat(means, 40, 0), MUCH, random), bits)
        ours += [one["name"] is None for one in told]
        others = pictures(of, random.normal(size=(200, WIDE)), MUCH, random)
        strangers += [one["name"] is None for one in judge.answers(others, bits)]
    assert np.mean(ours) == pytest.approx(share, abs=0.01 + 0.15 * share)
    assert np.mean(strangers) > 0.9


def test_an_answer_names_class_group_and_the_nearest_stored_pictures() -> None:
    of, random = space(limit=-1e9), np.random.default_rng(0)
    means = 3.0 * random.normal(size=(4, WIDE))
    made = Head.empty("h", pair(), WIDE)
    for k, mean in enumerate(means):
        rows = [replace(one, session=f"{k:02x}" * 16) for one in examples(of, mean, 2, MUCH, random)]
        made = made.with_class(f"c{k}", "even" if k % 2 == 0 else "odd", rows)
    (told,) = Judge(made, of, 0.05).answers(made.embedding[4:5], made.bits[4:5])
    assert (told["name"], told["group"]) == ("c2", "even")
    assert told["group_confidence"] == pytest.approx(1.0, abs=1e-3)
    near = told["nearest"]
    assert isinstance(near, list)
    assert [(one["name"], one["session"], one["seq"]) for one in near[:2]] == [
        ("c2", "02" * 16, 0),
        ("c2", "02" * 16, 1),
    ]
    assert near[0]["distance"] == pytest.approx(0.0, abs=0.02)
    assert 0.2 < near[1]["distance"] < 2.0 < near[2]["distance"]
    assert len(near) == NEAREST


@pytest.mark.parametrize("rows", [1, 7])
def test_one_picture_is_judged_alone_as_among_others(rows: int) -> None:
    of, random = space(), np.random.default_rng(0)
    judge = Judge(head(of, random.normal(size=(3, WIDE)), 2, MUCH, random), of, 0.05)
    shown = random.normal(size=(rows, WIDE)).astype(np.float32)
    bits = np.array([LITTLE, MUCH] * 4, np.float32)[:rows]
    alone = [judge.answers(shown[k : k + 1], bits[k : k + 1])[0] for k in range(rows)]
    assert judge.answers(shown, bits) == alone


def test_a_class_of_one_example_and_a_head_of_one_class_are_judged() -> None:
    of = space()
    made = Head.empty("h", pair(), WIDE).with_class("a", "", [Example("00" * 16, 0, MUCH, of.mean[1])])
    (told,) = Judge(made, of, 0.0).answers(of.mean[1:2], np.array([MUCH], np.float32))
    assert told["name"] == "a"
    assert 0.5 < told["confidence"] <= 1.0  # type: ignore[operator]
