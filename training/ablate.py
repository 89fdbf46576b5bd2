"""What each part of the method is worth: `python -m training.ablate` trains every variant and compares them, paired.

Knows nothing about how a variant is trained or measured; it only switches parts off.

A variant's accuracy is the mean over training seeds, images and channels at each setting; the difference is taken to
the full method on the same images and channels. Intervals: bootstrap over images. A run that was killed goes on after
its last finished training.
"""

from typing import TYPE_CHECKING, Any

import click

from common.cli import begin, invoke, shared_options
from common.files import FIGURES, OutFile, write_json
from common.flags import numbers
from training.experiments.variants import FULL, NAMES, SNRS_DB, variant
from training.report.figures import Curve, Panel, draw
from training.report.stats import written
from training.report.tabular import print_table

if TYPE_CHECKING:
    from training.lab.evaluation import Setting


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
    help="Variants, with commas; the full method is always there. 'views N', 'encoding KEPT', 'embedding BYTES' and "
    "'encoder WIDTH/BLOCKS/STRIDE' too.",
)
@click.option("--symbols", default="4,16", show_default=True, help="Payload symbols per image, with commas.")
@click.option("--snr", default=",".join(f"{snr:g}" for snr in SNRS_DB), show_default=True, help="dB, with commas.")
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Training seeds per variant.")
@click.option("--channels", default=4, show_default=True, type=click.IntRange(1), help="Channels per image.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the rows here.")
@click.option("--figure", type=OutFile(FIGURES), help="Accuracy against the transmitter's compute, as PNG.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.experiments.trials import compared, grid, run
    from training.recipes.recipe import adjusted, load_recipe

    recipe = adjusted(load_recipe(options["recipe"]), options["epochs"], fraction=options["fraction"])
    chosen = [variant(recipe, name) for name in dict.fromkeys((FULL, *options["only"].split(",")))]
    settings = grid(recipe, options["symbols"], options["channels"], numbers("snr", options["snr"], float))
    rows = [run(variant, settings, options) for variant in chosen]
    report = [compared(row, rows[0], settings) for row in rows]
    _show(report, settings)
    if options["json_file"]:
        write_json(options["json_file"], {"rows": report})
    if options["figure"]:
        draw(options["figure"], [[compute(report)]])


def _show(report: list[dict[str, Any]], settings: "list[Setting]") -> None:
    what = sorted({f"{one.channel}" for one in settings})
    snrs = ", ".join(f"{snr:g}" for snr in sorted({one.snr_db for one in settings}))
    rows = []
    for row in report:
        spread = " ".join(f"{value:.1f}" for value in row["over_seeds"])
        change = written(row["difference"], *row["ci95"])
        apart = " ".join(f"{value:+.1f}" for value in row["difference_over_seeds"])
        rows.append((row["name"], f"{row['accuracy']:.2f}", spread, change, apart, f"{row['epoch_s']:.3f}",
                     f"{row['macs'] / 1e6:.1f}"))  # fmt: skip
    headings = ("variant", "accuracy", "seeds", "difference (95 %)", "over seeds", "s per epoch", "MMAC")
    title = f"mean accuracy in % over {', '.join(what)}, {len(settings)} settings, {snrs} dB"
    print_table(title, headings, rows, left=headings)
    each = []
    for name in report[0]["settings"]:
        cells = [row["settings"][name] for row in report]
        rest = [f"{share:.2f}, {written(*gap)}" for share, *gap in cells[1:]]
        each.append((f"{name} dB", f"{cells[0][0]:.2f}", *rest))
    headings = ("setting", *(row["name"] for row in report))
    print_table("accuracy in %, difference to the full method in points (95 %)", headings, each, left=headings)


def compute(report: list[dict[str, Any]]) -> Panel:
    """Accuracy against the transmitter's multiply-accumulates, a curve per setting through all variants."""
    rows = sorted(report, key=lambda row: int(row["macs"]))
    mmacs = [row["macs"] / 1e6 for row in rows]
    curves = []
    for setting in rows[0]["settings"]:
        channel, symbols, snr_db = setting.split()
        label = f"{channel}, {symbols} symbols, {snr_db} dB"
        curves.append(Curve(label, mmacs, [row["settings"][setting][0] for row in rows]))
    return Panel(curves, "transmitter, 10^6 multiply-accumulates per image", "accuracy in %", log=True)


if __name__ == "__main__":
    invoke(main, "TRAINING_ABLATE")
