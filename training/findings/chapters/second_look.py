"""What a reader found who had not written the report and wanted to refute it, headline by headline.

Knows nothing about how a verdict is reached. A line stands as long as the files have what it is about, and its numbers
are theirs; what was run for this alone is in the log.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from training.findings.chapters import feedback_worth, latency, later, training_data
from training.findings.chapters.accuracy import BESIDE, HOME, LABEL, OURS, drawn_again
from training.findings.claim import WON, markdown, percent
from training.findings.sources import LEVEL, Sources, Suite
from training.report.stats import written

HEAD = """\
## What a second look found

A reader who had not written this page took each headline, computed its number again from its file, and looked for what
makes it smaller than it sounds. *Stands*: nothing was found. *Weakened*: there is less to it than the words said.
*Falls*: there is nothing to it. Words and verdicts were mended since, and stand above as they are now. What was run for
it is in the [log](LOG.md#a-second-reader-tries-to-refute-the-report).
"""
LEFT = """\
All numbers that were computed again by other code were those of the page. For the whole of it: every system is told the
average SNR; digits are 360 test images, which leave differences below a point open; new classes are those of one data
set, over AWGN with the channel known for nothing. Places and SNRs of the suites are older than today's pairs.
"""
STANDS, WEAK, FALLS = "stands", "**weakened**", "**falls**"
QUICK, LOWEST_DB = "quick", -6.0
SIMPLEX = "simplex-bound"
SAME = 0.003
"""Accuracy, 0..1, by which a fixed word may be below and be called as accurate, as in the target."""
MANY_USES, MANY_DB = ("awgn", "perfect", 64), (0.0, 6.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A headline, how it was tried, what was found, and what is left of it."""

    headline: str
    tried: str
    found: str
    left: str


def _lucky(suite: Suite, sources: Sources) -> Iterator[Line]:
    """Ahead of the label code at one place, beside what no code for these decisions passes on average."""
    ours, bound = (suite.accuracy.get((system, *HOME, LOWEST_DB)) for system in (OURS, SIMPLEX))
    gap, drawn = suite.difference(OURS, LABEL, HOME, LOWEST_DB), drawn_again(sources, QUICK, LOWEST_DB)
    if ours is not None and bound is not None and gap is not None and drawn and ours > bound:
        yield Line(
            f"digits, {LOWEST_DB:g} dB, 16 uses: {100 * gap[0]:+.2f} points on the label code, by images and by seeds",
            "noise drawn anew; the bound for the same decisions",
            f"{' '.join(f'{one:+.2f}' for one in drawn)} with other channels. {percent(ours)} % is above the "
            f"{percent(bound)} that no code for these decisions passes on average: one noise was kind to three seeds",
            FALLS,
        )


def _label(suite: Suite, _: Sources) -> Iterator[Line]:
    """Where the label code is ahead."""
    found = suite.standing(OURS, LABEL)
    if found is not None:
        rows = (one for one in suite.document["comparisons"]
                if (one["system"], one["against"], one["csi"]) == (LABEL, OURS, "perfect"))  # fmt: skip
        known = sum(gap > 0 and p < LEVEL for one in rows
                    for gap, p in zip(one["difference"], one["p_holm"], strict=True))  # fmt: skip
        yield Line(
            "digits: label code, lost", "is it ours that is handicapped?",
            f"at {found.behind - known} of {found.behind} places the channel is estimated and it chooses its pilots; "
            "at the others it has more uses than our ladder: both are our own choices", STANDS,
        )  # fmt: skip


def _methods(suite: Suite, _: Sources) -> Iterator[Line]:
    """Published methods."""
    vfe, own, same = (suite.standing(OURS, system) for system in ("vfe", "dt-jscc", "dt-jscc-ours"))
    if vfe is not None:
        yield Line(
            "digits: VFE, won", "fitted again: other training seeds, four times the trials",
            f"of +{vfe.ahead} places less than half are left, and by another seed it is won and lost. By number VFE is "
            f"ahead at {vfe.below} of {vfe.places} as it is; rivals had four trials, our recipe many more",
            WEAK,
        )  # fmt: skip
    if own is not None and same is not None:
        yield Line(
            "digits: DT-JSCC, won", "its own network, and the same method on ours",
            f"+{own.ahead} of {own.places} with its own, +{same.ahead} of {same.places} with ours. One training seed",
            STANDS,
        )  # fmt: skip


def _pictures(suite: Suite, _: Sources) -> Iterator[Line]:
    """Where a picture sent whole begins to work."""
    if suite.has("jpeg-ldpc"):
        theirs, ours = (" / ".join(percent(suite.accuracy.get((system, *MANY_USES, snr))) for snr in MANY_DB)
                        for system in ("jpeg-ldpc", OURS))  # fmt: skip
        yield Line(
            "digits: JPEG + LDPC, won", "where uses are many",
            f"{MANY_USES[2]} uses of AWGN at {', '.join(f'{snr:g}' for snr in MANY_DB)} dB: {theirs} %, ours {ours} %. "
            "What is saved is uses and SNR, and for such pictures little else", WEAK,
        )  # fmt: skip


def _one_family(suite: Suite, _: Sources) -> Iterator[Line]:
    """Verdicts that are lost where each probability counts as often as there are rivals (Bonferroni)."""
    there = {name: found for system, name in BESIDE.items() if (found := suite.standing(OURS, system)) is not None}
    open_ = [
        f"{name}: {how}"
        for name, found in there.items()
        for how, places, p in zip((WON, "lost"), (found.ahead, found.behind), found.surest, strict=True)
        if places and p * len(there) >= LEVEL
    ]
    said = f"no longer resolved: {', '.join(open_)}" if open_ else "all as before"
    yield Line("digits: every won and lost", "all rivals as one family of tests", said, WEAK if open_ else STANDS)


def _taught(suite: Suite, _: Sources) -> Iterator[Line]:
    """What distillation is worth on digits."""
    found = suite.standing(OURS, "no-distillation")
    if found is not None:
        yield Line(
            "digits: a teacher beside true labels, not resolved", "places by number; which labels did the teacher see?",
            f"by number ahead at {found.above} and behind at {found.below} of {found.places}: no gain is hidden there. "
            "With a tenth of the images the teacher has seen the labels of all, so that no label is saved", WEAK,
        )  # fmt: skip


def _near_label(sources: Sources) -> Iterator[Line]:
    """cifar10: a target that is missed by the noise of the other."""
    suite = sources.suites.get("cifar10")
    places = [] if suite is None else [key for key in suite.accuracy if key[0] == LABEL and key[1:4] == HOME]
    if suite is not None and places:
        gap, snr = max((suite.accuracy[key] - suite.accuracy[OURS, *key[1:]], key[4]) for key in places)
        label, bound = (suite.accuracy[system, *HOME, snr] for system in (LABEL, SIMPLEX))
        if label > bound:
            yield Line(
                "cifar10: within half a point of the label code, not reached", "noise drawn anew; the bound",
                f"missed at {snr:g} dB by {100 * gap:.2f} points, where the label has {percent(label)} % and its bound "
                f"{percent(bound)}: kind noise, to the label. What it is ahead by at 0 and 10 dB came again", WEAK,
            )  # fmt: skip


def _nearer(sources: Sources) -> Iterator[Line]:
    """cifar10: features beside the longest word that is needed at that SNR, and not at all."""
    points = (sources.found("words-cifar10") or {"points": []})["points"]
    at = {(one["words"], one["snr_db"]): one for one in points}
    gains = []
    for snr in (3.0, 6.0, 10.0) if at else ():
        told = at["told", snr]
        near = [one["missed"] for (words, where), one in at.items()
                if where == snr and words != "told" and one["accuracy"] >= told["accuracy"] - SAME]  # fmt: skip
        gains.append(f"{100 * (1 - told['missed'] / min(near)):.0f}")
    if gains:
        yield Line(
            "cifar10: features nearer than by any fixed word, reached", "a word that is as accurate at that SNR alone",
            f"nearer by {', '.join(gains)} % at 3, 6 and 10 dB: the target has one word for every SNR; what is gained "
            "is mostly what knowing the SNR is worth", WEAK,
        )  # fmt: skip


def _sizes(sources: Sources) -> Iterator[Line]:
    if sources.found("sizes") is not None:
        yield Line(
            "model size, won", "who else would be put into a camera?",
            "all are beside teachers and ViT-B/16, which transmit nothing. VFE is even by construction, on our "
            "encoder, and DT-JSCC is smaller: no published transmitter is beaten", WEAK,
        )  # fmt: skip


def _times(sources: Sources) -> Iterator[Line]:
    """Latency with all that the camera does."""
    known, torch = (latency.times(sources, one) for one in (latency.RESULT, latency.BY_TORCH))
    if latency.VIT in known and "cifar10" in known and "cifar10" in torch:
        ours, vit_ms = known["cifar10"], known[latency.VIT]["encode_cpu_ms"]
        encode_ms, slow_ms = (one["stages_us"]["encode"] / 1e3 for one in (ours, torch["cifar10"]))
        whole_ms = ours["cpu_s_per_1000"]
        theirs_ms = whole_ms - encode_ms + vit_ms
        yield Line(
            f"cifar10: an encoder {vit_ms / encode_ms:.0f} times as quick as ViT-B/16",
            "the rest of the way; the same command again",
            f"a photograph of 640 x 480 is a frame after {whole_ms:.1f} ms, and with that encoder after "
            f"{theirs_ms:.0f}: {theirs_ms / whole_ms:.0f} times. Another processor moved the ratios by half, so that "
            f"1/{vit_ms / slow_ms:.0f} by torch is not told from 1/100. It is untrained and no rival; none is timed",
            WEAK,
        )  # fmt: skip


def _first_runs(sources: Sources) -> Iterator[Line]:
    """Stored answers: rows of time, and the passes that recipes have in place of 100."""
    most, found = training_data.EPOCHS, []
    if won := sum(row.verdict == WON for row in training_data.time_rows(sources)):
        yield Line(f"training data: {won} rows won", "what are they of?",
                   "of time, and of no image or label: they have a line of their own now", FALLS)  # fmt: skip
    for result, (pair, views) in training_data.SAVINGS.items():
        report, suite = sources.found(result), sources.suite_of(pair)
        if report is not None and suite is not None:
            one, passes = report["savings"], int(suite.systems[OURS]["trained"]["epochs"])
            first = passes * one["online_epoch_s"] / (views * one["generate_s"] + passes * one["stored_epoch_s"])
            found.append(f"{first:.1f} times ({one['teacher']}; {passes} passes, {views} views)")
    if found:
        yield Line(
            f"stored answers: a first run of {most} passes, won", "the passes that the pairs were trained with",
            f"{', '.join(found)}. With a slow teacher it is about passes / views: arithmetic", WEAK,
        )  # fmt: skip


def _later(sources: Sources) -> Iterator[Line]:
    """New classes: the label by a better receiver, and the near rival."""
    known = later.told(sources)
    if not known:
        return
    count, rows = later.SHOWN[-1], later.rows(sources)
    ours, counted, means = (percent(known[one, 32, 10.0, count]["accuracy"]) for one in (later.LINK, "answer", "word"))
    label, product = ([row.verdict for row in rows if row.against == name] for name in later.BESIDE)
    yield Line(
        "new classes: nobody trained them", "who has seen them?",
        "not the pair, and its teacher has: they are of ImageNet. Rivals have the same encoder, so verdicts stay", WEAK,
    )  # fmt: skip
    yield Line(
        "new classes: the label alone, won", "the label by a better receiver",
        f"32 symbols, 10 dB, {count} examples: it has {means} % and not {counted}, ours {ours}; {label.count(WON)} of "
        f"{len(label)} places stay won{_no_features(known)}", WEAK,
    )  # fmt: skip
    yield Line(
        "new classes: ahead of a product code", "is it by more than chance?",
        f"won at {product.count(WON)} of {len(product)} places, not adjusted for their number, and over draws of "
        "examples alone. Its bits are chosen on the pictures that are asked about, which favours it", WEAK,
    )  # fmt: skip


def _no_features(known: Mapping[later.Key, Mapping[str, float]]) -> str:
    """Places at which every symbol is the word's."""
    same = [
        f"{symbols} symbols, {snr:g} dB"
        for (system, symbols, snr, count), found in known.items()
        if system == later.LINK and snr is not None and count == later.SHOWN[0]
        and found == known["word", symbols, snr, count]
    ]  # fmt: skip
    return f". With {'; '.join(same)} no symbol is left for features: ours is that label" if same else ""


def _feedback(sources: Sources) -> Iterator[Line]:
    """Savings at equal accuracy."""
    sweep = (sources.found(feedback_worth.LOOPS["digits"]) or {"sweep": []})["sweep"]
    lost = {row["system"]: row["less"]["robust"]["accuracy"] for row in sweep if "robust" in row["less"]}
    told = {name: written(*(100 * one for one in found)) for name, found in lost.items()}
    if {"adaptive", "adaptive+ir"} <= lost.keys():
        equal = [f"`{name}`" for name, (_, low, _) in lost.items() if low >= -feedback_worth.EQUAL]
        yield Line(
            "feedback saves more than half of the uses", "at which accuracy, by its interval?",
            f"points from `robust`: `adaptive` {told['adaptive']}, `adaptive+ir` {told['adaptive+ir']}; a quarter at "
            f"most: {', '.join(equal) or 'none'}. 360 images go round, so chance in these is in no interval", WEAK,
        )  # fmt: skip


OF_SUITE: tuple[Callable[[Suite, Sources], Iterator[Line]], ...] = (
    _lucky, _label, _methods, _pictures, _one_family, _taught,
)  # fmt: skip
OF_RESULTS: tuple[Callable[[Sources], Iterator[Line]], ...] = (
    _sizes, _times, _first_runs, _near_label, _nearer, _later, _feedback,
)  # fmt: skip


def lines(sources: Sources) -> Iterator[Line]:
    """One for each headline."""
    if (suite := sources.suites.get(QUICK)) is not None:
        for look in OF_SUITE:
            yield from look(suite, sources)
    for look_at in OF_RESULTS:
        yield from look_at(sources)


def section(sources: Sources) -> list[str]:
    """The table, as Markdown."""
    rows = ((one.headline, one.tried, one.found, one.left) for one in lines(sources))
    return [HEAD, *markdown(("headline", "tried how", "found", "it"), rows), LEFT]
