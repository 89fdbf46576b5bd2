"""Claim 1, task accuracy: ours beside the label code, pictures, published methods and the teacher, place by place.

Knows nothing about networks: every verdict is of differences that a suite has tested in pairs.
"""

from collections.abc import Iterator, Mapping, Sequence

from training.cards.card import Card
from training.findings.claim import Row, markdown, of_standing, percent, rows_table, unmeasured
from training.findings.headline import Headline
from training.findings.retrained import CIFAR10, DIGITS, Group
from training.findings.sources import Sources, Standing, Suite, of_card, of_result, of_suite, training_seed
from training.report.stats import written

HEAD = """\
## 1. Task accuracy

Does a receiver answer right more often? Accuracy in % over AWGN with the channel known and 16 uses. The places are the
whole grid of a suite: AWGN and block Rayleigh, known and estimated channels, 8 to 64 uses, all SNRs. Systems meet the
same images and the same noise at each, and the verdict is over all places of the two (Holm, 5 %). *By number* are the
places ahead and behind whatever chance allows: nothing is resolved by them, but they say where more images might lead.
Where nothing of a system comes across in so few uses, its row is of the fewest in which it does, which stand beside its
name, over AWGN; with more uses more comes across.
"""
EFFORT = """\
**What rivals with weights were given.** Published methods stand on our encoder as it is, but for DT-JSCC on its own
network, linear layers as for MNIST, which is not measured on photographs; nor are the networks that the papers have for
those. Of photographs they see one view of each picture, and ours had several. Where a rival has less at 20 dB than the
encoder's own decision, that much is of its network and training and not of the channel: such a rival is handicapped,
and what is won beside it is won beside it as it was trained.
"""
SEEDS = """\
The label code is the transmitter's own decision in the best code known. A teacher alone has no channel, and no system
that has one can match it at low SNR.

**Over training seeds, images and channels.** Ours at the same place, and less the label code of the same pair, in
points. Intervals are Student's t over seeds. All seeds meet the same images, fades and noise, so what these did by
chance is in all of them: the next interval is over the images, of the pair that ships; *other channels* are the same
difference with noise drawn anew, a number for each channel seed. A headline has to hold by all three.
"""
AGAIN = """\
*Trained again* is today's recipe, on the first 2000 images; the pair of `cifar10` that ships is none of these, for its
body is of the method before.
"""
RETRAINED = """\
**Rivals trained again.** Each was tuned and fitted for the pair of a training seed, with that seed. Ours less theirs at
the same place, in points, intervals over seeds; and places won and lost, one run after the other, each by itself (Holm,
5 %, over all its places).
"""
PAIRS = ("digits", "cifar10", "tinyimagenet100")
ALL = "all three"
BESIDE = {"label-code": "label code", "jpeg-ldpc": "JPEG + LDPC", "webp-ldpc": "WebP + LDPC", "dt-jscc": "DT-JSCC",
          "dt-jscc-ours": "DT-JSCC on our encoder", "vfe": "VFE", "separate": "features, code apart",
          "pq-code": "features, product code", "teacher": "teacher (no channel)"}  # fmt: skip
WANTED = (("label-code",), ("jpeg-ldpc",), ("dt-jscc", "dt-jscc-ours"), ("vfe",), ("teacher",))
"""Rows that a pair has even where there is no number: any of each will do."""
FITTED = ("dt-jscc", "dt-jscc-ours", "vfe", "separate", "pq-code")
HOME, SNRS_DB = ("awgn", "perfect", 16), (-6.0, 0.0, 10.0)
CLEAN_DB = 20.0
OURS, LABEL = "ours", "label-code"
SHIPPED = ("quick", "cifar10", "tinyimagenet100")
"""Suites whose points lie beside their pairs; others are results."""


def rows(sources: Sources) -> list[Row]:
    """One for each pair and each of BESIDE."""
    return [row for pair in PAIRS for row in _of_pair(pair, sources.suites_of(pair))]


def _of_pair(pair: str, suites: Sequence[Suite]) -> Iterator[Row]:
    for system, name in BESIDE.items():
        for suite in [one for one in suites if one.has(system)][:1]:
            found, corner = suite.standing(OURS, system), corner_of(suite, system)
            cells = (*(_both(suite, system, corner, snr) for snr in SNRS_DB), _places(found))
            told = name if corner == HOME else f"{name}, {corner[2]} uses"
            yield Row(pair, told + _fewer(suite, suites[0]), cells, of_standing(found), of_suite(suite.name))
    if absent := lacking(suites, WANTED):
        yield unmeasured(pair, absent, len(SNRS_DB) + 1)


def _fewer(suite: Suite, first: Suite) -> str:
    """How many images a suite has, where the first of its pair has others."""
    images, others = (int(one.document["data"]["images"]) for one in (suite, first))
    return "" if images == others else f", {images} images"


def lacking(suites: Sequence[Suite], wanted: Sequence[Sequence[str]]) -> list[str]:
    """The first of each of these of which no suite has any, by its name here."""
    return [BESIDE[some[0]] for some in wanted if not any(suite.has(one) for suite in suites for one in some)]


