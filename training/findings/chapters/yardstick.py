"""Targets that were fixed before the runs that count, and what was found: reached, not reached, or not measured.

The bounds below are the targets themselves; everything beside them comes from results. Knows nothing about claims.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from training.findings.chapters import feedback_worth, latency, later, training_data
from training.findings.chapters.accuracy import HOME, LABEL, OURS
from training.findings.claim import markdown, percent
from training.findings.sources import Sources, of_result, of_suite
from training.report.stats import Interval, written

WORDS, VIT_TIME = "words-cifar10", "savings-vit"
WORDS_OF_SEEDS, AS_NEAR_DB, WORST_DB, ALIKE = "words-tinyimagenet100", 10.0, (-10.0, -6.0), 0.02
"""By which a fixed word is the twin of told: at that SNR they miss the same of the features, to that share."""
VIEWS, EPOCHS = 10, 100
Answer = tuple[str, bool, str] | None
"""What was found, whether that reaches the target, and the file; None where it was not measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """asked: in words; found: from the sources."""

    asked: str
    found: Callable[[Sources], Answer]


def _noise(sources: Sources) -> Answer:
    suite = sources.suite_of("cifar10")
    if suite is None:
        return None
    own = next(one["tx_accuracy"] for one in suite.document["points"] if one["system"] == OURS)
    lost = [100 * (own - suite.accuracy[OURS, *HOME, snr]) for snr in (0.0, 10.0)]
    return f"{lost[0]:.2f} and {lost[1]:.2f} points", lost[0] <= 0.8 and lost[1] <= 0.1, of_suite("cifar10")


def _clean(sources: Sources) -> Answer:
    suite = sources.suite_of("cifar10")
    if suite is None:
        return None
    own = next(one["tx_accuracy"] for one in suite.document["points"] if one["system"] == OURS)
    return f"{percent(own, 2)} %", own >= 0.88, of_suite("cifar10")


def _faded(sources: Sources) -> Answer:
    suite = sources.suite_of("cifar10")
    right = None if suite is None else suite.accuracy.get((OURS, "block-rayleigh", "estimated", 32, 10.0))
    return None if right is None else (f"{percent(right)} %", right >= 0.863, of_suite("cifar10"))


def _near_label(sources: Sources) -> Answer:
    suite = sources.suite_of("cifar10")
    if suite is None:
        return None
    gaps = [right - suite.accuracy[OURS, *HOME, snr] for (name, *where, snr), right in suite.accuracy.items()
            if name == LABEL and tuple(where) == HOME]  # fmt: skip
    return f"{100 * max(gaps):.2f} points at most", max(gaps) <= 0.005, of_suite("cifar10")


def _nearer(sources: Sources) -> Answer:
    """Beside those fixed words that are within 0.3 points of told at every SNR."""
    report = sources.found(WORDS)
    if report is None:
        return None
    at = {(one["words"], one["snr_db"]): one for one in report["points"]}
    told = {snr: one for (words, snr), one in at.items() if words == "told"}
    fixed = sorted({words for words, _ in at} - {"told"})
    near = [words for words in fixed if all(at[words, snr]["accuracy"] >= one["accuracy"] - 0.003
                                            for snr, one in told.items())]  # fmt: skip
    if not near:
        return "no fixed word is as accurate", True, of_result(WORDS)
    nearer = {
        snr: min(1 - told[snr]["missed"] / at[words, snr]["missed"] for words in near) for snr in (3.0, 6.0, 10.0)
    }
    said = ", ".join(f"{100 * share:.0f}" for share in nearer.values())
    return (f"{said} % at 3, 6 and 10 dB", nearer[3.0] >= 0.15 and min(nearer[6.0], nearer[10.0]) >= 0.25,
            of_result(WORDS))  # fmt: skip


