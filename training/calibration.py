"""How far a pair's confidence can be believed: `python -m training.calibration` fits temperatures, shows reliability.

Knows nothing about training. Temperatures are fitted on validation images; reliability is measured on another split,
through the emulator's channel and the receiver's own estimates, before and after (`experiments/reliability.py`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say
from common.files import FIGURES, OutFile, OutFolder, write_json
from common.images.datasets import held_out
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of
from training.report.figures import draw
from training.report.tabular import print_table

if TYPE_CHECKING:
    from training.experiments.reliability import Row


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
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.pair.device import pick_device
    from training.data.images import load_told
    from training.distillation.measure import calibrate
    from training.distillation.pairs import load_student, trained_under, write_changed
    from training.experiments.reliability import measure, panels
    from training.export.tracing import finish

    manifest = find_pair(options["pair"])
    dataset = options["dataset"] or dataset_of(manifest)
    options["split"] = options["split"] or held_out(dataset)
    student = load_student(manifest).to(pick_device(options["device"]))
    validation = load_told(manifest, dataset, "validation")
    fitted = calibrate(student, validation, manifest.preprocess, trained_under(manifest), options["seed"])
    rows = measure(manifest, fitted, dataset, options)
    _show(rows)
    if options["json_file"]:
        write_json(options["json_file"], {"rows": [asdict(row) for row in rows]})
    if options["figure"]:
        draw(options["figure"], [panels(rows)])
    if options["write"]:
        written = write_changed(manifest, options["write"], calibration=fitted)
        finish(written)
        say(f"pair: {written.path}, id {written.id[:16]}")


def _show(rows: Sequence["Row"]) -> None:
    cells = []
    for row in rows:
        worst = max(row.ece_by_snr, key=lambda where: row.ece_by_snr[where])
        eces = [f"{100 * one.ece:.2f}" for one in (row.before, row.after)]
        nlls = [f"{one.nll:.3f}" for one in (row.before, row.after)]
        spread = f"{100 * row.ece_by_snr[worst]:.2f} ({worst} dB)"
        cells.append((row.symbols, " ".join(f"{t:.2f}" for t in row.temperature), *eces, *nlls, spread))
    headings = ("symbols", "temperatures", "ECE", "calibrated", "NLL", "calibrated", "worst ECE at one SNR")
    print_table("confidence: expected calibration error in %, and NLL, before and after", headings, cells)


if __name__ == "__main__":
    invoke(main, "TRAINING_CALIBRATION")
