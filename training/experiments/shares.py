"""Shares of the training images, with and without a teacher: variants of a recipe, and what they are compared with.

Knows nothing about how a variant is trained or measured, the command line or tables.

Three rows for each share: true labels; a teacher that saw all images (one "from outside"); a teacher that saw the same
share, which for all images is a row of its own only where the other has learnt from more. A smaller share is part of a
larger one. Passes over a share f are the epochs for all images divided by the root of f, rounded: small shares get more
passes, but fewer steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from common.errors import ConfigError
from common.pair.device import pick_device
from training.data.images import load_data
from training.distillation.reuse import made_of_these, own_teacher
from training.experiments.trials import Row, compared
from training.experiments.variants import ALL, ROWS, SAME, TRUE, Variant
from training.lab.evaluation import Setting
from training.recipes.recipe import Recipe, adjusted
from training.recipes.specs import Schedule


def shares(text: str) -> list[float]:
    """Numbers above 0 and at most 1, ascending, each once. Raises ConfigError."""
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0 < share <= 1 for share in found):
        raise ConfigError(f"--fractions '{text}': give shares above 0 and at most 1, such as 0.1,0.5,1")
    return found


def variants(recipe: Recipe, share: float, options: dict[str, Any]) -> list[Variant]:
    """The rows of one share, true labels always."""
    asked = options["rows"].split(",")
    if unknown := set(asked) - set(ROWS):
        raise ConfigError(f"--rows {min(unknown)}: choose of {', '.join(ROWS)}")
    part = adjusted(replace(recipe, schedule=stretched(recipe.schedule, share)), fraction=share)
    rows = [Variant(name(share, TRUE), adjusted(part, hard=1.0))]
    if ALL in asked:
        rows.append(Variant(name(share, ALL), part))
    if SAME in asked and (share < 1 or _from_outside(part, options)):
        rows.append(Variant(name(share, SAME), part, teacher=teacher_of(part, options)))
    return rows


def _from_outside(part: Recipe, options: dict[str, Any]) -> bool:
    """Whether the teacher that was given is another than the recipe's own of these images."""
    given = options.get("teacher")
    return given is not None and not made_of_these(Path(given), part, load_data(part, options["dataset"])[0])


def name(share: float, labels: str) -> str:
    """Of a row."""
    return f"{100 * share:g} % {labels}"


def stretched(schedule: Schedule, share: float) -> Schedule:
    """More passes over fewer images."""
    return replace(schedule, epochs=round(schedule.epochs / share**0.5))


def teacher_of(part: Recipe, options: dict[str, Any]) -> str:
    """Folder of the recipe's teacher trained on this share alone; made if missing."""
    train, _, _ = load_data(part, options["dataset"])
    longer = replace(part.teacher, schedule=stretched(part.teacher.schedule, part.fraction))
    label = part.name if part.fraction == 1 else f"{part.name}-{100 * part.fraction:g}"
    device = pick_device(options["device"], part.threads)
    return str(own_teacher(replace(part, name=label, teacher=longer), train, 0, device, Console(stderr=True)))


def table(fractions: Sequence[float], rows: Mapping[str, Row], settings: list[Setting]) -> list[dict[str, Any]]:
    """Each row with its paired difference to true labels, on the same share and on twice the share; a teacher of all
    also to one of the same share."""
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
            same = rows.get(name(share, SAME))
            if labels == ALL and same is not None:
                beside = compared(row, same, settings)
                found |= {f"to_same_{key}": beside[key] for key in ("difference", "ci95", "difference_over_seeds")}
            report.append(found)
    return report