def _told(sources: Sources) -> Answer:
    """Beside the fixed word whose features are as near at 10 dB, by each training seed: what telling is worth."""
    results = [name for name in (WORDS_OF_SEEDS, *(f"{WORDS_OF_SEEDS}-seed-{seed}" for seed in (1, 2)))
               if sources.found(name)]  # fmt: skip
    gaps: dict[float, list[Interval]] = {}
    for name in results:
        at = {(one["words"], one["snr_db"]): one for one in (sources.found(name) or {})["points"]}
        missed = {words: one["missed"] for (words, snr), one in at.items() if snr == AS_NEAR_DB}
        twin = min((words for words in missed if words != "told"), key=lambda one: abs(missed[one] - missed["told"]))
        if abs(missed[twin] / missed["told"] - 1) > ALIKE:
            return f"no fixed word has features as near at {AS_NEAR_DB:g} dB", False, of_result(name)
        for (words, snr), one in at.items():
            if words == twin:
                mean, low, high = (-100 * end for end in one["difference"])
                gaps.setdefault(snr, []).append((mean, high, low))
    if not gaps:
        return None
    means = {snr: float(np.mean([mean for mean, _, _ in some])) for snr, some in gaps.items()}
    lowest = min(low for snr, some in gaps.items() if snr not in WORST_DB for _, low, _ in some) + 0.0
    others = min(mean for snr, mean in means.items() if snr not in WORST_DB) + 0.0  # no -0
    said = " and ".join(f"{means[snr]:+.1f}" for snr in WORST_DB)
    reached = min(means[snr] for snr in WORST_DB) >= 2.0 and others >= -0.1 and lowest >= -0.4
    return (f"{said} points at {WORST_DB[0]:g} and {WORST_DB[1]:g} dB, {len(results)} training seeds; elsewhere "
            f"{others:+.2f} at least, {lowest:+.2f} by its interval", reached, of_result(WORDS_OF_SEEDS))  # fmt: skip


def _over_the_word(sources: Sources) -> Answer:
    """Features beside every symbol the word's, where most is sent and shown."""
    known = later.told(sources)
    if not known:
        return None
    right = {one[:2]: found["accuracy"] for one, found in known.items() if one[2:] == (10.0, 20)}
    gains = {symbols: 100 * (right[later.LINK, symbols] - right["word", symbols]) for symbols in (56, 32)}
    said = ", ".join(f"{gain:+.1f} points with {symbols} symbols" for symbols, gain in gains.items())
    return f"{said}, twenty examples", gains[56] >= 20.0, of_result(later.RESULT)


def _hundred(sources: Sources) -> Answer:
    suite = sources.suite_of("tinyimagenet100")
    right = None if suite is None else suite.accuracy.get((OURS, "awgn", "perfect", 64, 10.0))
    return None if right is None or suite is None else (f"{percent(right)} %", right >= 0.45, of_suite(suite.name))


def _enrolled(sources: Sources) -> Answer:
    known = later.told(sources)
    if not known:
        return None
    keys = (later.LINK, 32, 5.0, 5), (later.FEATURES, None, None, 5), ("pq-code", 32, 5.0, 5)
    link, bound, rival = (known[key]["accuracy"] for key in keys)
    said = f"{percent(link / bound, 0)} %, and {100 * (link - rival):+.1f} points"
    return said, link >= 0.9 * bound and link > rival, of_result(later.RESULT)


def _quick(result: str, sources: Sources) -> Answer:
    known = latency.times(sources, result)
    vit = latency.times(sources, latency.RESULT).get(latency.VIT)
    if vit is None or "cifar10" not in known:
        return None
    share = known["cifar10"]["stages_us"]["encode"] / 1e3 / vit["encode_cpu_ms"]
    return f"1/{1 / share:.0f}", share <= 0.01, of_result(result)


def _stored(sources: Sources) -> Answer:
    report = sources.found(VIT_TIME)
    if report is None:
        return None
    one = report["savings"]
    epoch = one["online_epoch_s"] / one["stored_epoch_s"]
    first = EPOCHS * one["online_epoch_s"] / (VIEWS * one["generate_s"] + EPOCHS * one["stored_epoch_s"])
    return f"{epoch:.0f} and {first:.1f} times", epoch >= 50 and first >= 8, of_result(VIT_TIME)


def _corrected(sources: Sources) -> Answer:
    report = sources.found(feedback_worth.MISLED)
    if report is None:
        return None
    soon, later_ = (max(row[part]["lost_corrected"][0] for row in report["rows"]) for part in ("next", "then"))
    said = f"{soon:.1f} points at most among images 20 to 40, {later_:.1f} after 40"
    return said, max(soon, later_) <= 1.0, of_result(feedback_worth.MISLED)


def _ahead(sources: Sources) -> Answer:
    """By number, over AWGN with 16 uses; and at how many of these places beyond chance."""
    suite = sources.suite_of("cifar10")
    rivals = ("dt-jscc-ours", "vfe", "separate")
    if suite is None:
        return None
    grid = sorted({key[-1] for key in suite.accuracy if key[0] == OURS and -6 <= key[-1] <= 20})
    gaps = [suite.difference(one, OURS, HOME, snr) for one in rivals for snr in grid]  # theirs less ours
    known = [one for one in gaps if one is not None]
    if len(known) < len(gaps):
        return None
    least, sure = -100 * max(gap for gap, _, _ in known), sum(high < 0 for _, _, high in known)
    said = f"{least:+.2f} points at least; by its interval at {sure} of {len(known)} places"
    return said, least > 0, of_suite(suite.name)


