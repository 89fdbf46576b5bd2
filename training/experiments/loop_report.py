"""Outcomes of closed-loop points -> paired comparisons with intervals, one table, the panels of one figure.

Knows nothing about processes or policies. Frames that are sent within a Doppler cycle share their fades, so intervals
come from a bootstrap over blocks of consecutive frames (Carlstein 1986: blocks do not overlap), two Doppler cycles
each, and paired differences take the same blocks of both points. They hold for this set of images: it goes round in
every point, and its own size (a set of 360 resolves 0.3 points) is not in the interval.

Cost of an image: payload symbols + pilots of every round + control, charged at one bit per use (the capacity at 0 dB):
the entropy of the number of rounds, which depends on the answers. Headers are stated in bytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.experiments.loop_plan import Entry, Point
from training.experiments.loop_run import Outcome
from training.report.figures import Curve, Panel
from training.report.stats import Interval, bootstrap, scaled, written
from training.report.tabular import print_table

BLOCK_CYCLES = 2.0
REFERENCES = ("robust", "fixed", "average", "genie")
WIDE = 3
"""Experiments side by side in the figure."""
COMPARED = ("accuracy %", "uses", "value", "saved % of robust, average", "accuracy less robust", "value less robust",
            "value less fixed", "accuracy less genie")  # fmt: skip
AXES = {
    "snr": "average SNR, dB",
    "delay": "fd * tau",
    "loss": "reports lost",
    "bits": "bits per SNR",
    "bias": "reports off by, dB",
    "pilots": "pilots",
}


def compare(entries: Sequence[Entry], outcomes: Mapping[str, Outcome], price: float) -> list[dict[str, Any]]:
    """One row per entry: accuracy, uses and value = accuracy - price * uses, alone and less those of other systems."""
    at = {(one.experiment, one.x, one.system): one.point for one in entries}
    rows = []
    for one in entries:
        others = {name: at[one.experiment, one.x, name] for name in REFERENCES if (one.experiment, one.x, name) in at}
        less = {
            name: measures([one.point], outcomes, price, [other])
            for name, other in others.items()
            if other != one.point
        }
        outcome = outcomes[one.point.id]
        rows.append({
            "experiment": one.experiment, "x": one.x, "system": one.system, **asdict(one.point),
            "doppler_cycles": one.point.frames * one.point.frame_doppler, "header_bytes": outcome.header_bytes,
            "mean_symbols": float(np.mean(outcome.symbols)), "control_bits": control_bits(one.point, outcomes),
            "mean_rounds": 1.0 + float(np.mean(outcome.rounds)), **measures([one.point], outcomes, price),
            "less": less,
        })  # fmt: skip
    return rows


def sweep(entries: Sequence[Entry], outcomes: Mapping[str, Outcome], price: float) -> list[dict[str, Any]]:
    """The mean over all SNRs of experiment `snr`, each weighing the same: one row per system."""
    points: dict[str, list[Point]] = {}
    for one in sorted(entries, key=lambda one: one.x):
        if one.experiment == "snr":
            points.setdefault(one.system, []).append(one.point)
    return [
        {
            "system": system, "snr_db": [point.snr_db for point in mine], **measures(mine, outcomes, price),
            "less": {name: measures(mine, outcomes, price, points[name])
                     for name in REFERENCES if name in points and name != system},
        }
        for system, mine in points.items()
    ]  # fmt: skip


def measures(
    points: Sequence[Point],
    outcomes: Mapping[str, Outcome],
    price: float,
    others: Sequence[Point] = (),
) -> dict[str, Interval]:
    """accuracy (0..1), uses and value, mean over the points; with `others`, less theirs.

    Points share images and fades, frame by frame, so a frame is averaged over them before blocks are drawn.
    """
    frames = points[0].frames
    block = max(1, min(frames // 2, math.ceil(BLOCK_CYCLES / points[0].frame_doppler)))
    mine = _series(points, outcomes, price)
    if others:
        theirs = _series(others, outcomes, price)
        mine = {name: values - theirs[name] for name, values in mine.items()}
    return {name: bootstrap(values, block) for name, values in mine.items()}


def _series(points: Sequence[Point], outcomes: Mapping[str, Outcome], price: float) -> dict[str, NDArray[np.float64]]:
    right = np.mean([np.array(outcomes[point.id].right, np.float64) for point in points], 0)
    spent = np.mean([uses(point, outcomes) for point in points], 0)
    return {"accuracy": right, "uses": spent, "value": right - price * spent}


def uses(point: Point, outcomes: Mapping[str, Outcome]) -> NDArray[np.float64]:
    """Channel uses of each frame, pilots of every round and control included: float64 [N]."""
    outcome = outcomes[point.id]
    rounds = np.array(outcome.rounds)
    return np.array(outcome.symbols) + point.pilots * (1.0 + rounds) + control_bits(point, outcomes)


def control_bits(point: Point, outcomes: Mapping[str, Outcome]) -> float:
    """Bits per image that say how many rounds there were: the entropy of that number.

    What follows from what the receiver knows tells nothing; what depends on an answer does, and a comparison that did
    not charge it would let the choice carry the message.
    """
    _, counts = np.unique(outcomes[point.id].rounds, return_counts=True)
    shares = counts / counts.sum()
    return abs(float(-(shares * np.log2(shares)).sum()))


def show(rows: Sequence[Mapping[str, Any]], swept: Sequence[Mapping[str, Any]]) -> None:
    """One table per experiment, and one of the means over all SNRs."""
    for experiment in dict.fromkeys(row["experiment"] for row in rows):
        part = [row for row in rows if row["experiment"] == experiment]
        cells = [(f"{row['x']:g}", row["system"], f"{row['mean_symbols']:.1f}", f"{row['mean_rounds']:.2f}",
                  *_compared(row)) for row in part]  # fmt: skip
        headings = (AXES[experiment], "system", "symbols", "rounds", *COMPARED)
        print_table(_title(part[0]), headings, cells, left=("system",))
    if swept:
        title = f"mean over {', '.join(f'{snr:g}' for snr in swept[0]['snr_db'])} dB"
        print_table(title, ("system", *COMPARED), [(r["system"], *_compared(r)) for r in swept], left=("system",))


def _compared(row: Mapping[str, Any]) -> list[str]:
    robust, fixed, genie = (row["less"].get(name) for name in ("robust", "fixed", "genie"))
    return [
        _text(row["accuracy"], 100, 2), _text(row["uses"], 1, 1), f"{row['value'][0]:.4f}",
        ", ".join(_saved(row, name) for name in ("robust", "average") if name in row["less"]),
        _text(robust["accuracy"], 100, 2) if robust else "", _text(robust["value"], 1, 4) if robust else "",
        _text(fixed["value"], 1, 4) if fixed else "",
        _text(genie["accuracy"], 100, 2) if genie else "",
    ]  # fmt: skip


def _title(row: Mapping[str, Any]) -> str:
    place = "" if row["experiment"] == "snr" else f", {row['snr_db']:g} dB"
    pilots = "" if row["experiment"] == "pilots" else f", {row['pilots']} pilots"
    headers = "" if row["header_bytes"] is None else f", headers of {row['header_bytes']:.0f} bytes not counted"
    few = "" if row["doppler_cycles"] >= 200 else " (fewer than 200: no result)"
    span = f"{row['frames']} frames, {row['doppler_cycles']:g} Doppler cycles{few}"
    return f"Rayleigh{place}{pilots}, {span}{headers}; mean (95 % interval), paired where less another"


def _saved(row: Mapping[str, Any], other: str) -> str:
    """Share of the other's channel uses that this system does without, in %."""
    less = row["less"][other]["uses"][0]
    return f"{-100 * less / (row['uses'][0] - less):.0f}"


