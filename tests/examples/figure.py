"""A figure of one's own from what a command has measured: accuracy against channel uses, a curve for each SNR.

    python -m training.evaluate --pair digits --csi estimated --json points.json
    python tests/examples/figure.py points.json figure.png

Every command of training writes what it measured by `--json`. A figure is panels of curves with intervals; colours,
legend and file are the business of `training/report/figures.py`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from training.report.figures import Curve, Panel, draw


def panel(points: list[dict[str, Any]]) -> Panel:
    """points: as `training.evaluate --json` writes them."""
    curves = []
    for snr_db in sorted({point["snr_db"] for point in points}):
        row = sorted((point for point in points if point["snr_db"] == snr_db), key=lambda point: point["n"])
        low, high = zip(*(point["ci95"] for point in row), strict=True)
        curves.append(
            Curve(f"{snr_db:g} dB", [point["n"] for point in row], [point["accuracy"] for point in row], low, high)
        )
    return Panel(curves, "channel uses per image, pilots counted", "accuracy")


def main(measured: str, figure: str) -> None:
    """measured: a JSON file; figure: PNG, SVG or PDF."""
    points = json.loads(Path(measured).read_text())["points"]
    draw(Path(figure), [[panel(points)]])


if __name__ == "__main__":
    main(*sys.argv[1:])