def _taught(result: str, row: str, asked: float, sources: Sources) -> Answer:
    """Of the small transmitters. row: share of the images and teacher, as `training.fractions` names it."""
    found = training_data.shares(sources, result).get(row)
    if found is None:
        return None
    said = f"{written(found['difference'], *found['ci95'])} points"
    return said, found["difference"] >= asked, of_result(result)


def _stored_well(sources: Sources) -> Answer:
    """What more bytes would gain."""
    rows = training_data.shares(sources, training_data.KEPT)
    gains = [rows[name] for name in ("encoding int8", "embedding 256") if name in rows]
    if len(gains) < 2:
        return None
    each = " and ".join(written(one["difference"], *one["ci95"]) for one in gains)
    return (
        f"more bytes gain {each} points",
        all(one["difference"] <= 0.3 for one in gains),
        of_result(training_data.KEPT),
    )


TARGETS = (
    Target("stored answers of ViT-B/16: an epoch 50 times as fast, a first run of 100 epochs 8 times", _stored),
    Target("cifar10, AWGN, 16 uses: noise costs at most 0.8 points at 0 dB and 0.1 at 10", _noise),
    Target("cifar10: the transmitter itself right about 88 %", _clean),
    Target("cifar10, block Rayleigh, estimated, 32 uses, 10 dB: 86.3 %", _faded),
    Target("cifar10, AWGN, 16 uses: within 0.5 points of the label code at every SNR", _near_label),
    Target("cifar10: features nearer than by any fixed word as accurate: 15 % at 3 dB, 25 at 6 and 10", _nearer),
    Target("cifar10: encoding, as it ships, takes 1/100 of ViT-B/16", partial(_quick, latency.RESULT)),
    Target("cifar10: the same, by torch as ViT is", partial(_quick, latency.BY_TORCH)),
    Target("tinyimagenet100, AWGN, 64 uses, 10 dB: 45 %", _hundred),
    Target("new classes, 5 examples, 32 symbols, 5 dB: 90 % of the encoder's own, ahead of a product code", _enrolled),
    Target("new classes, 10 dB: features are worth 20 points over a word of all symbols", _over_the_word),
    Target("digits, reports wrong by 6 dB either way: at most 1 point lost after 20 answers", _corrected),
    Target(
        "tinyimagenet100, AWGN, 16 uses: told is 2 points ahead, at -10 and -6 dB, of the fixed word whose "
        "features are as near at 10 dB, and nowhere behind by 0.1, nor by 0.4 at the end of an interval",
        _told,
    ),
    Target("cifar10: ahead of DT-JSCC, VFE and separate coding at every SNR from -6 to 20 dB", _ahead),
    Target(
        "tinyimagenet100, small recipe: distillation of the teacher with ImageNet weights worth 3 points, three seeds",
        partial(_taught, "fractions-tinyimagenet100", f"100{training_data.TAUGHT}", 3.0),
    ),
    Target(
        "not asked for: the same of a teacher of the same images",
        partial(_taught, "fractions-tinyimagenet100-own", f"100{training_data.SAME}", 3.0),
    ),
    Target(
        "with a tenth of the images, ImageNet weights: 6 points",
        partial(_taught, "fractions-tinyimagenet100-tenth", f"10{training_data.TAUGHT}", 6.0),
    ),
    Target(
        "not asked for: the same of a teacher of the same images",
        partial(_taught, "fractions-tinyimagenet100-tenth", f"10{training_data.SAME}", 6.0),
    ),
    Target("its store: answers of 34 bytes and embeddings of 64 cost 0.3 points each at most", _stored_well),
)


def rows(sources: Sources) -> Iterator[tuple[str, ...]]:
    """One for each target."""
    for target in TARGETS:
        found = target.found(sources)
        if found is None:
            yield target.asked, "-", "not measured", ""
        else:
            yield target.asked, found[0], "**reached**" if found[1] else "**not reached**", found[2]


def section(sources: Sources) -> list[str]:
    """The table, as Markdown."""
    return ["## Targets", "", "What had been asked for, before the runs that count?", "",
            *markdown(("target", "found", "", "from"), rows(sources))]  # fmt: skip
