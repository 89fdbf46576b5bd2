"""How far confidences can be believed: answers in bins of confidence, before and after the temperatures of a pair.

Knows nothing about how temperatures are fitted (`distillation/measure.py`), the command line or tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.pair.manifest import Manifest
from common.pair.shapes import Calibration
from scrx.decoding.tasks import snr_bins
from training.data.images import load_told
from training.lab.evaluation import Lab, plan
from training.report.figures import Curve, Panel
from training.report.metrics import Reliability, reliability


@dataclass(frozen=True, slots=True)
class Row:
    """One rate, all channels and SNRs together; ece_by_snr: of the calibrated confidence, "channel dB" -> ECE."""

    symbols: int
    temperature: tuple[float, ...]
    """By SNR bin."""
    before: Reliability
    after: Reliability
    ece_by_snr: dict[str, float]


def measure(manifest: Manifest, fitted: Calibration, dataset: str, options: dict[str, Any]) -> list[Row]:
    """Reliability of every rate on a split, estimated CSI, the transmitter told the average SNR."""
    images = load_told(manifest, dataset, options["split"])
    lab = Lab(manifest, images.images)
    asked = {**options, "csi": "estimated" if manifest.layout.pilots else "none", "symbols": None, "told": "average",
             "stream": 0, "doppler": 3.9e-4}  # fmt: skip
    labels = np.tile(images.labels, options["seeds"])
    rows = []
    for symbols, temperatures in zip(manifest.layout.rates, fitted.temperature, strict=True):
        raw, scaled = {}, {}
        for one in plan(manifest, {**asked, "symbols": str(symbols)}):
            where = f"{one.channel} {one.snr_db:g}"
            found = [lab.answer(one, stream) for stream in range(one.seeds)]
            raw[where], gamma = (np.concatenate(parts) for parts in zip(*found, strict=True))
            scaled[where] = raw[where] / np.array(temperatures)[snr_bins(gamma, fitted.edges_db), None]
        repeated = np.tile(labels, len(raw))
        before, after = (reliability(np.concatenate(list(part.values())), repeated) for part in (raw, scaled))
        rows.append(
            Row(symbols, temperatures, before, after, {w: reliability(p, labels).ece for w, p in scaled.items()})
        )
    return rows


def panels(rows: Sequence[Row]) -> list[Panel]:
    """The reliability diagram, before and after: accuracy against confidence, a curve per rate."""
    found = {"before": [row.before for row in rows], "after": [row.after for row in rows]}
    return [_panel(name, rows, answers) for name, answers in found.items()]


def _panel(name: str, rows: Sequence[Row], found: Sequence[Reliability]) -> Panel:
    curves = []
    for row, one in zip(rows, found, strict=True):
        _, confidence, accuracy = zip(*one.bins, strict=True)
        curves.append(Curve(f"{row.symbols} symbols", confidence, accuracy))
    errors = [100 * one.ece for one in found]
    title = f"{name}: expected calibration error {min(errors):.1f} to {max(errors):.1f} %"
    return Panel(curves, "confidence", "accuracy", title, diagonal=True)
