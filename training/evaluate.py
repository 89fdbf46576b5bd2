"""Accuracy of a pair against SNR through the emulator's own channel, or a suite: `python -m training.evaluate`.

Knows nothing about training or sockets: images, channel and decisions of the running link, without the wire.

Channel state information (csi):
    known      awgn: h = 1 and N0 are known and no pilots are sent, as in the literature; n = payload symbols
    perfect    fading: h and N0 are known, no pilots; n = payload symbols
    estimated  the receiver's own tracker: pilots, least squares, pooled N0; n = payload symbols + pilots
Image i of the split is frame i of a stream on the air clock, as over the link. Intervals: bootstrap over images, of
each image's mean over the channels.

--suite measures a pair, what else could be sent, and bounds over a whole grid, and writes OUT/SUITE.json, .md, .png,
.svg and .pdf; a run that was killed goes on where it was.

--over-the-link asks the same of the real processes, image by image; the exit code is 1 where any decision differs.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import click
from click.core import ParameterSource

from common.cli import begin, invoke, shared_options
from common.console import say
from common.errors import ConfigError
from common.files import FIGURES, OutFile, OutFolder, UserPath, write_json
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of
from training.data.images import measured_split, skip_bad_option
from training.lab.evaluation import evaluate, plan
from training.report.figures import draw
from training.report.points import Point, by_curve, panel
from training.report.tabular import print_table
from training.systems.entrance import typed_alone

PLAIN = (
    "channel", "csi", "snr", "symbols", "told", "words", "seeds", "stream", "doppler", "json_file", "figure",
)  # fmt: skip
OF_SUITES = ("only", "out", "against", "images", "cards", "hours", "codec")
"""Options that go without --suite, and those that go with it."""
NOT_LINKED = ("against", "cards", "hours", "figure", "skip_bad", "device")
"""Options that go without --over-the-link."""


@click.command(help=__doc__.splitlines()[0])
@click.option("--suite", help="quick, cifar10 or tinyimagenet100: many systems over a whole grid.")
@click.option("--only", default="", help="With --suite: systems, with commas. [default: all]")
@click.option(
    "--out",
    type=OutFolder(),
    help="With --suite: folder for results. [default: build/suites/SUITE-SEED, and more for another pair or data]",
)
@click.option("--against", type=UserPath(), help="With --suite: JSON of another run, to compare with.")
@click.option("--cards", type=OutFolder(), help="With --suite: write a result card for each number into this folder.")
@click.option("--hours", type=float, help="With --cards, of a pair that does not ship: hours that it took to train.")
@click.option(
    "--images",
    type=int,
    help="With --suite or --over-the-link: only so many, where they lie by class of each. [default: all]",
)
@click.option(
    "--codec",
    multiple=True,
    callback=typed_alone,
    metavar="FILE.py:CLASS",
    help="With --suite: somebody's own encoder and decoder as one more system, also MODULE:CLASS. Runs their code.",
)
@click.option(
    "--over-the-link",
    is_flag=True,
    help="Send the same through receiver, channel-emu and transmitter as processes: are the decisions the same?",
)
@click.option("--pair", help="Name or folder; with --suite several, with commas. [default: digits, or the suite's]")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="train, validation or test. [default: test, or validation where there is none]")
@click.option(
    "--channel", default="awgn", show_default=True, help="awgn, block-rayleigh, rayleigh; several with commas."
)
@click.option("--csi", help="known, perfect, estimated; several with commas. [default: known on awgn, else estimated]")
@click.option("--snr", default="-6,-3,0,3,6,10,15,20", show_default=True, help="Average Es/N0 in dB, with commas.")
@click.option("--symbols", help="Payload symbols per image, with commas. [default: every rate of the pair]")
@click.option(
    "--told",
    default="average",
    show_default=True,
    help="SNR told to the transmitter: average, average+DB, average-DB, none or dB; each less the first, with commas.",
)
@click.option(
    "--words", default="told", show_default=True, help="Symbols of the word, with commas; told: as few as do."
)
@click.option("--seeds", default=4, show_default=True, help="Channels per image: streams STREAM, STREAM + 1, ...")
@click.option("--stream", default=0, show_default=True, help="The first stream.")
@click.option("--seed", default=0, show_default=True, help="Seed of the channel, as of channel-emu.")
@click.option("--doppler", default=7.8e-5, show_default=True, help="rayleigh: fd per symbol.")
@click.option("--json", "json_file", type=OutFile(), help="Write the points here.")
@click.option("--figure", type=OutFile(FIGURES), help="Draw them here (PNG, SVG or PDF).")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda ...")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    over = options["over_the_link"]
    if over and (beside := _given(context, NOT_LINKED)):
        raise ConfigError(f"--{beside[0]} goes without --over-the-link, which compares decisions, all made on the CPU")
    if options["suite"]:
        alone = _given(context, PLAIN)
        if alone:
            raise ConfigError(f"--{alone[0]} goes without --suite, which says what is measured")
        context.exit(_suite(options))
    if beside := [name for name in _given(context, OF_SUITES) if not (over and name == "images")]:
        raise ConfigError(f"--{beside[0]} goes with --suite")
    manifest = find_pair(options["pair"] or "digits")
    if over and not options["csi"]:
        options["csi"] = "estimated"  # all that a link can do
    settings = plan(manifest, options)
    dataset = options["dataset"] or dataset_of(manifest)
    split = measured_split(dataset, options["split"])
    if over:
        from training.crossing.asking import ask_pair

        context.exit(ask_pair(str(manifest.path), settings, dataset, split, _images(options), options["json_file"]))
    points = evaluate(manifest, settings, dataset, split, options["device"], options["skip_bad"])
    show(points)
    if options["json_file"]:
        write_json(options["json_file"], {"points": [asdict(point) for point in points]})
    if options["figure"]:
        draw(options["figure"], [[panel(points)]])


def _given(context: click.Context, names: Sequence[str]) -> list[str]:
    """Those of the options that somebody gave, as they are typed."""
    given = [name for name in names if context.get_parameter_source(name) != ParameterSource.DEFAULT]
    return [name.removesuffix("_file").replace("_", "-") for name in given]


def _suite(options: dict[str, Any]) -> int:
    """Run a suite; returns the exit code."""
    from training.cards.from_suite import training_of, write_cards
    from training.suites.definitions import find_suite
    from training.suites.whole import Order, compare, place_of, run

    suite = find_suite(options["suite"])
    pairs, only = ([part for part in (options[name] or "").split(",") if part] for name in ("pair", "only"))
    images = options["dataset"], options["split"]
    out = options["out"] or place_of(suite, options["seed"], pairs, *images, _images(options))
    order = Order(out, options["seed"], only, pairs, *images, options["device"], _images(options), options["codec"],
                  options["skip_bad"])  # fmt: skip
    if options["cards"]:
        training_of(find_pair(pairs[0] if pairs else suite.pair), options["hours"])
    if options["over_the_link"]:
        from training.crossing.asking import ask_suite

        return ask_suite(suite, replace(order, device="cpu"))
    done = run(suite, order)
    say(f"written: {out / suite.name}.json, .md, .png, .svg, .pdf")
    if options["cards"]:
        say(f"written: {len(write_cards(done, order, options['cards'], options['hours']))} cards in {options['cards']}")
    return 1 if options["against"] and compare(done.document, options["against"]) else 0


def _images(options: dict[str, Any]) -> int | None:
    if options["images"] is not None and options["images"] < 1:
        raise ConfigError(f"--images must be at least 1, not {options['images']}")
    images: int | None = options["images"]
    return images


def show(points: list[Point]) -> None:
    """One row per channel, csi and rate; one column per SNR. Then the same for what is missed of the features."""
    snrs = sorted({point.snr_db for point in points})
    rows, missed = [], []
    for (channel, csi, symbols, n, told, words), row in by_curve(points).items():
        ends = [p.difference[1:] if p.difference else p.ci95 for p in row]
        cells = [f"{100 * p.accuracy:.1f}{f' ({100 * p.difference[0]:+.2f})' if p.difference else ''}" for p in row]
        wide = max((high - low) / 2 for low, high in ends)
        place = (channel, csi, f"{symbols:g}", n, told, words)
        rows.append((*place, *cells, f"{100 * wide:.2f}"))
        missed.append((*place, *(f"{100 * p.missed:.1f}" for p in row)))
    title = "accuracy in % (less that of the first --told and --words); +-: the widest half of a row's 95 % intervals"
    headings = ("channel", "csi", "symbols", "n", "told", "words", *(f"{snr:g} dB" for snr in snrs))
    print_table(title, (*headings, "+-"), rows)
    print_table("of the features' variance the receiver misses, in %", headings, missed)


if __name__ == "__main__":
    invoke(main, "TRAINING_EVALUATE")
