"""Tasks chosen later: new classes enrolled from a few received pictures, against SNR and uses.

Knows nothing about the classes that a pair was trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from training.findings.claim import LOST, NONE, OPEN, WON, Row, markdown, percent
from training.findings.headline import Headline
from training.findings.orders import APART, ORDERS
from training.findings.sources import Sources, of_result
from training.report.figures import Curve, Panel

HEAD = """\
## Tasks chosen later

Can the receiver be asked what nobody thought of before? Classes that the pair has never seen, though its teacher may
have, are enrolled from a few received pictures of each; AWGN, channel known, accuracy in %. Ours is won or lost where
the ranges of 95 of 100 draws of the examples do not meet; pictures asked about and classes are the same in all draws,
so chance in these is not in them. *Label alone* is the better of two receivers of the same label: one counts its
answers, one takes each answer for the features that pictures of it have on average. The transmitter has to send
features for ours (`sctx --distortion 10`); asked for answers alone it sends fewer symbols.
"""
RESULT = "enrolment-tinyimagenet100"
PAIR, LINK, FEATURES, NOISELESS = "tinyimagenet100", "link", "features", "noiseless"
FINITE, CAPACITY, TEACHER, TEACHER_SENT = "finite", "capacity", "teacher", "teacher-pq"
BESIDE = {"label alone": ("answer", "word"), "features, product code": ("pq-code",)}
"""Rival -> its systems, of which the better one counts. `word` is the link with every symbol the word's."""
NAMES = {LINK: "ours", FEATURES: "encoder, no channel", "answer": "label, its answers counted",
         "word": "label, by its mean features", "pq-code": "features, product code"}  # fmt: skip
SHOWN = (5, 20)
"""Examples of each class that the table has."""
FIGURE = "report-later.png"
SEEDS = """\
**Over training seeds.** Accuracy in %, and ours less the better receiver of the label alone, in points; intervals are
Student's t over seeds, of the mean over 100 draws of the examples. Pictures and classes are the same for all.
"""
LARGE = "efficientnet-lite0"
TAUGHT = """\
**Were the teacher in the camera.** From {counts} examples {name}'s own embedding has {own} %, without a channel. To
send it, by a product code in the same uses, the camera would compute {times} times as much: {macs} MMAC for a picture.
Accuracy in %, and how much of the teacher's own ours has.
"""
UNMET, PLACE = "apart-cifar10-", (56, 10.0)
"""Results of pairs that miss classes, and the symbols and SNR that their table has."""
KEPT_OUT = """\
**Classes that nothing has met.** Those above are of ImageNet, as their teacher is. So `cifar10` was cut into four
parts, by the alphabet, and for each a pair was made that misses its classes in every step: teacher, store, student,
space. Recipe `cifar10-apart`: the transmitter of `cifar10`, a lighter teacher and a sixth of the passes. {symbols}
symbols, {snr:g} dB, one training seed; accuracy among the new classes alone, in %.
"""
Key = tuple[str, int | None, float | None, int]


def told(sources: Sources, result: str = RESULT) -> Mapping[Key, Mapping[str, float]]:
    """(system, symbols, SNR, examples) -> accuracy and the ends of its interval over draws of the examples."""
    points: list[dict[str, Any]] = (sources.found(result) or {"points": []})["points"]
    return {(one["system"], one["symbols"], one["snr_db"], one["examples"]): one["told"] for one in points}


def rows(sources: Sources) -> list[Row]:
    """For each number of symbols and SNR: the link beside each of BESIDE."""
    known, found = told(sources), []
    for system, symbols, snr, examples in known:
        if system != LINK or examples != SHOWN[0]:
            continue
        for name, others in BESIDE.items():
            both = [(known[LINK, symbols, snr, count], _better(known, others, symbols, snr, count)) for count in SHOWN]
            cells = tuple(percent(theirs["accuracy"]) for _, theirs in both)
            found.append(Row(f"{symbols} symbols, {snr:g} dB", name, cells, _verdict(both), of_result(RESULT)))
    return found


