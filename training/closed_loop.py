"""What the closed loop is worth: `python -m training.closed_loop` runs policies over the real processes, paired.

Knows nothing about statistics or drawing (`loop_report.py`). A point is one policy on one channel with one kind of
feedback; every point of a pair meets the same stream and air positions, so that all comparisons are paired, frame by
frame. Finished points are kept under --out and not run again; --direct gives the same numbers without sockets.

    snr      policies against the average SNR of a Rayleigh channel
    delay    against fd * tau: tau is the age of the newest report when a frame is sent, one slot + --feedback-delay
    loss     against the share of reports that are lost
    bits     against the bits per SNR in a report
    bias     against what is added to both SNRs of a report, in dB
    pilots   against pilots per frame; the tables are measured again for each
"""

from functools import cache
from pathlib import Path
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say
from common.files import OutFolder, write_json
from common.flags import Real
from common.images.datasets import exactly
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of
from training.experiments.loop_plan import EXPERIMENTS, LOOP, SNRS_DB, SYSTEMS, pilot_counts, plan
from training.report.figures import draw


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option("--out", type=OutFolder(), help="Points, table and figure. [default: build/closed_loop/PAIR]")
@click.option("--experiments", default=",".join(EXPERIMENTS), show_default=True, help="Some of these, with commas.")
@click.option(
    "--systems",
    default=",".join(SYSTEMS),
    show_default=True,
    help="Of experiment snr; fixed, fixed:SYMBOLS, POLICY@POINTS, POLICY@price and POLICY+ir too.",
)
@click.option("--loop-systems", default=",".join(LOOP), show_default=True, help="Of the other experiments.")
@click.option("--snr", default=",".join(map(str, SNRS_DB)), show_default=True, help="dB, of experiment snr.")
@click.option("--at", default=10.0, show_default=True, help="Average SNR in dB of the other experiments.")
@click.option("--pilots", default=4, show_default=True, help="Pilots per frame, but in experiment pilots.")
@click.option("--within", default=1.0, show_default=True, help="Goal: points below the full ladder's accuracy.")
@click.option("--ir-within", default=5.0, show_default=True, help="The same for the first round of adaptive+ir.")
@click.option("--confidence", default=0.9, show_default=True, help="adaptive+ir: as of sctx.")
@click.option("--price", default=0.001, show_default=True, help="lambda: accuracy (0..1) that a channel use costs.")
@click.option(
    "--cycles",
    type=Real(min=0.1),
    default=200.0,
    show_default=True,
    help="Doppler cycles per point: fixes the number of frames.",
)
@click.option("--stream", default=1, show_default=True, help="The channel's stream, the same for all points.")
@click.option("--seed", default=0, show_default=True, help="Seed of the channel.")
@click.option("--direct", is_flag=True, help="Without processes and sockets: the same numbers.")
@click.option("--quick", is_flag=True, help="Few frames and abscissas, to see that it works; no result.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.data.images import load_told, measured_split
    from training.experiments.loop_report import compare, panels, show, sweep
    from training.experiments.loop_run import points_of, prepared, run

    base = find_pair(options["pair"])
    out = options["out"] or Path("build") / "closed_loop" / base.name
    dataset = options["dataset"] or dataset_of(base)
    options["split"] = measured_split(dataset, options["split"])
    validation = cache(lambda: load_told(base, dataset, "validation"))
    pairs = {count: prepared(base, count, validation, out) for count in pilot_counts(options)}
    entries = plan(pairs, options)
    images = load_told(base, dataset, options["split"])
    source = f"dataset:{exactly(dataset)}:{options['split']}"
    points = {entry.point for entry in entries}
    kept = points_of(images, out)
    outcomes = run(points, pairs, images, source, kept, options["direct"])
    report, swept = (make(entries, outcomes, options["price"]) for make in (compare, sweep))
    show(report, swept)
    how = {name: str(value) for name, value in options.items() if name != "out"}
    write_json(out / "closed_loop.json", {"options": how, "rows": report, "sweep": swept})
    draw(out / "closed_loop.png", panels(report))
    say(f"{out / 'closed_loop.json'}, {out / 'closed_loop.png'}; points: {kept}")


if __name__ == "__main__":
    invoke(main, "TRAINING_CLOSED_LOOP")
