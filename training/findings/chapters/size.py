"""Claim 2, model size: the transmitter's network beside others. Knows nothing about accuracy."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.findings.chapters.accuracy import ALL, BESIDE, PAIRS, lacking
from training.findings.claim import EVEN, LOST, Row, of_less, rows_table, unmeasured
from training.findings.sources import Sources, of_result, of_suite

HEAD = """\
## 2. Model size

How large is what the camera has to run? Parameters, and multiply-accumulates of convolutions and linear layers for one
image; the verdict is on these. The receiver runs no network.
"""
RESULT = "sizes"
TEACHERS = {"digits": "teacher of recipe digits", "cifar10": "teacher of recipe cifar10",
            "tinyimagenet100": "efficientnet-lite0"}  # fmt: skip
VIT = "ViT-B/16"
TEN = 10.0
METHODS = ("dt-jscc", "dt-jscc-ours", "vfe")
WANTED = (("dt-jscc", "dt-jscc-ours"), ("vfe",))
"""Rows that a pair has even where there is no number: any of each will do."""


def networks(sources: Sources) -> Mapping[str, Mapping[str, Any]]:
    """Name -> parameters and operations, of pairs and teachers; empty where they were not counted."""
    found = sources.found(RESULT) or {"pairs": [], "teachers": []}
    return {one["name"]: one for one in (*found["pairs"], *found["teachers"])}


def rows(sources: Sources) -> list[Row]:
    """Of all pairs: label code and JPEG + LDPC; of each: the methods, its teacher, and ViT-B/16."""
    known = networks(sources)
    if not known:
        return [unmeasured(ALL, ("label code", "JPEG + LDPC", "DT-JSCC", "VFE", "teachers"), 3)]
    here = of_result(RESULT)
    return [
        Row(ALL, "label code", ("as below", "the same network", ""), EVEN, here),
        Row(ALL, "JPEG + LDPC", ("as below", "no network", "it sends the picture"), LOST, here),
        *(row for pair in PAIRS for row in _of_pair(pair, known, sources)),
    ]


def _of_pair(pair: str, known: Mapping[str, Mapping[str, Any]], sources: Sources) -> Iterator[Row]:
    ours, here = known[pair], of_result(RESULT)
    suite = sources.suite_of(pair)
    for system in METHODS:
        if suite is not None and suite.has(system):
            macs = float(suite.systems[system]["macs"])
            cells = (_size(ours), f"{macs / 1e6:.3f} MMAC", _times(ours["macs"], macs))
            yield Row(pair, BESIDE[system], cells, of_less(ours["macs"], macs), f"{here} {of_suite(suite.name)}")
    for name in (TEACHERS[pair], VIT):
        other = known[name]
        cells = (_size(ours), _size(other), _times(ours["macs"], other["macs"]))
        yield Row(pair, name, cells, of_less(ours["macs"], other["macs"]), here)
    if absent := lacking([] if suite is None else [suite], WANTED):
        yield unmeasured(pair, absent, 3)


def _size(network: Mapping[str, Any]) -> str:
    return f"{network['parameters']:,}; {network['macs'] / 1e6:,.2f} MMAC"


def _times(ours: float, theirs: float) -> str:
    times = theirs / ours
    return f"{times:,.0f} times ours" if times >= TEN else f"{times:.2f} times ours"


def section(sources: Sources) -> list[str]:
    """The claim, as Markdown."""
    return [HEAD, *rows_table(("ours", "theirs", "operations"), rows(sources))]
