"""A suite's outcomes for people: a table for each channel, csi and n, and one figure. Knows nothing about measuring."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.files import FIGURES, write_atomic
from training.report.figures import Curve, Panel, draw
from training.report.tabular import print_table
from training.suites.definitions import Corner, Suite
from training.suites.roster import LABEL, OURS
from training.suites.verdicts import Point, Verdict, known, tally
from training.systems.system import System

FRONTIER_DB = (-6.0, 0.0, 10.0)
"""SNRs at which accuracy is drawn against the transmitter's compute; the nearest that were measured."""
Rows = list[tuple[str, ...]]


def in_corners(points: Sequence[Point]) -> dict[Corner, list[Point]]:
    """Points by channel, csi and n."""
    found: dict[Corner, list[Point]] = {}
    for one in points:
        found.setdefault((one["channel"], one["csi"], one["n"]), []).append(one)
    return found


def table(corner: Corner, points: Sequence[Point], verdicts: Sequence[Verdict]) -> tuple[tuple[str, ...], Rows]:
    """Headings and rows of one corner. Accuracy in %, with > or < where it is ahead of or behind the label code."""
    snrs = sorted({one["snr_db"] for one in points})
    signs = {(one.system, one.place.snr_db): (" ", ">", "<")[one.won] for one in verdicts if one.against == LABEL
             and (one.place.channel, one.place.csi, one.place.n) == corner}  # fmt: skip
    counts = {ref: tally([one for one in verdicts if one.against == ref]) for ref in (LABEL, OURS)}
    rows = []
    for name in dict.fromkeys(one["system"] for one in points):
        mine = {one["snr_db"]: one for one in points if one["system"] == name}
        numbers = [one for one in mine.values() if one["accuracy"] is not None]
        if not numbers:
            continue
        cells = [_cell(mine.get(snr), signs.get((name, snr), " ")) for snr in snrs]
        uses = sorted({round(one["mean_uses"], 1) for one in numbers})
        spent = f"{uses[0]:g}" if len(uses) == 1 else f"{uses[0]:g} .. {uses[-1]:g}"
        ends = [one["ci95"] for one in numbers]
        wide = 50 * max(high - low for low, high in ends)
        beside = [_score(counts[ref].get((name, corner))) for ref in (LABEL, OURS)]
        rows.append((name, *cells, f"{wide:.1f}", spent, *beside))
    headings = ("system", *(f"{snr:g} dB" for snr in snrs), "+-", "uses", f"beside {LABEL}", f"beside {OURS}")
    return headings, rows


def _cell(point: Point | None, sign: str) -> str:
    return "-" if point is None or point["accuracy"] is None else f"{100 * point['accuracy']:.1f}{sign}"


def _score(counts: tuple[int, int, int] | None) -> str:
    return "" if counts is None else f"+{counts[0]} -{counts[1]}"


def reasons(points: Sequence[Point]) -> dict[str, list[str]]:
    """Why there is no number -> the systems that say so."""
    found: dict[str, list[str]] = {}
    for one in points:
        if one["reason"] and one["system"] not in found.setdefault(one["reason"], []):
            found[one["reason"]].append(one["system"])
    return found


def show(points: Sequence[Point], verdicts: Sequence[Verdict], text: Path) -> None:
    """Every table on standard output, and all of them as Markdown in `text`."""
    written = []
    for corner, mine in in_corners(points).items():
        headings, rows = table(corner, mine, verdicts)
        title = f"{corner[0]}, {corner[1]} CSI, n = {corner[2]}"
        print_table(f"{title}: accuracy in %; > <: ahead of, behind {LABEL}; +W -L: places won, lost", headings, rows,
                    left=("system",))  # fmt: skip
        said = [f"{', '.join(systems)}: {why}" for why, systems in reasons(mine).items()]
        for line in said:
            print(f"  no number: {line}")
        written += [f"## {title}", "", *_markdown(headings, rows), "", *(f"- no number: {line}" for line in said), ""]
    write_atomic(text, "\n".join(written).encode())


def _markdown(headings: Sequence[str], rows: Rows) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows)]


def figure(suite: Suite, points: Sequence[Point], systems: Mapping[str, System], stem: Path) -> None:
    """A panel for each corner, channel and csi down and n across, and accuracy against the transmitter's compute.

    Written as STEM.png, .svg and .pdf.
    """
    corners = in_corners(points)
    rows: list[list[Panel | None]] = [
        [_curves((channel, csi, n), corners.get((channel, csi, n), [])) for n in suite.n]
        for channel in suite.channels
        for csi in suite.csi
    ]
    rows.append([_frontier(corners.get(suite.home, []), systems, snr_db) for snr_db in FRONTIER_DB])
    elsewhere = [_curves(corner, mine) for corner, mine in corners.items() if corner not in suite.corners]
    if elsewhere:
        rows.append([*elsewhere])
    for suffix in FIGURES:
        draw(stem.with_suffix(suffix), rows)


def _curves(corner: Corner, points: Sequence[Point]) -> Panel | None:
    curves = []
    for name in dict.fromkeys(one["system"] for one in points):
        mine = [one for one in points if one["system"] == name and one["accuracy"] is not None]
        if mine:
            low, high = ([100 * one["ci95"][end] for one in mine] for end in (0, 1))
            accuracy = [100 * one["accuracy"] for one in mine]
            curves.append(Curve(name, [one["snr_db"] for one in mine], accuracy, low, high))
    title = f"{corner[0]}, {corner[1]} CSI, n = {corner[2]}"
    return Panel(curves, "average SNR, Es/N0 in dB", "accuracy in %", title) if curves else None


def _frontier(points: Sequence[Point], systems: Mapping[str, System], snr_db: float) -> Panel | None:
    macs = {name: known(system, lambda one: one.macs) for name, system in systems.items()}
    there = [one for one in points if one["accuracy"] is not None and macs[one["system"]]]
    if not there:
        return None
    nearest = min((one["snr_db"] for one in there), key=lambda have: abs(have - snr_db))
    curves = [
        Curve(one["system"], [(macs[one["system"]] or 0.0) / 1e6], [100 * one["accuracy"]])
        for one in there
        if one["snr_db"] == nearest
    ]
    title = f"{there[0]['channel']}, {there[0]['csi']} CSI, n = {there[0]['n']}, {nearest:g} dB"
    return Panel(curves, "transmitter, 10^6 multiply-accumulates", "accuracy in %", title, log=True)
