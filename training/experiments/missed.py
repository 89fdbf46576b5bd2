"""Of what is missed of features: `python -m training.experiments.missed` holds `sctx --distortion` to its promise.

Knows nothing about how the rate is chosen. Each picture passes through both halves and the channel as with `sctx
--window 1`; beside what the transmitter expects the receiver to miss of its features stands what the receiver misses.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError
from common.files import OutFile, write_json
from common.flags import numbers
from scrx.demodulation.tracker import DOPPLER_FRAMES
from training.report.stats import bootstrap
from training.report.tabular import print_table

if TYPE_CHECKING:
    from common.images.imageset import ImageSet
    from common.pair.manifest import Manifest
    from training.lab.direct import Encodings

CHANNELS = {"awgn": "none", "block-rayleigh": "block-rayleigh", "rayleigh": "rayleigh"}
BLOCK = 20
"""Neighbouring frames that are resampled together: over slow fading they are alike."""


@dataclass(frozen=True, slots=True)
class Found:
    """Of the frames from when the receiver had told the Doppler: right, in %; payload symbols of each; shares of the
    features' variance in %, with the 95 % interval of the second; short: frames in % that had all symbols and were
    expected to miss more than was asked for. doppler: cycles from one frame to the next, of `rayleigh`."""

    channel: str
    doppler: float
    snr_db: float
    asked: float
    right: float
    symbols: float
    expected: float
    missed: float
    low: float
    high: float
    short: float


def measure(
    manifest: "Manifest", images: "ImageSet", known: "Encodings", place: tuple[str, float], snr_db: float,
    asked: float, frames: int, stream: int,
) -> Found:  # fmt: skip
    """One run. place: a channel and its Doppler."""
    from common.channel.spec.spec import ChannelSpec
    from sctx.settings import CLASSIFY, Settings
    from training.lab.loopback import Loopback

    channel, doppler = place
    slot = manifest.layout.slot
    spec = ChannelSpec(snr_db=snr_db, fading=CHANNELS[channel], coherence=slot, doppler=doppler / slot)
    settings = Settings(stream=stream, distortion=asked, tasks=(CLASSIFY, "embedding"), backend="torch")
    rows, features = [], []
    with Loopback(manifest, spec, settings) as link:
        link._features = lambda image: known.of(link.chain, image)  # type: ignore[method-assign]
        for k in range(frames):
            at = k % len(images)
            answer = link.send(images.images[at])
            link.link.answers.clear()
            decision, shown = link.activity.decision, link.activity.shown
            if decision is None or decision.missed is None or shown is None:
                continue
            features.append(link.chain.features(shown[0].encoded)[0])  # type: ignore[attr-defined]
            off = float(np.square(features[-1] - answer.outputs["embedding"]["vector"]).sum())
            rows.append((answer.answer == images.labels[at], answer.symbols, decision.missed, off,
                         100 * decision.missed > asked))  # fmt: skip
    right, symbols, expected, off, short = np.array(rows, float).T
    power = np.square(np.array(features) - np.mean(features, 0)).sum(1).mean()
    missed, low, high = (100 * one for one in bootstrap(off / power, BLOCK))
    return Found(channel, doppler, snr_db, asked, 100 * right.mean(), symbols.mean(), 100 * expected.mean(), missed,
                 low, high, 100 * short.mean())  # fmt: skip


def show(rows: Sequence[Found]) -> None:
    """One line a run."""
    headings = ["channel", "Doppler", "SNR dB", "asked %", "right %", "symbols", "expected %", "missed %", "(95 %)",
                "short %"]  # fmt: skip
    cells = [
        [one.channel, f"{one.doppler:g}" if one.channel == "rayleigh" else "", f"{one.snr_db:g}", f"{one.asked:g}",
         f"{one.right:.1f}", f"{one.symbols:.1f}", f"{one.expected:.1f}", f"{one.missed:.1f}",
         f"{one.low:.1f} .. {one.high:.1f}", f"{one.short:.0f}"]
        for one in rows
    ]  # fmt: skip
    print_table("missed of the features' variance, beside what was expected", headings, cells, left=("channel",))


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="cifar10", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="A data set, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option("--channel", default=",".join(CHANNELS), show_default=True, help="Some of these, with commas.")
@click.option(
    "--doppler", default="0.01,0.3", show_default=True, help="rayleigh: cycles from one frame to the next, with commas."
)
@click.option("--snr", default="0,5,10,20", show_default=True, help="dB, with commas.")
@click.option("--distortion", default="20,10", show_default=True, help="As of sctx, with commas.")
@click.option(
    "--frames", default=300, show_default=True, type=click.IntRange(DOPPLER_FRAMES + 2), help="Pictures of a run."
)
@click.option("--stream", default=1, show_default=True, help="Of the channel.")
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    channels = numbers("channel", options["channel"], str)
    if unknown := set(channels) - set(CHANNELS):
        raise ConfigError(f"--channel {min(unknown)}: choose of {', '.join(CHANNELS)}")
    dopplers, *asked = (numbers(name, options[name], float) for name in ("doppler", "snr", "distortion"))
    ways = [(one, doppler) for one in channels for doppler in (dopplers if one == "rayleigh" else dopplers[:1])]
    from rich.console import Console

    from common.pair.device import limit_threads
    from common.pair.manifest import find_pair
    from common.pair.origin import dataset_of
    from training.data.images import load_told, measured_split
    from training.lab.direct import Encodings
    from training.report.progress import bar

    limit_threads(1)
    manifest = find_pair(options["pair"])
    dataset = options["dataset"] or dataset_of(manifest)
    images = load_told(manifest, dataset, measured_split(dataset, options["split"]))
    known, rows, places = Encodings(), [], list(product(ways, *asked))
    with bar(Console(stderr=True), "missed", len(places)) as advance:
        for place, snr_db, percent in places:
            how = options["frames"], options["stream"]
            rows.append(measure(manifest, images, known, place, snr_db, percent, *how))
            advance()
    show(rows)
    if options["json_file"]:
        write_json(options["json_file"], {"pair": manifest.id, "rows": [asdict(one) for one in rows]})


if __name__ == "__main__":
    invoke(main, "TRAINING_MISSED")