def _text(found: Interval, scale: float, digits: int) -> str:
    mean, low, high = scaled(found, scale)
    return written(mean, low, high, digits, sign=False)


def panels(rows: Sequence[Mapping[str, Any]]) -> list[list[Panel | None]]:
    """Accuracy above, channel uses below, three experiments side by side; of one alone both beside each other."""
    experiments = list(dict.fromkeys(row["experiment"] for row in rows))
    bands = [experiments[first : first + WIDE] for first in range(0, len(experiments), WIDE)]
    measured = (("accuracy", "accuracy in %", 100.0), ("uses", "channel uses per image, pilots counted", 1.0))
    grid: list[list[Panel | None]] = [
        [_panel([row for row in rows if row["experiment"] == one], name, what, scale) for one in band]
        for band in bands
        for name, what, scale in measured
    ]
    return [[panel for row in grid for panel in row]] if len(experiments) == 1 else grid


def _panel(rows: Sequence[Mapping[str, Any]], name: str, what: str, scale: float) -> Panel:
    """One measure of one experiment, a curve per system."""
    curves = []
    for system in dict.fromkeys(row["system"] for row in rows):
        part = [row for row in rows if row["system"] == system]
        mean, low, high = zip(*(scaled(row[name], scale) for row in part), strict=True)
        curves.append(Curve(system, [row["x"] for row in part], mean, low, high))
    experiment = rows[0]["experiment"]
    return Panel(curves, AXES[experiment], what, log=experiment in ("delay", "pilots"), from_zero=name == "uses")
