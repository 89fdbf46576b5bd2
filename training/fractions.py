"""What training data is worth, with and without distillation: `python -m training.fractions`.

Knows nothing about how a variant is trained or measured; it only chooses images and teachers.

Three rows for each share of the training images: true labels; a teacher that saw all of them (one "from outside"); a
teacher that saw the same share. A smaller share is part of a larger one. Passes over a share f are the epochs for all
images divided by the root of f, rounded: small shares get more passes, but fewer steps.
"""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.console import tell
from common.errors import ConfigError
from common.files import OutFile, write_atomic
from training.experiments.variants import Row, Variant, compared, grid, run
from training.lab.evaluation import Setting
from training.report.progress import print_table

if TYPE_CHECKING:
    from training.recipes.recipe import Recipe
    from training.recipes.specs import Schedule

ROWS = TRUE, ALL, SAME = "true labels", "teacher of all", "teacher of the same"


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; else one that fits the data]")
@click.option("--encoder", help="Transmitter as WIDTH,BLOCKS,STRIDE of its stem. [default: the recipe's]")
@click.option("--fractions", default="0.1,0.25,0.5,1", show_default=True, help="Shares of the training images.")
@click.option("--rows", default=",".join(ROWS), show_default=True, help="Which of these, with commas.")
@click.option("--epochs", type=int, help="Passes over all training images. [default: the recipe's]")
@click.option("--teacher", help="Teacher of all images. [default: build/teachers/NAME, made if missing]")
@click.option("--symbols", default="16", show_default=True, help="Payload symbols per image, with commas.")
@click.option("--split", default="test", show_default=True)
@click.option("--seeds", default=3, show_default=True, help="Training seeds per row.")
@click.option("--channels", default=1, show_default=True, help="Channels per image.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the rows here.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.recipes.fitted import recipe_for
    from training.recipes.recipe import adjusted

    fractions = shares(options["fractions"])
    recipe, told = recipe_for(options["dataset"], options["recipe"])
    for line in told:
        tell(line)
    recipe = adjusted(recipe, options["epochs"], encoder=options["encoder"])
    if ALL in options["rows"] and not options["teacher"]:
        options["teacher"] = teacher_of(recipe, options)
    chosen = [one for share in fractions for one in variants(recipe, share, options)]
    settings = grid(options["symbols"], options["channels"])
    report = table(fractions, {one.name: run(one, settings, options) for one in chosen}, settings)
    show(report)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options["json_file"], json.dumps({"rows": report}, indent=1).encode() + b"\n")


def shares(text: str) -> list[float]:
    """Numbers above 0 and at most 1, ascending. Raises ConfigError."""
    try:
        found = sorted(float(part) for part in text.split(","))
    except ValueError:
        found = []
    if not found or not all(0 < share <= 1 for share in found):
        raise ConfigError(f"--fractions '{text}': give shares above 0 and at most 1, such as 0.1,0.5,1")
    return found


def variants(recipe: "Recipe", share: float, options: dict[str, Any]) -> list[Variant]:
    """The rows of one share, true labels always; where the share is everything, both teachers are the same one."""
    from training.recipes.recipe import adjusted

    if unknown := set(options["rows"].split(",")) - set(ROWS):
        raise ConfigError(f"--rows {min(unknown)}: choose of {', '.join(ROWS)}")
    part = adjusted(replace(recipe, schedule=stretched(recipe.schedule, share)), fraction=share)
    rows = [Variant(name(share, TRUE), adjusted(part, hard=1.0))]
    if ALL in options["rows"]:
        rows.append(Variant(name(share, ALL), part))
    if share < 1 and SAME in options["rows"]:
        rows.append(Variant(name(share, SAME), part, teacher=teacher_of(part, options)))
    return rows


def name(share: float, labels: str) -> str:
    """Of a row."""
    return f"{100 * share:g} % {labels}"


def stretched(schedule: "Schedule", share: float) -> "Schedule":
    """More passes over fewer images."""
    return replace(schedule, epochs=round(schedule.epochs / share**0.5))


def teacher_of(part: "Recipe", options: dict[str, Any]) -> str:
    """Folder of the recipe's teacher trained on this share alone; made if missing."""
    from common.pair.device import pick_device
    from training.data.images import load_data
    from training.distillation.reuse import own_teacher

    train, _, _ = load_data(part, options["dataset"])
    longer = replace(part.teacher, schedule=stretched(part.teacher.schedule, part.fraction))
    label = part.name if part.fraction == 1 else f"{part.name}-{100 * part.fraction:g}"
    device = pick_device(options["device"], part.threads)
    return str(own_teacher(replace(part, name=label, teacher=longer), train, 0, device, Console(stderr=True)))


def table(fractions: list[float], rows: dict[str, Row], settings: list[Setting]) -> list[dict[str, Any]]:
    """Each row with its paired difference to true labels, on the same share and on twice the share."""
    report = []
    for share in fractions:
        for labels in (TRUE, ALL, SAME):
            row = rows.get(name(share, labels))
            if row is None:
                continue
            found = compared(row, rows[name(share, TRUE)], settings)
            double = rows.get(name(2 * share, TRUE))
            if double is not None:
                twice = compared(row, double, settings)
                found |= {"to_double": twice["difference"], "to_double_ci95": twice["ci95"]}
            report.append(found)
    return report


def show(report: list[dict[str, Any]]) -> None:
    """One line per row."""
    rows = []
    for row in report:
        spread = " ".join(f"{value:.1f}" for value in row["over_seeds"])
        double = _interval(row["to_double"], row["to_double_ci95"]) if "to_double" in row else ""
        rows.append((row["name"], f"{row['accuracy']:.2f}", spread, _interval(row["difference"], row["ci95"]), double))
    headings = ("row", "accuracy", "seeds", "to true labels", "to true labels on twice the share")
    print_table("mean accuracy in %; differences in points, paired, 95 %", headings, rows, left=headings)


def _interval(value: float, ends: list[float]) -> str:
    return f"{value:+.2f} ({ends[0]:+.2f} .. {ends[1]:+.2f})"


if __name__ == "__main__":
    invoke(main, "TRAINING_FRACTIONS")
