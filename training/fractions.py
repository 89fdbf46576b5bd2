"""What training data is worth, with and without distillation: `python -m training.fractions`.

Knows nothing about how images and teachers are chosen (`experiments/shares.py`) or how a row is trained and measured.
"""

from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import tell
from common.files import OutFile, write_json
from training.experiments.variants import ALL, ROWS
from training.report.stats import written
from training.report.tabular import print_table


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; else one that fits the data]")
@click.option("--encoder", help="Transmitter as WIDTH,BLOCKS,STRIDE of its stem. [default: the recipe's]")
@click.option("--fractions", default="0.1,0.25,0.5,1", show_default=True, help="Shares of the training images.")
@click.option("--rows", default=",".join(ROWS), show_default=True, help="Which of these, with commas.")
@click.option("--epochs", type=int, help="Passes over all training images. [default: the recipe's]")
@click.option("--teacher", help="Teacher of all images. [default: build/teachers/NAME, made if missing]")
@click.option("--symbols", default="16", show_default=True, help="Payload symbols per image, with commas.")
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Training seeds per row.")
@click.option("--channels", default=1, show_default=True, type=click.IntRange(1), help="Channels per image.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the rows here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.experiments.shares import shares, table, teacher_of, variants
    from training.experiments.trials import grid, run
    from training.recipes.fitted import recipe_for
    from training.recipes.recipe import adjusted

    fractions = shares(options["fractions"])
    recipe, told = recipe_for(options["dataset"], options["recipe"])
    for line in told:
        tell(line)
    recipe = adjusted(recipe, options["epochs"], encoder=options["encoder"])
    settings = grid(recipe, options["symbols"], options["channels"])
    if ALL in options["rows"].split(",") and not options["teacher"]:
        options["teacher"] = teacher_of(recipe, options)
    chosen = [one for share in fractions for one in variants(recipe, share, options)]
    report = table(fractions, {one.name: run(one, settings, options) for one in chosen}, settings)
    show(report)
    if options["json_file"]:
        write_json(options["json_file"], {"rows": report})


def show(report: list[dict[str, Any]]) -> None:
    """One line per row."""
    rows = []
    for row in report:
        spread = " ".join(f"{value:.1f}" for value in row["over_seeds"])
        double = written(row["to_double"], *row["to_double_ci95"]) if "to_double" in row else ""
        rows.append((row["name"], f"{row['accuracy']:.2f}", spread, written(row["difference"], *row["ci95"]), double))
    headings = ("row", "accuracy", "seeds", "to true labels", "to true labels on twice the share")
    print_table("mean accuracy in %; differences in points, paired, 95 %", headings, rows, left=headings)


if __name__ == "__main__":
    invoke(main, "TRAINING_FRACTIONS")
