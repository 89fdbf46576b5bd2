"""What each part of the method is worth: `python -m training.ablate` trains every variant and compares them, paired.

Knows nothing about how a variant is trained or measured; it only switches parts off.

A variant's accuracy is the mean over training seeds, images and channels at each setting; the difference is taken to
the full method on the same images and channels. Intervals: bootstrap over images. A bank is a model for each SNR and
rate, trained for that one alone: the ceiling of the one that serves all. A run that was killed goes on after its last
finished training.
"""

import json
from pathlib import Path
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.files import FIGURES, OutFile, write_atomic
from common.flags import numbers
from training.experiments.variants import FULL, NAMES, SNRS_DB, compared, grid, run, variant
from training.lab.evaluation import Setting
from training.report.progress import print_table


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", default="digits", show_default=True, help="Name in training/configs or TOML file.")
@click.option("--epochs", type=int, help="Passes over the training images. [default: the recipe's]")
@click.option("--fraction", type=float, help="Share of the training images to use, 0 to 1. [default: the recipe's]")
@click.option("--teacher", help="Folder or Hub id. [default: build/teachers/RECIPE, made if missing]")
@click.option(
    "--only",
    default=",".join(NAMES),
    show_default=True,
    help="Variants, with commas; the full method is always there. Other numbers of views, other beta, "
    "'encoder WIDTH/BLOCKS/STRIDE' and, where the recipe has it, 'without auxiliary classifier' and "
    "'without second stage' too.",
)
@click.option("--symbols", default="4,16", show_default=True, help="Payload symbols per image, with commas.")
@click.option("--snr", default=",".join(f"{snr:g}" for snr in SNRS_DB), show_default=True, help="dB, with commas.")
@click.option("--split", default="test", show_default=True)
@click.option("--seeds", default=3, show_default=True, help="Training seeds per variant.")
@click.option("--channels", default=4, show_default=True, help="Channels per image.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the rows here.")
@click.option("--figure", type=OutFile(FIGURES), help="Accuracy against the transmitter's compute, as PNG.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.recipes.recipe import adjusted, load_recipe

    recipe = adjusted(load_recipe(options["recipe"]), options["epochs"], fraction=options["fraction"])
    chosen = [variant(recipe, name) for name in (FULL, *options["only"].split(","))]
    settings = grid(options["symbols"], options["channels"], numbers("snr", options["snr"], float))
    rows = [run(variant, settings, options) for variant in chosen]
    report = [compared(row, rows[0], settings) for row in rows]
    _show(report, settings)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options["json_file"], json.dumps({"rows": report}, indent=1).encode() + b"\n")
    if options["figure"]:
        draw_compute(report, options["figure"])


def _show(report: list[dict[str, Any]], settings: list[Setting]) -> None:
    what = sorted({f"{one.channel}" for one in settings})
    snrs = ", ".join(f"{snr:g}" for snr in sorted({one.snr_db for one in settings}))
    rows = []
    for row in report:
        spread = " ".join(f"{value:.1f}" for value in row["over_seeds"])
        change = f"{row['difference']:+.2f} ({row['ci95'][0]:+.2f} .. {row['ci95'][1]:+.2f})"
        apart = " ".join(f"{value:+.1f}" for value in row["difference_over_seeds"])
        rows.append((row["name"], f"{row['accuracy']:.2f}", spread, change, apart, f"{row['epoch_s']:.3f}",
                     f"{row['macs'] / 1e6:.1f}"))  # fmt: skip
    headings = ("variant", "accuracy", "seeds", "difference (95 %)", "over seeds", "s per epoch", "MMAC")
    title = f"mean accuracy in % over {', '.join(what)}, {len(settings)} settings, {snrs} dB"
    print_table(title, headings, rows, left=headings)
    each = []
    for name in report[0]["settings"]:
        cells = [row["settings"][name] for row in report]
        rest = [f"{share:.2f}, {gap:+.2f} ({low:+.2f} .. {high:+.2f})" for share, gap, low, high in cells[1:]]
        each.append((f"{name} dB", f"{cells[0][0]:.2f}", *rest))
    headings = ("setting", *(row["name"] for row in report))
    print_table("accuracy in %, difference to the full method in points (95 %)", headings, each, left=headings)


def draw_compute(report: list[dict[str, Any]], path: Path) -> None:
    """Accuracy against the transmitter's multiply-accumulates, a curve per setting; variants by their names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = sorted(report, key=lambda row: int(row["macs"]))
    compute = [row["macs"] / 1e6 for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for setting in rows[0]["settings"]:
        channel, symbols, snr_db = setting.split()
        label = f"{channel}, {symbols} symbols, {snr_db} dB"
        axes.plot(compute, [row["settings"][setting][0] for row in rows], ".-", label=label)
    axes.set(xscale="log", xlabel="transmitter, 10^6 multiply-accumulates per image", ylabel="accuracy in %")
    axes.set_xticks(compute, [f"{mmac:.1f}" for mmac in compute])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    invoke(main, "TRAINING_ABLATE")
