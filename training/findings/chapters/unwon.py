"""What is not won, and why: rows that are lost, and the bounds by which it is known how much could be won at all.

Knows nothing about how a row came about.
"""

from collections.abc import Iterator, Mapping, Sequence

from training.findings.chapters.accuracy import HOME, LABEL, OURS, PAIRS, own_decision
from training.findings.chapters.later import CAPACITY, FEATURES, FINITE, LINK, NOISELESS, SHOWN, Key, told
from training.findings.claim import BOTH, LOST, OPEN, Row, markdown, percent
from training.findings.sources import Sources, Suite, of_suite

HEAD = """\
## What is not won, and why
"""
LABELS = """\
**One fixed task is the label's.** The answer to one known question is a class, and a class in the best code cannot be
beaten by features: whatever ours sends is first of all such a code. The table has the most points by which two codes
for the same decisions are ahead of ours, label code / simplex; the simplex is a bound where uses are too few for it.
What is left to win on a fixed task is the encoder's own accuracy, which all three share.
"""
WHY = """\
- **An estimated channel, and many uses.** Our frame has a fixed number of pilots, and our ladder of rates ends below
  the largest n; the label code chooses its pilots for each place, and takes all uses.
- **A known channel and high SNR.** What the goal lets features cost is seen as a fraction of a point.
- **Smaller transmitters.** JPEG + LDPC needs no network, and with few uses nothing comes across; DT-JSCC's own is less
  accurate, and a network of ours of that size was not measured.
- **Seeds.** What the tables of photographs resolve is of these weights, not of the recipe.
"""
SIMPLEX = "simplex-bound"
HELD_TO, ASKED = (32, 5.0, 5), 0.9
"""Symbols, SNR and examples of the target, and the share of the encoder's own that it asks."""
CORNERS = (HOME, ("awgn", "estimated", 16), ("awgn", "perfect", 64), ("awgn", "estimated", 64))


def lost(claims: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """A line for each rival beside whom something is lost, won and lost, or not resolved."""
    for claim, rows in claims.items():
        by_rival: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            if row.verdict in (LOST, BOTH, OPEN):
                by_rival.setdefault((row.against, row.verdict), []).append(row.pair)
        for (against, verdict), pairs in by_rival.items():
            yield f"- {claim}, beside {against}: {verdict} ({'; '.join(dict.fromkeys(pairs))})."


def gaps(sources: Sources) -> Iterator[tuple[str, ...]]:
    """For each pair: what the transmitter itself gets right, and the most by which label code and simplex are ahead."""
    for pair in PAIRS:
        if (suite := sources.suite_of(pair)) is None:
            continue
        most = (" / ".join(_widest(suite, system, one) for system in (LABEL, SIMPLEX)) for one in CORNERS)
        yield pair, percent(own_decision(suite)), *most, of_suite(suite.name)


def _widest(suite: Suite, system: str, corner: tuple[str, str, int]) -> str:
    """The most points by which a system is ahead of ours over all SNRs, and where."""
    found = [
        (right - suite.accuracy[OURS, *corner, snr], snr)
        for (name, *where, snr), right in suite.accuracy.items()
        if name == system and tuple(where) == corner and (OURS, *corner, snr) in suite.accuracy
    ]
    if not found:
        return "-"
    gap, snr = max(found)
    return f"{100 * gap:+.2f} at {snr:g} dB"


def section(sources: Sources, claims: Mapping[str, Sequence[Row]]) -> list[str]:
    """All of it, as Markdown."""
    places = (f"{channel}, {csi}, {uses} uses" for channel, csi, uses in CORNERS)
    headings = ("pair", "own decision, %", *places, "from")
    return [HEAD, *lost(claims), "", LABELS, *markdown(headings, gaps(sources)), WHY + _features(sources)]


def _features(sources: Sources) -> str:
    """How far the encoder itself bounds new classes, and how far the uses do."""
    known = told(sources)
    if not known:
        return ""
    count = SHOWN[0]
    whole, clean = (percent(known[system, None, None, count]["accuracy"]) for system in (FEATURES, NOISELESS))
    best = percent(max(one["accuracy"] for key, one in known.items() if (key[0], key[3]) == (LINK, count)))
    return f"""\
- **New classes are bounded by the small encoder.** From {count} examples its own features have {whole} % without any
  channel, the link without noise {clean} %, and over the channel {best} % at best.
""" + "".join(_uses(known))


def _uses(known: Mapping[Key, Mapping[str, float]]) -> list[str]:
    """What an ideal code would leave of these features in as many uses, beside ours; nothing where it was not asked."""
    symbols, snr, count = HELD_TO
    keys = {one: (one, symbols, snr, count) for one in (LINK, FINITE, CAPACITY)}
    if not set(keys.values()) <= known.keys():
        return []
    whole = known[FEATURES, None, None, count]["accuracy"]
    share = {one: known[key]["accuracy"] / whole for one, key in keys.items()}
    ours, finite, endless = (
        f"{percent(known[key]['accuracy'])} % ({percent(share[one], 0)} % of the encoder's own)"
        for one, key in keys.items()
    )
    if share[FINITE] >= ASKED:
        end = "So the nine tenths that were asked are within reach of a code for one picture."
    else:
        end = "So the nine tenths that were asked lie beyond what a code for one picture is expected to reach."
    return [
        f"""\
- **And by the uses.** With {symbols} symbols at {snr:g} dB ours has {ours} from {count} examples. An ideal code for
  these features, as if they were Gaussian, has {finite} in as many uses, one word of a hundred lost for nothing, and
  {endless} at the channel's capacity, which takes words of any length. {end}
"""
    ]
