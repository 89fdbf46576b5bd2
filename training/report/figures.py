"""Figures: panels of curves -> PNG, SVG or PDF. The one place that opens, styles and saves a figure.

Knows nothing about what the curves mean. Without pyplot: no screen is looked for, and nothing is left open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DPI = 150
LOOKS = tuple((f"C{index}", line) for line in ("-", "--", ":") for index in range(10))
"""Colour and line of each label in turn."""
Floats = Sequence[float]


@dataclass(frozen=True, slots=True)
class Curve:
    """x, y: as many numbers each, where NaN leaves a gap; low, high: the ends of y's interval, or none."""

    label: str
    x: Floats
    y: Floats
    low: Floats = ()
    high: Floats = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves on one pair of axes; x and y: what the axes are, with units."""

    curves: Sequence[Curve]
    x: str = ""
    y: str = ""
    title: str = ""
    log: bool = False
    """x is logarithmic, with a tick at each abscissa, unless that is so near to another that one would hide it."""
    from_zero: bool = False


def draw(path: Path, grid: Sequence[Sequence[Panel | None]], note: str = "") -> None:
    """Panels in rows, None where there is none. A label looks the same in the whole figure; the folder is made.

    note: what a PNG is to remember of itself, as its description.
    """
    from matplotlib.figure import Figure

    rows, columns = len(grid), max(map(len, grid))
    size = (8.0, 5.0) if rows == columns == 1 else (max(9.0, 3.9 * columns), 1.0 + 2.7 * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    panels = [panel for row in grid for panel in row if panel]
    labels = [curve.label for panel in panels for curve in panel.curves]
    looks = {label: LOOKS[index % len(LOOKS)] for index, label in enumerate(dict.fromkeys(labels))}
    shared = len(panels) > 1 and len(looks) < len(labels)
    for j, row in enumerate(grid):
        for i in range(columns):
            panel = row[i] if i < len(row) else None
            axes[j, i].set_visible(panel is not None)
            if panel is not None:
                _fill(axes[j, i], panel, looks)
                if panel.curves and not shared:
                    axes[j, i].legend(fontsize="small", ncols=1 + len(panel.curves) // 8)
    if shared:
        lines = {line.get_label(): line for one in axes.flat for line in one.get_lines() if line.get_label() in looks}
        figure.legend(handles=list(lines.values()), loc="outside lower center", ncols=min(5, len(lines)))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Description": note} if note else None)


def _fill(axes: Any, panel: Panel, looks: dict[str, tuple[str, str]]) -> None:
    for one in panel.curves:
        colour, line = looks[one.label]
        axes.plot(one.x, one.y, line, marker=".", label=one.label, color=colour)
        if one.low:
            axes.fill_between(one.x, one.low, one.high, alpha=0.15, color=colour)
    axes.set(xlabel=panel.x, ylabel=panel.y, title=panel.title)
    axes.grid(alpha=0.3)
    if panel.log:
        ticks = _apart(sorted({value for one in panel.curves for value in one.x}))
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{value:.3g}" for value in ticks], rotation=45)
        axes.minorticks_off()
    if panel.from_zero:
        axes.set_ylim(0, None)


def _apart(values: Sequence[float]) -> list[float]:
    """Of ascending values, those that are at least a twelfth of all their range from the one before, as logarithms."""
    kept: list[float] = []
    for value in values:
        if not kept or math.log(value / kept[-1]) >= math.log(values[-1] / values[0]) / 12:
            kept.append(value)
    return kept
