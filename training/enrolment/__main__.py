"""How well new classes are enrolled over a channel: `python -m training.enrolment` measures it, without sockets.

Knows nothing about training. The data set has classes that the pair has never seen: its train split gives examples, its
test split (validation where it has none) is asked about, and both go over the channel. `unseen.py` says what they are
compared with.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError
from common.files import FIGURES, OutFile, write_json
from common.flags import Real, numbers
from common.images.imageset import ImageSet
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of
from common.text import safe
from training.data.images import measured_split
from training.report.figures import Curve, Panel, draw
from training.report.tabular import print_table

if TYPE_CHECKING:
    from training.enrolment.unseen import Point


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="cifar10", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", required=True, help="Classes that the pair has never seen: a folder or a Hub id.")
@click.option("--own", help="Data set of the pair's own classes, for baselines. [default: what it was trained on]")
@click.option("--teacher", help="Folder or Hub id: its embedding beside the pair's. [default: none]")
@click.option("--own-images", default=2000, show_default=True, type=click.IntRange(100), help="Of these at most.")
@click.option("--examples", default="1,5,20", show_default=True, help="Of each class, with commas.")
@click.option("--symbols", help="Payload per picture, with commas: rates of the pair. [default: the two highest]")
@click.option("--snr", default="0,5,10", show_default=True, help="Es/N0 in dB, with commas.")
@click.option("--channel", default="awgn", show_default=True, type=click.Choice(["awgn", "block-rayleigh"]))
@click.option("--csi", default="known", show_default=True, type=click.Choice(["known", "estimated"]))
@click.option("--draws", default=100, show_default=True, type=click.IntRange(1), help="Of the examples.")
@click.option("--unknown", default=0.05, show_default=True, type=Real(0, 0.5), help="As scrx --unknown.")
@click.option("--seed", default=0, show_default=True, help="Of channel and draws.")
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@click.option("--figure", type=OutFile(FIGURES), help="Draw accuracy against SNR here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from scrx.heads.space import find_space
    from training.enrolment.heard import images_for
    from training.enrolment.sent import teachers_embedding
    from training.enrolment.unseen import Plan, Unseen

    manifest = find_pair(options["pair"])
    space, rates = find_space(manifest), manifest.layout.rates
    symbols = numbers("symbols", options["symbols"], int) if options["symbols"] else list(rates[-2:])
    if strange := [one for one in symbols if one not in rates]:
        raise ConfigError(f"--symbols {strange[0]}: pair {manifest.name} sends {', '.join(map(str, rates))}")
    csi = {"known": "perfect"}.get(options["csi"], options["csi"]) if options["channel"] != "awgn" else options["csi"]
    examples = numbers("examples", options["examples"], int)
    if min(examples) < 1:
        raise ConfigError("--examples: give numbers of at least 1")
    plan = Plan(options["channel"], csi, tuple(symbols), tuple(numbers("snr", options["snr"], float)), tuple(examples),
                options["draws"], options["unknown"], options["seed"])  # fmt: skip
    own = images_for(manifest, options["own"] or dataset_of(manifest), "validation", options["own_images"])
    shown, asked = (
        images_for(manifest, options["dataset"], split) for split in ("train", measured_split(options["dataset"], None))
    )
    require_pictures(shown, asked, max(examples))
    taught = (
        [teachers_embedding(options["teacher"], one) for one in (own, shown, asked)] if options["teacher"] else None
    )
    points = list(Unseen(manifest, space, own, shown, asked, plan, taught).points())
    _show(points, len(set(asked.labels.tolist())), len(asked))
    if options["json_file"]:
        write_json(options["json_file"], {"pair": manifest.id, "space": space.sha256, "plan": asdict(plan),
                                          "points": [asdict(point) for point in points]})  # fmt: skip
    if options["figure"]:
        draw(options["figure"], [_panels(points)])


def require_pictures(shown: ImageSet, asked: ImageSet, most: int) -> None:
    """ConfigError where a class that is asked about has fewer than `most` pictures to be enrolled from."""
    have = {shown.classes[label]: int((shown.labels == label).sum()) for label in np.unique(asked.labels)}
    fewest = min(have, key=lambda name: have[name])
    if have[fewest] < most:
        pictures = f"class {safe(fewest, 60)} has {have[fewest]} pictures to be enrolled from"
        raise ConfigError(f"--examples {most}: {pictures}; give at most so many")


def _show(points: Sequence["Point"], classes: int, asked: int) -> None:
    rows = [
        (one.system, "" if one.symbols is None else one.symbols, "" if one.snr_db is None else f"{one.snr_db:g}",
         one.examples, f"{100 * one.told.accuracy:.1f}", f"{100 * one.told.low:.1f} to {100 * one.told.high:.1f}",
         *(("", "", "") if (s := one.strangers) is None else
           (f"{100 * s.unknown:.1f}", f"{100 * s.found:.1f}", f"{100 * s.sure:.1f} / {100 * s.right:.1f}")))
        for one in points
    ]  # fmt: skip
    stated = next((one.strangers.stated for one in points if one.strangers), 0.0)
    headings = ("system", "symbols", "dB", "examples", "accuracy", "95 % of draws", f"unknown ({100 * stated:g})",
                "strangers found", "sure / right")  # fmt: skip
    print_table(f"{classes} new classes, {asked} pictures, %; half of them enrolled in the last three columns",
                headings, rows, left=("system",))  # fmt: skip


def _panels(points: Sequence["Point"]) -> list[Panel]:
    """A panel for each number of examples: accuracy against SNR, flat where there is no channel."""
    from training.enrolment.unseen import by_system

    snrs = sorted({one.snr_db for one in points if one.snr_db is not None})
    panels = []
    for count in sorted({one.examples for one in points}):
        curves = []
        for (system, symbols, examples), row in by_system(points).items():
            if examples != count:
                continue
            x = snrs if symbols is None else [one.snr_db for one in row if one.snr_db is not None]
            row = row if symbols is not None else row * len(snrs)
            label = system if symbols is None else f"{system}, {symbols} symbols"
            tolds = [one.told for one in row]
            curves.append(Curve(label, x, [100 * one.accuracy for one in tolds], [100 * one.low for one in tolds],
                                [100 * one.high for one in tolds]))  # fmt: skip
        panels.append(Panel(curves, "Es/N0 in dB", "accuracy in %", f"{count} examples of each class"))
    return panels


if __name__ == "__main__":
    invoke(main, "TRAINING_ENROLMENT")