def _better(
    known: Mapping[Key, Mapping[str, float]], systems: Sequence[str], symbols: int | None, snr: float | None, count: int
) -> Mapping[str, float]:
    """What the best of some systems has at a place."""
    return max((known[one, symbols, snr, count] for one in systems), key=lambda found: found["accuracy"])


def _table(sources: Sources) -> list[str]:
    """A line for each number of symbols and SNR, its rivals beside each other."""
    known, lines = told(sources), []
    by_place: dict[str, list[Row]] = {}
    for row in rows(sources):
        by_place.setdefault(row.pair, []).append(row)
    ours = [one for one in known if one[0] == LINK and one[3] == SHOWN[0]]
    for (place, some), (_, symbols, snr, _) in zip(by_place.items(), ours, strict=True):
        mine = (percent(known[LINK, symbols, snr, count]["accuracy"]) for count in SHOWN)
        rivals = (cell for row in some for cell in (*row.cells, row.verdict))
        lines.append((place, *mine, *rivals, of_result(RESULT)))
    headings = [f"{who}, {count}" for who in ("ours", *BESIDE) for count in SHOWN]
    for number in range(len(BESIDE)):
        headings.insert(len(SHOWN) * (number + 2) + number, "ours is")
    return markdown(("symbols, SNR", *headings, "from"), lines)


def _over_seeds(sources: Sources) -> list[str]:
    """What three pairs have that differ by their training seed alone; nothing where there is one."""
    results = {sources.results[name].training_seeds[0]: name for name in ORDERS
               if name.startswith(RESULT) and name in sources.results}  # fmt: skip
    if len(results) < 2:
        return []
    known = {seed: told(sources, name) for seed, name in results.items()}
    lines = []
    for _, symbols, snr, examples in (one for one in known[0] if one[0] == LINK and one[3] in SHOWN):
        ours = {seed: 100 * one[LINK, symbols, snr, examples]["accuracy"] for seed, one in known.items()}
        label = {seed: 100 * _better(one, BESIDE["label alone"], symbols, snr, examples)["accuracy"]
                 for seed, one in known.items()}  # fmt: skip
        less = Headline({seed: ours[seed] - label[seed] for seed in ours}).told(sign=True)
        lines.append((f"{symbols} symbols, {snr:g} dB", str(examples), Headline(ours).told(), less))
    for examples in SHOWN:
        own = {seed: 100 * one[FEATURES, None, None, examples]["accuracy"] for seed, one in known.items()}
        lines.append(("the encoder's features, no channel", str(examples), Headline(own).told(), "-"))
    headings = ("symbols, SNR", "examples", "ours", "less the label alone")
    return ["", SEEDS, *markdown(headings, lines), "", f"From {', '.join(map(of_result, results.values()))}."]


def _verdict(both: list[tuple[Mapping[str, float], Mapping[str, float]]]) -> str:
    """By ranges of draws that do not meet, which asks more of the draws than a test of means would."""
    ahead, behind = any(a["low"] > b["high"] for a, b in both), any(a["high"] < b["low"] for a, b in both)
    return WON if ahead and not behind else LOST if behind and not ahead else OPEN


def panels(sources: Sources) -> list[Panel | None]:
    """A panel for each number of symbols: accuracy with 20 examples against SNR."""
    known = told(sources)
    snrs = sorted({snr for _, _, snr, _ in known if snr is not None})
    made: list[Panel | None] = []
    for symbols in sorted({one for _, one, _, _ in known if one is not None}):
        curves = []
        for system in (LINK, *(one for some in BESIDE.values() for one in some), FEATURES):
            where = (None, None) if system == FEATURES else (symbols, 0.0)
            row = [known[system, where[0], where[1] if where[1] is None else snr, SHOWN[-1]] for snr in snrs]
            low, mean, high = ([100 * one[end] for one in row] for end in ("low", "accuracy", "high"))
            curves.append(Curve(NAMES[system], snrs, mean, low, high))
        made.append(Panel(curves, "Es/N0 in dB", "accuracy in %", f"{symbols} symbols, {SHOWN[-1]} examples"))
    return made


