"""How far a pair's confidence can be believed: `python -m training.calibration` fits temperatures, shows reliability.

Knows nothing about training. Temperatures are fitted on validation images (`distillation/measure.py`); reliability
is measured on another split, through the emulator's channel and the receiver's own estimates, before and after.

Expected calibration error (Naeini et al. 2015): sum over 15 equal bins of confidence of (share of answers in the bin)
times |accuracy - mean confidence| there.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.cli import begin, invoke, shared_options
from common.console import say
from common.files import FIGURES, OutFile, OutFolder, write_atomic
from common.images.datasets import held_out
from common.pair.manifest import Manifest, find_pair
from common.pair.origin import dataset_of
from common.pair.shapes import Calibration
from scrx.decoding.tasks import snr_bins
from training.distillation.pairs import load_student, trained_under, write_changed
from training.lab.evaluation import Lab, plan
from training.report.progress import print_table

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """Answers by confidence. bins: (share of answers, mean confidence, accuracy) of each bin that has any."""

    ece: float
    nll: float
    answers: int
    bins: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One rate, all channels and SNRs together; ece_by_snr: of the calibrated confidence, "channel dB" -> ECE."""

    symbols: int
    temperature: tuple[float, ...]
    """By SNR bin."""
    before: Reliability
    after: Reliability
    ece_by_snr: dict[str, float]


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="Where reliability is measured. [default: test, or validation where there is none]")
@click.option("--channel", default="block-rayleigh", show_default=True, help="As of training.evaluate.")
@click.option("--snr", default="0,5,10,15,20", show_default=True, help="Average Es/N0 in dB, with commas.")
@click.option("--seeds", default=4, show_default=True, help="Channels per image.")
@click.option("--seed", default=0, show_default=True, help="Seed of the channels.")
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@click.option("--figure", type=OutFile(FIGURES), help="Draw the reliability diagram here.")
@click.option("--write", type=OutFolder(), help="Write the pair with its temperatures to this folder.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda ...")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.pair.device import pick_device
    from training.data.images import load_told
    from training.distillation.measure import calibrate

    manifest = find_pair(options["pair"])
    dataset = options["dataset"] or dataset_of(manifest)
    options["split"] = options["split"] or held_out(dataset)
    student = load_student(manifest).to(pick_device(options["device"]))
    validation = load_told(manifest, dataset, "validation")
    fitted = calibrate(student, validation, manifest.preprocess, trained_under(manifest), options["seed"])
    rows = measure(manifest, fitted, dataset, options)
    _show(rows)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options["json_file"], json.dumps({"rows": [asdict(r) for r in rows]}, indent=1).encode() + b"\n")
    if options["figure"]:
        _draw(rows, options["figure"])
    if options["write"]:
        written = write_changed(manifest, options["write"], calibration=fitted)
        say(f"pair: {written.path}, id {written.id[:16]}")


def measure(manifest: Manifest, fitted: Calibration, dataset: str, options: dict[str, Any]) -> list[Row]:
    """Reliability of every rate on a split, estimated CSI, the transmitter told the average SNR."""
    from training.data.images import load_told

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


def reliability(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> Reliability:
    """logits: float [N, C], divided by their temperature; labels: int64 [N]."""
    log_p = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    confidence, right = np.exp(log_p.max(-1)), log_p.argmax(-1) == labels
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        (float(np.mean(which == one)), float(confidence[which == one].mean()), float(right[which == one].mean()))
        for one in np.unique(which)
    ]
    ece = sum(share * abs(accuracy - mean) for share, mean, accuracy in bins)
    return Reliability(ece, float(-log_p[np.arange(len(labels)), labels].mean()), len(labels), tuple(bins))


def _show(rows: list[Row]) -> None:
    cells = []
    for row in rows:
        worst = max(row.ece_by_snr, key=lambda where: row.ece_by_snr[where])
        eces = [f"{100 * one.ece:.2f}" for one in (row.before, row.after)]
        nlls = [f"{one.nll:.3f}" for one in (row.before, row.after)]
        spread = f"{100 * row.ece_by_snr[worst]:.2f} ({worst} dB)"
        cells.append((row.symbols, " ".join(f"{t:.2f}" for t in row.temperature), *eces, *nlls, spread))
    headings = ("symbols", "temperatures", "ECE", "calibrated", "NLL", "calibrated", "worst ECE at one SNR")
    print_table("confidence: expected calibration error in %, and NLL, before and after", headings, cells)


def _draw(rows: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, both = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
    for axes, name in zip(both, ("before", "after"), strict=True):
        axes.plot([0, 1], [0, 1], ":", color="grey")
        for row in rows:
            _, confidence, accuracy = zip(*getattr(row, name).bins, strict=True)
            axes.plot(
                confidence, accuracy, ".-", label=f"{row.symbols} symbols, ECE {100 * getattr(row, name).ece:.1f} %"
            )
        axes.set(xlabel="confidence", title=name)
        axes.legend(fontsize="small")
    both[0].set(ylabel="accuracy")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    invoke(main, "TRAINING_CALIBRATION")
