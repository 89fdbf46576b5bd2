"""What each system's transmitter computes for one image: `python -m training.suites.computing`.

Knows nothing about accuracy or the air. By torch and on one thread, for all alike; images one at a time, the systems in
turn for each, so that what else runs on the machine slows all of them. Milliseconds of the processor, all threads.

    ours          encoder and symbols of 16 channel uses at 10 dB, as by `sctx --backend torch`
    a rival       its `encode`, at the same place, or over AWGN where it first works at all
    its floor     of a picture code: one picture packed, without the error-correcting code
    the teacher   its network alone, on a picture that is there already as it takes it; of the same shape, whatever its
                  weights
"""

from collections.abc import Callable, Mapping
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.cli import begin, invoke, shared_options
from common.files import OutFile, write_json
from training.report.stats import written
from training.report.tabular import print_table
from training.systems.bench import Bench
from training.systems.system import NotThere, Place

Transmit = Callable[[NDArray[np.uint8]], object]
"""One image, uint8 [1, H, W, C], and what it sends, which nobody looks at."""
OURS, TEACHER, PACKED = "ours", "teacher", ", packed alone"
WARM = 5


@click.command(help=__doc__.splitlines()[0])
@click.option("--suite", default="quick", show_default=True, help="Whose pair and rivals.")
@click.option("--dataset", help="Its images: digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--images", default=200, show_default=True, type=click.IntRange(20), help="How many are sent.")
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    import torch

    from training.suites.definitions import find_suite

    torch.set_num_threads(1)
    suite = find_suite(options["suite"])
    bench = Bench.open(suite.name, suite.pair, options["dataset"], most=options["images"] + WARM)
    ways, absent = transmitters(bench)
    rows = beside_ours(timed(ways, bench.images), {name: n for name, (n, _) in ways.items()})
    headings = ("system", "uses", "ms", "times ours")
    cells = [(one["name"], one["n"] or "-", f"{one['ms']:.3f}", _times(one["ratio"])) for one in rows]
    print_table(f"{bench.manifest.name}: one image, one thread", headings, cells, left=headings[:1])
    for name, why in absent.items():
        click.echo(f"{name}: {why}")
    if options["json_file"]:
        found = {"suite": suite.name, "pair": bench.manifest.id, "images": options["images"], "systems": rows,
                 "absent": absent}  # fmt: skip
        write_json(options["json_file"], found)


def _times(ratio: list[float]) -> str:
    middle, low, high = ratio
    return written(middle, low, high, sign=False)


def transmitters(bench: Bench) -> tuple[dict[str, tuple[int | None, Transmit]], dict[str, str]]:
    """Name -> channel uses and transmitter, ours first; and why the others have none."""
    from training.baselines.picture_codes import PictureCode
    from training.suites.roster import roster
    from training.systems.carried import Carried
    from training.trained.learned import HOME

    ways: dict[str, tuple[int | None, Transmit]] = {OURS: (HOME.n, _ours(bench, HOME))}
    absent = {}
    for name, system in roster(bench).items():
        if not isinstance(system, Carried) or name == "label-code":  # which is the same encoder
            continue
        try:
            place = HOME if not system.home else Place(*system.home[0], HOME.snr_db)
            ways[name] = place.n, system.way(place).codec.encode
            if isinstance(system, PictureCode):
                ways[name + PACKED] = place.n, system.packer(place)
        except NotThere as why:
            absent[name] = str(why)
    if (teacher := _teacher(bench.manifest.name)) is not None:
        ways[TEACHER] = None, teacher
    return ways, absent


def _ours(bench: Bench, place: Place) -> Transmit:
    from sctx.pipeline import TransmitChain
    from training.lab.evaluation import words_of
    from training.systems.ours import fitting, setting_of

    manifest = bench.manifest
    chain = TransmitChain(manifest, "cpu", "torch")
    words = words_of(manifest, setting_of(place, fitting(manifest, place), 0))
    return lambda image: chain.modulate(chain.encode(image), None, words)


def _teacher(pair: str) -> Transmit | None:
    import torch

    from training.experiments.sizes import teacher_shapes

    shape = next((one for one in teacher_shapes() if one.pair == pair), None)
    if shape is None:
        return None
    network, picture = shape.network.eval(), torch.randn(1, shape.channels, shape.side, shape.side)

    def answer(_: NDArray[np.uint8]) -> object:
        with torch.inference_mode():
            return network(picture)

    return answer


def timed(ways: Mapping[str, tuple[int | None, Transmit]], images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each, float64 [N]: one image after the other, all systems in turn, the first WARM not counted."""
    import time

    took: dict[str, list[float]] = {name: [] for name in ways}
    for image in images:
        for name, (_, transmit) in ways.items():
            began = time.process_time_ns()
            transmit(image[None])
            took[name].append((time.process_time_ns() - began) / 1e6)
    return {name: np.array(some[WARM:]) for name, some in took.items()}


def beside_ours(took: Mapping[str, NDArray[np.float64]], uses: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """Medians, and each system's image by image as a multiple of ours: median and its 95 % interval."""
    rows = []
    for name, some in took.items():
        ratio = some / took[OURS]
        draws = np.random.default_rng(0).integers(0, len(ratio), (2000, len(ratio)))
        low, high = np.percentile(np.median(ratio[draws], 1), [2.5, 97.5])
        rows.append({"name": name, "n": uses[name], "ms": float(np.median(some)),
                     "ratio": [float(np.median(ratio)), float(low), float(high)]})  # fmt: skip
    return rows


if __name__ == "__main__":
    invoke(main, "TRAINING_COMPUTING")