def section(sources: Sources) -> list[str]:
    """Table and figure, as Markdown."""
    known = told(sources)
    if not known:
        return [HEAD, "Not measured.", ""]
    bound, clean = (
        " and ".join(percent(known[system, None, None, count]["accuracy"]) for count in SHOWN)
        for system in (FEATURES, NOISELESS)
    )
    counts = " and ".join(map(str, SHOWN))
    limits = f"From {counts} examples the encoder's own features, without a channel, have {bound} %;"
    figure = f"![accuracy on new classes against SNR]({FIGURE})"
    limits = f"{limits} the link without noise {clean} %."
    return [
        HEAD,
        *_table(sources),
        limits,
        *_taught(sources),
        *_over_seeds(sources),
        *_kept_out(sources),
        "",
        figure,
        "",
    ]


def _kept_out(sources: Sources) -> list[str]:
    """New classes that no training step of any kind has seen, a line for each part; nothing where none was measured."""
    lines, gains = [], dict[int, float]()
    for number, classes in enumerate(APART, 1):
        known = told(sources, f"{UNMET}{number}")
        part = classes.replace(",", ", "), percent(1 / len(classes.split(",")))
        if not known:
            lines.append((*part, NONE, *[""] * 9))
            continue
        ours, own = ([known[system, *where, count] for count in SHOWN]
                     for system, where in ((LINK, PLACE), (FEATURES, (None, None))))  # fmt: skip
        label = [_better(known, BESIDE["label alone"], *PLACE, count) for count in SHOWN]
        code = [_better(known, BESIDE["features, product code"], *PLACE, count) for count in SHOWN]
        gains[number] = 100 * (ours[-1]["accuracy"] - label[-1]["accuracy"])
        cells = [percent(one["accuracy"]) for one in (*ours, *label)]
        others = [percent(one["accuracy"]) for one in (*code, *own)]
        lines.append((*part, *cells,
                      _verdict(list(zip(ours, label, strict=True))), *others,
                      of_result(f"{UNMET}{number}")))  # fmt: skip
    if not gains:
        return []
    two = [f"{who}, {count}" for who in ("ours", "label alone", "product code", "encoder, no channel")
           for count in SHOWN]  # fmt: skip
    headings = ("kept out", "chance", *two[:4], "ours is", *two[4:], "from")
    least, most = min(gains.values()), max(gains.values())
    end = (f"From {SHOWN[-1]} examples ours is {least:+.1f} to {most:+.1f} points ahead of the better receiver of the"
           f" label alone, {sum(gains.values()) / len(gains):+.1f} on average over {len(gains)} parts.")  # fmt: skip
    return ["", KEPT_OUT.format(symbols=PLACE[0], snr=PLACE[1]), *markdown(headings, lines), "", end]


def _taught(sources: Sources) -> list[str]:
    """The teacher's own embedding, at hand and sent; nothing where it was not asked."""
    known, sizes = told(sources), sources.found("sizes")
    if (TEACHER, None, None, SHOWN[0]) not in known or sizes is None:
        return []
    macs = {one["name"]: one["macs"] for one in (*sizes["pairs"], *sizes["teachers"])}
    own = [known[TEACHER, None, None, count]["accuracy"] for count in SHOWN]
    lines = []
    for _, symbols, snr, _ in (one for one in known if one[0] == LINK and one[3] == SHOWN[0]):
        ours, sent = ([known[one, symbols, snr, count]["accuracy"] for count in SHOWN] for one in (LINK, TEACHER_SENT))
        lines.append((f"{symbols} symbols, {snr:g} dB", *map(percent, (*sent, *ours)),
                      *(percent(a / b, 0) for a, b in zip(ours, own, strict=True))))  # fmt: skip
    headings = [f"{who}, {count}" for who in ("teacher, product code", "ours", "ours, of the teacher's own")
                for count in SHOWN]  # fmt: skip
    return [
        "",
        TAUGHT.format(name=LARGE, own=" and ".join(map(percent, own)), counts=" and ".join(map(str, SHOWN)),
                      times=f"{macs[LARGE] / macs[PAIR]:.1f}", macs=f"{macs[LARGE] / 1e6:.0f}"),
        *markdown(("symbols, SNR", *headings), lines),
        "",
        f"From {of_result(RESULT)} and {of_result('sizes')}.",
    ]  # fmt: skip
