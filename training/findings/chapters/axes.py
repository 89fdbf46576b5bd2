"""The axes of split computing: encoder size, bytes on the wire with headers, accuracy; and accuracy against compute.

Knows nothing about verdicts.
"""

import math
from collections.abc import Iterator

from training.findings.chapters.accuracy import HOME, LABEL, OURS, PAIRS
from training.findings.chapters.size import RESULT, networks
from training.findings.claim import markdown, percent
from training.findings.orders import RECIPE_SIZE, SHORT, SHORT_SIZES
from training.findings.sources import Sources, Suite, of_result, of_suite
from training.report.figures import Curve, Panel

HEAD = """\
## Encoder size, bytes and accuracy

What do I get for how much network and how many bytes? Accuracy in % over block Rayleigh fading, channel estimated.
Bytes are of one message with prefix and header: *as bits* counts the payload's bits of 16-QAM, *as samples* what the
sockets carry, which is complex64 with the pilots.
"""
FRONTIER = """\
**Accuracy against the transmitter's operations**, AWGN, channel known, 16 uses; the figure is of digits. For
photographs every transmitter here has our encoder, but for those of *4 passes*: of a short recipe, one training seed,
as WIDTH,BLOCKS,STRIDE. They are to be held against one another, and not against what ships.
"""
CORNER = ("block-rayleigh", "estimated")
SNRS_DB = (0.0, 10.0, 20.0)
FRONTIER_DB = (-6.0, 0.0, 10.0)
OF = "digits"
"""The pair beside which transmitters of other sizes were trained."""
COMPUTE = (OURS, "dt-jscc", "dt-jscc-ours", "vfe", "label-code")
"""Systems whose transmitter's operations are counted and differ, and what they are held against."""
FIGURE = "report-frontier.png"


def rows(sources: Sources) -> Iterator[tuple[str, ...]]:
    """One for each pair and rate that a suite has over fading with estimated channels."""
    for pair in PAIRS:
        suite, network = sources.suite_of(pair), networks(sources).get(pair)
        if suite is None or network is None:
            continue
        for rate in network["rates"]:
            place = _place(suite, rate["uses"])
            if place is None:
                continue
            air = rate["header_bytes"] + math.ceil(rate["symbols"] * math.log2(network["order"]) / 8)
            right = (percent(suite.accuracy.get((OURS, *CORNER, place, snr))) for snr in SNRS_DB)
            yield (pair, f"{network['parameters']:,}", f"{network['macs'] / 1e6:.2f}", str(rate["symbols"]),
                   str(rate["uses"]), str(air), str(rate["header_bytes"] + rate["sample_bytes"]), *right,
                   f"{of_result(RESULT)} {of_suite(suite.name)}")  # fmt: skip


def _place(suite: Suite, uses: int) -> int | None:
    """The smallest n at which ours takes exactly so many uses."""
    ours = (one for one in suite.document["points"] if (one["system"], one["channel"], one["csi"]) == (OURS, *CORNER))
    return min((one["n"] for one in ours if one["mean_uses"] == uses), default=None)


def frontier(sources: Sources) -> list[Panel | None]:
    """A panel for each SNR: accuracy at HOME against multiply-accumulates, a point for each system that has both."""
    if (suite := sources.suite_of(OF)) is None:
        return []
    return [
        Panel(
            [Curve(system, [macs / 1e6], [100 * suite.accuracy[system, *HOME, snr]]) for macs, system in _costs(suite)],
            "transmitter, 10^6 multiply-accumulates", "accuracy in %", f"{OF}, AWGN, 16 uses, {snr:g} dB", log=True,
        )
        for snr in FRONTIER_DB
    ]  # fmt: skip


def frontier_rows(sources: Sources) -> Iterator[tuple[str, ...]]:
    """The same numbers: who is there with how many operations, cheapest first."""
    for pair in PAIRS:
        if (suite := sources.suite_of(pair)) is not None:
            for macs, system in _costs(suite):
                right = (percent(suite.accuracy[system, *HOME, snr]) for snr in FRONTIER_DB)
                yield pair, system, f"{macs / 1e6:.3f}", *right, of_suite(suite.name)
    yield from _sizes(sources)


def _sizes(sources: Sources) -> Iterator[tuple[str, ...]]:
    """Transmitters of other sizes, and the label code of each, cheapest first."""
    made = []
    for name, size in {**SHORT_SIZES, SHORT: RECIPE_SIZE}.items():
        if (suite := sources.suite_of_result(name)) is not None:
            about = suite.systems[OURS]
            for system in (OURS, LABEL):
                right = (percent(suite.accuracy[system, *HOME, snr]) for snr in FRONTIER_DB)
                pair = f"{suite.document['suite']}, {about['trained']['epochs']} passes"
                made.append((float(about["macs"]), (pair, f"{system} of {size}", *right, of_result(name))))
    for macs, (pair, system, *rest) in sorted(made, key=lambda one: one[0]):
        yield pair, system, f"{macs / 1e6:.3f}", *rest


def _costs(suite: Suite) -> list[tuple[float, str]]:
    """Operations and names of the systems of COMPUTE that are there, cheapest first."""
    there = (system for system in COMPUTE if (system, *HOME, FRONTIER_DB[0]) in suite.accuracy)
    return sorted((float(suite.systems[system]["macs"]), system) for system in there)


def section(sources: Sources) -> list[str]:
    """Both, as Markdown."""
    headings = ("pair", "parameters", "MMAC", "symbols", "uses with pilots", "bytes, as bits", "bytes, as samples",
                *(f"{snr:g} dB" for snr in SNRS_DB), "from")  # fmt: skip
    cheapest = ("pair", "system", "MMAC", *(f"{snr:g} dB" for snr in FRONTIER_DB), "from")
    figure = f"![accuracy against the transmitter's multiply-accumulates]({FIGURE})"
    return [HEAD, *markdown(headings, rows(sources)), FRONTIER, *markdown(cheapest, frontier_rows(sources)), figure, ""]
