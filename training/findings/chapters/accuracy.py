"""Claim 1, task accuracy: ours beside the label code, pictures, published methods and the teacher, place by place.

Knows nothing about networks: every verdict is of differences that a suite has tested in pairs.
"""

from collections.abc import Iterator

from training.cards.card import Card
from training.findings.claim import Row, markdown, of_standing, percent, rows_table, unmeasured
from training.findings.headline import Headline
from training.findings.sources import Sources, Standing, Suite, of_card, of_suite, training_seed
from training.report.stats import written

HEAD = """\
## 1. Task accuracy

Does a receiver answer right more often? Accuracy in % over AWGN with the channel known and 16 uses. The places are the
whole grid of a suite: AWGN and block Rayleigh, known and estimated channels, 8 to 64 uses, all SNRs. Systems meet the
same images and the same noise at each, and the verdict is over all places of the two (Holm, 5 %). *By number* are the
places ahead and behind whatever chance allows: nothing is resolved by them, but they say where more images might lead.
"""
SEEDS = """\
The label code is the transmitter's own decision in the best code known. A teacher alone has no channel, and no system
that has one can match it at low SNR.

**Over training seeds, images and channels.** Ours at the same place, and less the label code of the same pair, in
points. Intervals are Student's t over seeds. All seeds meet the same images, fades and noise, so what these did by
chance is in all of them: the next interval is over the images, of the pair that ships; *other channels* are the same
difference with noise drawn anew, a number for each channel seed. A headline has to hold by all three.
"""
PAIRS = ("digits", "cifar10", "tinyimagenet100")
ALL = "all three"
BESIDE = {"label-code": "label code", "jpeg-ldpc": "JPEG + LDPC", "dt-jscc": "DT-JSCC",
          "dt-jscc-ours": "DT-JSCC on our encoder", "vfe": "VFE", "separate": "features, code apart",
          "pq-code": "features, product code", "teacher": "teacher (no channel)"}  # fmt: skip
WANTED = ("label-code", "jpeg-ldpc", "dt-jscc", "vfe", "teacher")
"""Rows that a pair has even where there is no number."""
HOME, SNRS_DB = ("awgn", "perfect", 16), (-6.0, 0.0, 10.0)
OURS, LABEL = "ours", "label-code"


def rows(sources: Sources) -> list[Row]:
    """One for each pair and each of BESIDE."""
    return [row for pair in PAIRS for row in _of_pair(pair, sources.suite_of(pair))]


def _of_pair(pair: str, suite: Suite | None) -> Iterator[Row]:
    for system, name in BESIDE.items():
        if suite is not None and suite.has(system):
            found = suite.standing(OURS, system)
            cells = (*(_both(suite, system, snr) for snr in SNRS_DB), _places(found))
            yield Row(pair, name, cells, of_standing(found), of_suite(suite.name))
    absent = [BESIDE[system] for system in WANTED if suite is None or not suite.has(system)]
    if absent:
        yield unmeasured(pair, absent, len(SNRS_DB) + 1)


def _both(suite: Suite, system: str, snr: float) -> str:
    return " / ".join(percent(suite.accuracy.get((one, *HOME, snr))) for one in (OURS, system))


def _places(found: Standing | None) -> str:
    """Places won and lost; and ahead and behind by the number alone."""
    if found is None:
        return "-"
    return f"+{found.ahead} -{found.behind} of {found.places}; by number +{found.above} -{found.below}"


def by_seed(sources: Sources, drawn_again: bool = False) -> dict[tuple[str, float], list[tuple[str, Card]]]:
    """(suite, SNR) -> files and cards of ours at HOME, in the order of their training seeds.

    drawn_again: those of other channels instead, in the order of their channel seeds.
    """
    found: dict[tuple[str, float], list[tuple[str, Card]]] = {}
    for file, card in sources.cards.items():
        if (card.system, card.channel, card.csi, card.n) == (OURS, *HOME) and bool(card.seed) == drawn_again:
            found.setdefault((card.suite, card.snr_db), []).append((file, card))
    order = {where: sorted(some, key=lambda one: (training_seed(one[1]), one[1].seed)) for where, some in found.items()}
    return dict(sorted(order.items()))


def drawn_again(sources: Sources, suite: str, snr: float) -> list[float]:
    """Ours less the label code at HOME over other channels, in points, in the order of the channel seeds."""
    some = by_seed(sources, drawn_again=True).get((suite, snr), [])
    return [100 * card.against_label_code[0] for _, card in some if card.against_label_code]


def headlines(sources: Sources) -> list[tuple[str, ...]]:
    """Accuracy and difference to the label code at HOME, over training seeds: of cards, or of a suite without any."""
    made: list[tuple[str, ...]] = []
    for (suite, snr), some in by_seed(sources).items():
        right = Headline({training_seed(card): 100 * card.accuracy for _, card in some})
        less = Headline({training_seed(card): 100 * card.against_label_code[0] for _, card in some
                         if card.against_label_code})  # fmt: skip
        links = " ".join(of_card(file) for file, _ in some)
        first = some[0][1].against_label_code
        mean, low, high = (100 * one for one in first or (0.0, 0.0, 0.0))
        chance = "-" if first is None else written(mean, low, high)
        other = " ".join(f"{one:+.2f}" for one in drawn_again(sources, suite, snr)) or "-"
        made.append((suite, f"{snr:g} dB", right.told(), less.told(2, sign=True), chance, other, links))
    carded = {card.suite for card in sources.cards.values()}
    return made + [row for suite in sources.suites.values() if suite.name not in carded for row in _single(suite)]


def _single(suite: Suite) -> Iterator[tuple[str, ...]]:
    """The same of a suite whose pair has one training seed and no cards."""
    seed = int(suite.systems[OURS]["trained"]["seed"])
    for snr in SNRS_DB:
        found = suite.difference(OURS, LABEL, HOME, snr)
        if found is not None:
            mean, low, high = (100 * one for one in found)
            right = Headline({seed: 100 * suite.accuracy[OURS, *HOME, snr]})
            less = Headline({seed: mean}).told(2, sign=True)
            yield suite.name, f"{snr:g} dB", right.told(), less, written(mean, low, high), "-", of_suite(suite.name)


def section(sources: Sources) -> list[str]:
    """The claim, as Markdown."""
    columns = (*(f"{snr:g} dB: ours / theirs" for snr in SNRS_DB), "places won, lost")
    headings = ("suite", "SNR", "accuracy, %", "less the label code, points", "over images", "other channels", "from")
    return [HEAD, *rows_table(columns, rows(sources)), SEEDS, *markdown(headings, headlines(sources))]
