"""Claim 4, training data: what a teacher is worth on the same images, and what storing its answers saves in time.

Knows nothing about how a student is trained.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from training.findings.chapters.accuracy import (
    ALL,
    BESIDE,
    HOME,
    LABEL,
    OURS,
    PAIRS,
    corner_of,
    places_of,
    runs_of,
)
from training.findings.claim import EVEN, OPEN, Row, markdown, of_interval, of_less, of_standing, rows_table, unmeasured
from training.findings.headline import Headline
from training.findings.retrained import TENTH
from training.findings.sources import Sources, Suite, of_result, of_suite
from training.report.stats import written

HEAD = """\
## 4. Training data

Is a student of a teacher's stored answers more accurate than one of the true labels, on the same share of the images?
And than one of a teacher that has learnt from these images alone, by their labels? A row is resolved only where both
intervals are on one side: over images, and over training seeds. A teacher of the same images needs no label that the
true labels do not; the others had more: that of digits the labels of the set's whole training part, those of a tenth
included, and that of ImageNet the labels of ImageNet, to which these hundred classes and their pictures belong. Rivals
of a tenth were tuned and fitted for the pair of the same seed on the same tenth; accuracy beside them is the mean over
all SNRs of a suite (AWGN, channel known, 16 uses where nothing else is said), and a row is resolved where every run
says so by its places and the interval over seeds says the same.
"""
TIME = """\
**Time.** Milliseconds for an image of an epoch; the last column is a whole first run of 100 epochs, its store included.
Other work ran beside, so these times are good to a factor of two, and their ratios, taken within a run, to less.
"""
STORED = """\
**What storing fewer bytes costs.** Students of the same teacher by recipe `tinyimagenet100-small`, whose store keeps
the ten likeliest answers in 32 bytes and the embedding in 64, for four views of each image: accuracy in %, and the
difference to that store in points.
"""
KEPT = "encodings-tinyimagenet100"
MORE = {"encoding int8": "all hundred answers, 102 bytes", "embedding 256": "the embedding in 256 bytes",
        "views 1": "one view"}  # fmt: skip
"""Variant -> what is stored instead."""
SMALL, ALL_IMAGES, IMAGENET, THESE = "tinyimagenet100-small", "of all its images", "of ImageNet", "of the same images"
FRACTIONS = {
    "fractions-digits": ("digits", ALL_IMAGES), "fractions-tinyimagenet100": (SMALL, IMAGENET),
    "fractions-tinyimagenet100-own": (SMALL, IMAGENET), "fractions-tinyimagenet100-tenth": (SMALL, IMAGENET),
}  # fmt: skip
"""Result -> the pair, or the recipe of smaller ones; and what the teacher of all has learnt from."""
SAVINGS = {"savings-digits": ("digits", 10), "savings-tinyimagenet100": ("tinyimagenet100", 4),
           "savings-vit": ("cifar10", 10)}  # fmt: skip
"""Result -> the pair whose student it times, and views that its recipe stores."""
EPOCHS = 100
TRUE, TAUGHT, SAME = " % true labels", " % teacher of all", " % teacher of the same"
TO_SAME = "to_same_"
PHOTOGRAPHS, RIVALS = "cifar10, tinyimagenet100", ("JPEG + LDPC", "DT-JSCC", "VFE")
"""Which were not trained on a share of these."""
VARIANTS = {"no-distillation": "true labels alone", "online-distillation": "the teacher in each step"}


def rows(sources: Sources) -> list[Row]:
    """What distillation is worth in accuracy; the pairs of which it is not known, last."""
    found = [*_shares(sources), *_variants(sources)]
    there = {one.pair for one in found}
    absent = [unmeasured(pair, ("true labels alone",), 4) for pair in PAIRS if pair not in there]
    rivals = list(_rivals(sources)) or [unmeasured("digits", RIVALS, 4)]
    return [*found, *absent, *_label(sources), *rivals, unmeasured(PHOTOGRAPHS, RIVALS, 4)]


def _rivals(sources: Sources) -> Iterator[Row]:
    """Ours of a tenth of the images beside rivals of the same tenth, each with as many training seeds."""
    suites = runs_of(sources, TENTH)
    for system, name in BESIDE.items():
        there = {seed: suite for seed, suite in suites.items() if suite.has(system)}
        if system == LABEL or not there:
            continue
        corner = corner_of(next(iter(there.values())), system)
        means = {seed: found for seed, suite in there.items() if (found := _means(suite, system, corner))}
        if not means:
            continue
        gaps = Headline({seed: 100 * (ours - theirs) for seed, (ours, theirs) in means.items()})
        both = " / ".join(f"{100 * sum(some) / len(some):.1f}" for some in zip(*means.values(), strict=True))
        standings = [suite.standing(OURS, system) for suite in there.values()]
        verdicts = {of_standing(one) for one in standings} | {of_interval(*(gaps.interval or (0.0, -1.0, 1.0))[1:])}
        told = f"{gaps.told(1, sign=True)}; places {', '.join(places_of(one, system) for one in there.values())}"
        uses = "" if corner == HOME else f", {corner[2]} uses"
        yield Row("digits", name + uses, ("10 %", THESE, both, told), verdicts.pop() if len(verdicts) == 1 else OPEN,
                  " ".join(of_result(one.name) for one in there.values()))  # fmt: skip


def _means(suite: Suite, system: str, corner: tuple[str, str, int]) -> tuple[float, float] | None:
    """Accuracy of ours and of another over the SNRs at which both have one, 0..1; None where there is none."""
    snrs = [snr for one, *where, snr in suite.accuracy if (one, *where) == (system, *corner)]
    both = [(suite.accuracy[OURS, *corner, snr], suite.accuracy[system, *corner, snr]) for snr in snrs
            if (OURS, *corner, snr) in suite.accuracy]  # fmt: skip
    return (float(np.mean([one for one, _ in both])), float(np.mean([one for _, one in both]))) if both else None


def _label(sources: Sources) -> list[Row]:
    """The label code has no training of its own, and whatever ours learnt from is what it learnt from."""
    there = [suite for pair in PAIRS if (suite := sources.suite_of(pair)) is not None and suite.has(LABEL)]
    cells = ("the same", "the same", "the same encoder", "nothing else is trained")
    said = " ".join(of_suite(suite.name) for suite in there)
    return [Row(ALL, "label code", cells, EVEN, said) if there else unmeasured(ALL, ("label code",), 4)]


def _shares(sources: Sources) -> Iterator[Row]:
    """Each share of the images: the student of a teacher beside that of the true labels, and beside that of a teacher
    which has seen these images alone."""
    for result, (pair, outside) in FRACTIONS.items():
        known = shares(sources, result)
        for share in [name.removesuffix(TRUE) for name in known if name.endswith(TRUE)]:
            taught, own = known.get(f"{share}{TAUGHT}"), known.get(f"{share}{SAME}")
            for row, teacher in ((taught, outside), (own, THESE)):
                if row is not None:
                    yield _share(
                        result, pair, (f"{share} %", teacher), "true labels alone", row, known[f"{share}{TRUE}"]
                    )
            if taught is not None and own is not None:
                beside = {key.removeprefix(TO_SAME): value for key, value in taught.items() if key.startswith(TO_SAME)}
                yield _share(result, pair, (f"{share} %", outside), f"a teacher {THESE}", {**taught, **beside}, own)


def _share(
    result: str, pair: str, what: tuple[str, str], beside: str, taught: Mapping[str, Any], other: Mapping[str, Any]
) -> Row:  # fmt: skip
    """One row. taught: with its difference to `other`."""
    seeds = Headline(dict(enumerate(taught["difference_over_seeds"])))
    low, high = taught["ci95"]
    gap = f"{written(taught['difference'], low, high)} over images; {seeds.told(1, sign=True)}"
    cells = (*what, f"{taught['accuracy']:.1f} / {other['accuracy']:.1f}", gap)
    over = seeds.interval or (0.0, -1.0, 1.0)
    return Row(pair, beside, cells, of_interval(min(low, over[1]), max(high, over[2])), of_result(result))


def shares(sources: Sources, result: str) -> Mapping[str, Mapping[str, Any]]:
    """Rows of `training.fractions` by their names; none where the result is not there."""
    return {one["name"]: one for one in (sources.found(result) or {"rows": []})["rows"]}


def _variants(sources: Sources) -> Iterator[Row]:
    """All images, the pair that ships: paired over the places of its suite."""
    suite = sources.suite_of("digits")
    for system, name in VARIANTS.items():
        found = suite.standing("ours", system) if suite is not None else None
        if suite is not None and found is not None:
            cells = (
                "100 %",
                ALL_IMAGES,
                "-",
                f"places won, lost: +{found.ahead} -{found.behind} of {found.places}; one training seed",
            )
            yield Row("digits", name, cells, of_standing(found), of_suite(suite.name))


def time_rows(sources: Sources) -> list[Row]:
    """Stored answers beside the teacher in each step: time of an epoch, and of a first run with its store."""
    found = []
    for result, (pair, views) in SAVINGS.items():
        report = sources.found(result)
        if report is None:
            found.append(unmeasured(pair, ("the teacher in each step",), 4))
            continue
        one = report["savings"]
        stored, online = one["stored_epoch_s"], one["online_epoch_s"]
        first = views * one["generate_s"] + EPOCHS * stored
        cells = (
            f"{1e3 * stored:.2f}",
            f"{1e3 * online:.2f}",
            f"{online / stored:.1f}",
            f"{EPOCHS * online / first:.1f}",
        )
        found.append(Row(pair, f"{one['teacher']}, in each step", cells, of_less(first, EPOCHS * online),
                         of_result(result)))  # fmt: skip
    return found


def kept_rows(sources: Sources) -> list[tuple[str, ...]]:
    """Other stores than the recipe's; none where they were not measured."""
    known = shares(sources, KEPT)
    found: list[tuple[str, ...]] = []
    for name, what in MORE.items():
        if name in known:
            one = known[name]
            seeds = Headline(dict(enumerate(one["difference_over_seeds"])))
            gap = written(one["difference"], *one["ci95"])
            found.append((what, f"{one['accuracy']:.1f}", gap, seeds.told(1, sign=True), of_result(KEPT)))
    if found:
        whole = known["full method"]
        each = " ".join(f"{one:.1f}" for one in whole["over_seeds"])
        found.insert(
            0, ("as the recipe says", f"{whole['accuracy']:.1f}", "-", f"accuracy by seed: {each}", of_result(KEPT))
        )
    return found


def section(sources: Sources) -> list[str]:
    """The claim, as Markdown."""
    taught = ("images", "teacher", "accuracy, %: taught / beside", "difference, points")
    times = ("stored, ms", "online, ms", "online / stored, epoch", "first run")
    made = [HEAD, *rows_table(taught, rows(sources)), TIME, *rows_table(times, time_rows(sources))]
    if kept := kept_rows(sources):
        made += [STORED, *markdown(("stored", "accuracy", "over images", "over training seeds", "from"), kept)]
    return made
