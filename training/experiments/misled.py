"""What wrong reports cost: `python -m training.experiments.misled` misleads a transmitter and counts what is lost.

Knows nothing about how reports are corrected. At each place, which is a channel and an SNR, all runs meet the same
images, fades and noise:

    right       reports are as the receiver makes them, and taken at their word
    trusted     they are off by so many dB, and taken at their word
    corrected   they are off by as much, and the answers are heard
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError
from common.files import OutFile, write_json
from common.flags import numbers
from training.report.stats import bootstrap, scaled, written
from training.report.tabular import print_table

if TYPE_CHECKING:
    from common.images.imageset import ImageSet
    from common.pair.manifest import Manifest

CHANNELS = {"awgn": "none", "block-rayleigh": "block-rayleigh", "rayleigh": "rayleigh"}
HEARD = 20
"""Answers that are heard before anything is expected of them; the Doppler is first told after 24."""
PARTS = {"first": slice(0, HEARD), "next": slice(HEARD, 2 * HEARD), "then": slice(2 * HEARD, None)}
"""Of the frames of a run."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transmitter is misled. channel: of CHANNELS; SNRs in dB."""

    channel: str
    snr_db: float
    bias_db: float


class Bench:
    """A pair and its images; how often they are sent. seed: of the channel and of what is sent."""

    def __init__(self, manifest: "Manifest", images: "ImageSet", streams: range, frames: int, seed: int) -> None:
        from training.lab.direct import Encodings

        self._manifest, self._images, self._streams, self._frames = manifest, images, streams, frames
        self._seed = seed
        self._known = Encodings()
        self._right: dict[tuple[str, float], Any] = {}

    def measure(self, place: Place) -> dict[str, Any]:
        """Points lost against `right` and symbols of each image, by part of the run; interval over streams."""
        at = place.channel, place.snr_db
        if at not in self._right:
            self._right[at] = self._runs(Place(*at, 0.0), trust=True)
        right = self._right[at]
        runs = {"trusted": self._runs(place, trust=True), "corrected": self._runs(place, trust=False)}
        row: dict[str, Any] = {"channel": place.channel, "snr_db": place.snr_db, "bias_db": place.bias_db}
        for part, which in PARTS.items():
            row[part] = {"right": float(right[0, :, which].mean()), "symbols_right": float(right[1, :, which].mean())}
            for name, run in runs.items():
                lost = (right[0] - run[0])[:, which].mean(1)
                row[part] |= {
                    f"lost_{name}": scaled(bootstrap(lost), 100),
                    f"symbols_{name}": float(run[1, :, which].mean()),
                }
        return row

    def _runs(self, place: Place, trust: bool) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Whether each answer is right, and its symbols: float64 [2, streams, frames]."""
        from common.channel.spec.spec import ChannelSpec
        from common.channel.spec.ways import FeedbackSpec
        from sctx.rate.policy import RatePolicy
        from training.lab.direct import run_direct

        slot = self._manifest.layout.slot
        fading = CHANNELS[place.channel]
        spec = ChannelSpec(
            snr_db=place.snr_db, fading=fading, coherence=slot, doppler=0.01 / slot, seed=self._seed
        )  # fmt: skip
        found = np.empty((2, len(self._streams), self._frames))
        for row, stream in enumerate(self._streams):
            which = np.random.default_rng([stream, self._seed]).integers(0, len(self._images), self._frames)
            answers = run_direct(
                self._manifest, self._images.images[which], spec, stream, RatePolicy(),
                feedback=FeedbackSpec(bias_db=place.bias_db), encodings=self._known, trust_reports=trust,
            )  # fmt: skip
            labels = self._images.labels[which].tolist()
            told = [(one.answer == label, one.symbols) for one, label in zip(answers, labels, strict=True)]
            found[:, row] = np.array(told, float).T
        return found


def places(options: dict[str, Any]) -> list[Place]:
    """What is asked for. Raises ConfigError."""
    channels = numbers("channel", options["channel"], str)
    if unknown := set(channels) - set(CHANNELS):
        raise ConfigError(f"--channel {min(unknown)}: choose of {', '.join(CHANNELS)}")
    if options["frames"] <= 2 * HEARD or options["streams"] < 1:
        raise ConfigError(f"--frames must be above {2 * HEARD}, and --streams at least 1")
    snrs, biases = (numbers(name, options[name], float) for name in ("snr", "bias"))
    return [Place(*one) for one in product(channels, snrs, biases)]


def show(rows: Sequence[dict[str, Any]]) -> None:
    """One line a place."""
    headings = ["channel", "SNR dB", "off by dB", "right %"]
    for part in PARTS:
        headings += [f"{part}: lost trusted", "lost corrected", "symbols"]
    title = (
        f"points lost to wrong reports in the first {HEARD} frames, the next {HEARD}, and then; symbols where reports "
    )
    print_table(title + "are right, trusted, corrected", headings, map(_cells, rows), left=("channel",))


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["channel"], f"{row['snr_db']:g}", f"{row['bias_db']:+g}", f"{100 * row['then']['right']:.1f}"]
    for part in (row[name] for name in PARTS):
        mean, low, high = part["lost_corrected"]
        symbols = (f"{part[f'symbols_{name}']:.1f}" for name in ("right", "trusted", "corrected"))
        cells += [f"{part['lost_trusted'][0]:+.1f}", written(mean, low, high, 1), " ".join(symbols)]
    return cells


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option("--channel", default="awgn,block-rayleigh", show_default=True, help=f"Of {', '.join(CHANNELS)}.")
@click.option("--snr", default="-10,-5,0,5,10,20", show_default=True, help="dB, with commas.")
@click.option("--bias", default="0,6,-6,12", show_default=True, help="What is added to reports, dB, with commas.")
@click.option("--streams", default=16, show_default=True, help="Runs at each place.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="Stream of the first run.")
@click.option("--seed", default=0, show_default=True, help="Of the channel and of which images are sent.")
@click.option("--frames", default=100, show_default=True, help="Images of a run.")
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    asked = places(options)
    from rich.console import Console

    from common.pair.device import limit_threads
    from common.pair.manifest import find_pair
    from common.pair.origin import dataset_of
    from training.data.images import load_told, measured_split
    from training.report.progress import bar

    limit_threads(1)  # one small image at a time gains nothing from a second
    manifest = find_pair(options["pair"])
    dataset = options["dataset"] or dataset_of(manifest)
    images = load_told(manifest, dataset, measured_split(dataset, options["split"]))
    streams = range(options["first"], options["first"] + options["streams"])
    bench, rows = Bench(manifest, images, streams, options["frames"], options["seed"]), []
    with bar(Console(stderr=True), "misled", len(asked)) as advance:
        for place in asked:
            rows.append(bench.measure(place))
            advance()
    show(rows)
    if options["json_file"]:
        write_json(options["json_file"], {"pair": manifest.id, "rows": rows})


if __name__ == "__main__":
    invoke(main, "TRAINING_MISLED")