def corner_of(suite: Suite, system: str) -> tuple[str, str, int]:
    """Where a system's numbers are shown: at HOME, or where it belongs if it has none there."""
    if any((system, *HOME, snr) in suite.accuracy for snr in SNRS_DB):
        return HOME
    channel, csi, n = suite.systems[system]["home"][0]
    return channel, csi, n


def _both(suite: Suite, system: str, corner: tuple[str, str, int], snr: float) -> str:
    return " / ".join(percent(suite.accuracy.get((one, *corner, snr))) for one in (OURS, system))


def efforts(sources: Sources) -> Iterator[tuple[str, ...]]:
    """For each rival with weights: trials, passes, seconds of a processor, what it has without much noise; and ours."""
    for pair in PAIRS:
        suite = sources.suite_of(pair)
        for system in FITTED if suite is not None else ():
            if suite is not None and suite.has(system):
                about, ours = suite.systems[system], suite.systems[OURS]["trained"]
                spent = about["spent"]
                seconds = f"{spent['tuning_cpu_s']:.0f} + {spent['fitting_cpu_s']:.0f}"
                clean = f"{percent(suite.accuracy.get((system, *HOME, CLEAN_DB)))} / {percent(own_decision(suite))}"
                yield (pair, BESIDE[system], str(spent["trials"]), str(about["chosen"].get("epochs", "-")),
                       str(ours["epochs"]), seconds, clean, of_suite(suite.name))  # fmt: skip


def own_decision(suite: Suite) -> float | None:
    """What the transmitter of ours gets right by itself, 0..1."""
    return next((one["tx_accuracy"] for one in suite.document["points"] if one["system"] == OURS), None)


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
    made += [row for suite in sources.suites.values() if suite.name not in carded for row in _single(suite)]
    return [*made, *_again(sources, CIFAR10)]


def runs_of(sources: Sources, group: Group) -> dict[int, Suite]:
    """Those of a group's suites that are there, by training seed."""
    there = [suite for name in group.orders if (suite := sources.suite_of_result(name)) is not None]
    return {int(suite.systems[OURS]["trained"]["seed"]): suite for suite in there}


def _again(sources: Sources, group: Group) -> Iterator[tuple[str, ...]]:
    """The same of pairs that differ by their training seed alone, each with a suite of its own."""
    suites = runs_of(sources, group)
    links = " ".join(of_result(suite.name) for suite in suites.values())
    for snr in SNRS_DB:
        right, less = {}, {}
        for seed, suite in suites.items():
            if (found := suite.difference(OURS, LABEL, HOME, snr)) is not None:
                right[seed], less[seed] = 100 * suite.accuracy[OURS, *HOME, snr], [100 * one for one in found]
        if less:
            mean, low, high = less[min(less)]
            yield (group.title, f"{snr:g} dB", Headline(right).told(),
                   Headline({seed: found[0] for seed, found in less.items()}).told(2, sign=True),
                   written(mean, low, high), "-", links)  # fmt: skip


def rival_rows(sources: Sources) -> Iterator[tuple[str, ...]]:
    """Rivals with weights over training seeds: of digits, with the suite that ships as seed 0."""
    shipped, again = sources.suites.get("quick"), runs_of(sources, DIGITS)
    suites = {0: shipped, **again} if shipped is not None and again else {}
    for system in FITTED:
        at = [(system, *HOME, snr) for snr in SNRS_DB]
        there = {seed: suite for seed, suite in suites.items() if all(one in suite.accuracy for one in at)}
        if len(there) > 1:
            yield (DIGITS.title, BESIDE[system], *(_ahead(there, system, snr) for snr in SNRS_DB),
                   "; ".join(places_of(suite, system) for suite in there.values()), links_of(there))  # fmt: skip


def _ahead(suites: Mapping[int, Suite], system: str, snr: float) -> str:
    """Ours less another at HOME, in points, over training seeds."""
    gaps = {seed: 100 * (one.accuracy[OURS, *HOME, snr] - one.accuracy[system, *HOME, snr])
            for seed, one in suites.items()}  # fmt: skip
    return Headline(gaps).told(1, sign=True)


def places_of(suite: Suite, system: str) -> str:
    """Places won and lost beside a system, of all."""
    found = suite.standing(OURS, system)
    return "-" if found is None else f"+{found.ahead} -{found.behind} of {found.places}"


def links_of(suites: Mapping[int, Suite]) -> str:
    """To suites that ship, and to those that are results."""
    return " ".join(of_suite(one.name) if one.name in SHIPPED else of_result(one.name) for one in suites.values())


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
    given = ("pair", "beside", "trials", "passes", "passes of ours", "tuning + fitting, CPU s",
             f"at {CLEAN_DB:g} dB / own decision, %", "from")  # fmt: skip
    return [HEAD, *rows_table(columns, rows(sources)), EFFORT, *markdown(given, efforts(sources)), SEEDS,
            *([AGAIN] if runs_of(sources, CIFAR10) else []), *markdown(headings, headlines(sources)),
            *_retrained(sources)]  # fmt: skip


def _retrained(sources: Sources) -> list[str]:
    """The table of rivals over training seeds; nothing where none was trained again."""
    headings = ("pairs", "beside", *(f"{snr:g} dB" for snr in SNRS_DB), "places won, lost", "from")
    rows = list(rival_rows(sources))
    return [RETRAINED, *markdown(headings, rows)] if rows else []
