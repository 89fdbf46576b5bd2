"""What each part of the method is worth: `python -m training.ablate` trains every variant and compares them, paired.

Knows nothing about how a variant is trained or measured; it only switches parts off.

A variant's accuracy is the mean over training seeds, images and channels at each setting; the difference is taken to
the full method on the same images and channels. Intervals: bootstrap over images. A bank is a model for each SNR and
rate, trained for that one alone: the ceiling of the one that serves all. A run that was killed goes on after its last
finished training.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common import __version__
from common.cli import begin, invoke, shared_options
from common.errors import ConfigError
from common.files import FIGURES, OutFile
from common.manifest import MANIFEST, canonical, find_pair, write_atomic
from training.evaluate import Setting, bootstrap, numbers
from training.progress import print_table

if TYPE_CHECKING:
    from common.manifest import Manifest
    from training.recipe import Recipe

FULL = "full method"
SNRS_DB = (-6.0, 0.0, 6.0, 12.0)


@dataclass(frozen=True, slots=True)
class Variant:
    """One row: what is changed in the recipe, and whether the teacher runs in every step."""

    name: str
    recipe: "Recipe"
    online: bool = False
    teacher: str | None = None
    """Folder or Hub id where it is not the one of all variants."""
    bank: bool = False
    """A model of its own for each SNR and rate."""


NAMES = (
    "without distillation", "without adaptive module", "never told the SNR", "online teacher", "views 1",
    "logit standardisation", "decoupled (DKD)", "beta 0.01", "dedicated to one SNR and rate",
)  # fmt: skip
OPTIONAL = "without auxiliary classifier", "without second stage"
"""Of recipes that have them."""


def variant(recipe: "Recipe", name: str) -> Variant:
    """The method, what is left of it without a part, or with another number in it. Raises ConfigError."""
    from training.recipe import adjusted

    match name.rpartition(" "):
        case "views", _, count if count.isdecimal():
            return Variant(name, adjusted(recipe, views=int(count)))
        case "beta", _, weight if weight.replace(".", "", 1).isdecimal():
            return Variant(name, adjusted(recipe, beta=float(weight)))
        case "encoder", _, shape:
            return Variant(name, adjusted(recipe, encoder=shape.replace("/", ",")))
    match name:
        case "full method":
            return Variant(FULL, recipe)
        case "without distillation":
            return Variant(name, adjusted(recipe, hard=1.0))
        case "without adaptive module":
            return Variant(name, adjusted(recipe, adaptive=False))
        case "never told the SNR":
            return Variant(name, replace(recipe, channel=replace(recipe.channel, missing=1.0)))
        case "online teacher":
            return Variant(name, recipe, online=True)
        case "logit standardisation":
            return Variant(name, adjusted(recipe, loss="standardised"))
        case "decoupled (DKD)":
            return Variant(name, adjusted(recipe, loss="dkd"))
        case "dedicated to one SNR and rate":
            return Variant(name, recipe, bank=True)
        case "without auxiliary classifier" if recipe.loss.auxiliary:
            return Variant(name, replace(recipe, loss=replace(recipe.loss, auxiliary=0.0)))
        case "without second stage" if recipe.decisions:
            return Variant(name, replace(recipe, decisions=None))
    own = [part for part, has in zip(OPTIONAL, (recipe.loss.auxiliary, recipe.decisions), strict=True) if has]
    known = ", ".join((*NAMES, *own, "encoder WIDTH/BLOCKS/STRIDE"))
    raise ConfigError(f"--only: no variant '{name}'; there are {known} (any number of views, any beta)")


def dedicated(recipe: "Recipe", snr_db: float, symbols: int) -> "Recipe":
    """For one SNR and one rate, on both kinds of channel; all else, the store too, is the recipe's."""
    channel = replace(recipe.channel, snr_low_db=snr_db, snr_high_db=snr_db)
    return replace(recipe, channel=channel, layout=replace(recipe.layout, increments=(symbols,)))


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
    help="Variants, with commas; the full method is always there. Other numbers of views, other beta, "
    "'encoder WIDTH/BLOCKS/STRIDE' and, where the recipe has it, 'without auxiliary classifier' and "
    "'without second stage' too.",
)
@click.option("--symbols", default="4,16", show_default=True, help="Payload symbols per image, with commas.")
@click.option("--snr", default=",".join(f"{snr:g}" for snr in SNRS_DB), show_default=True, help="dB, with commas.")
@click.option("--split", default="test", show_default=True)
@click.option("--seeds", default=3, show_default=True, help="Training seeds per variant.")
@click.option("--channels", default=4, show_default=True, help="Channels per image.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the rows here.")
@click.option("--figure", type=OutFile(FIGURES), help="Accuracy against the transmitter's compute, as PNG.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.recipe import adjusted, load_recipe

    recipe = adjusted(load_recipe(options["recipe"]), options["epochs"], fraction=options["fraction"])
    chosen = [variant(recipe, name) for name in (FULL, *options["only"].split(","))]
    settings = grid(options["symbols"], options["channels"], numbers("snr", options["snr"], float))
    rows = [run(variant, settings, options) for variant in chosen]
    report = [compared(row, rows[0], settings) for row in rows]
    _show(report, settings)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options["json_file"], json.dumps({"rows": report}, indent=1).encode() + b"\n")
    if options["figure"]:
        draw_compute(report, options["figure"])


def grid(symbols: str, channels: int, snrs_db: Sequence[float] = SNRS_DB) -> list[Setting]:
    """AWGN and block Rayleigh with estimated CSI. symbols: payloads with commas; channels: per image."""
    return [
        Setting(channel, "estimated", snr, int(n), channels, 0, 0, 7.8e-5, snr)
        for channel in ("awgn", "block-rayleigh")
        for n in symbols.split(",")
        for snr in snrs_db
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """right: share of right decisions per training seed, setting and image, float64 [R, settings, N]."""

    name: str
    right: NDArray[np.float64]
    clean: list[float]
    epoch_s: list[float]
    parameters: int
    macs: int
    """Both of the transmitter, `macs` for one image."""


def run(variant: Variant, settings: list[Setting], options: dict[str, Any]) -> Row:
    """Train a variant with each seed, and answer every image of the split at every setting."""
    from training.calibration import load_student
    from training.measure import transmitter_cost

    place = variant.name.replace(" ", "-").replace("/", "-")
    if variant.recipe.channel.missing == 1.0:  # who was never told in training cannot use it here
        settings = [replace(one, told_db=math.nan, told="none") for one in settings]
    parts = {"": (variant.recipe, list(range(len(settings))))}
    if variant.bank:
        parts = {}
        for index, one in enumerate(settings):
            recipe = dedicated(variant.recipe, one.snr_db, one.symbols)
            parts.setdefault(f"{one.snr_db:g}-dB-{one.symbols}-", (recipe, []))[1].append(index)
    right, clean, times = [], [], []
    for seed in range(options["seeds"]):
        shares: dict[int, NDArray[np.float64]] = {}
        for name, (recipe, mine) in parts.items():
            manifest, epoch_s = trained(variant, recipe, f"{place}-{name}{seed}", seed, options)
            shares |= zip(mine, answered(manifest, [settings[index] for index in mine], options), strict=True)
            clean.append(manifest.accuracy.clean)
            times.append(epoch_s)
        right.append([shares[index] for index in range(len(settings))])
    cost = transmitter_cost(load_student(manifest), manifest.preprocess)
    return Row(variant.name, np.array(right), clean, times, *cost)


def trained(
    variant: Variant, recipe: "Recipe", name: str, seed: int, options: dict[str, Any]
) -> tuple["Manifest", float]:  # fmt: skip
    """The pair of one training run, and its median seconds per epoch. What a run before finished is not done again."""
    from training.distill import BUILD, Request, distill, load_data
    from training.knowledge import fingerprint
    from training.oracle import weights_sha256

    teacher = variant.teacher or options["teacher"]
    data = fingerprint(load_data(recipe, options["dataset"])[0])  # the same path may hold other images by now
    asked = {"version": __version__, "recipe": recipe.plain(), "data": data, "seed": seed,
             "online": variant.online, "teacher": teacher and weights_sha256(teacher)}  # fmt: skip
    place = BUILD / "ablate" / recipe.name / name
    if (place / MANIFEST).is_file() and find_pair(place).provenance.get("data") != data:
        place = place.with_name(f"{name}-{data[:8]}")
    finished, identity = place / "run" / "finished.sha256", hashlib.sha256(canonical(asked)).hexdigest()
    if not finished.is_file() or finished.read_text() != identity:
        finished.unlink(missing_ok=True)
        request = Request(options["dataset"], teacher, None, place, place / "run", options["device"], seed,
                          variant.online, tensorboard=False)  # fmt: skip
        distill(recipe, request, Console(stderr=True))
        write_atomic(finished, identity.encode())
    lines = (place / "run" / "metrics.jsonl").read_text().splitlines()[-recipe.schedule.epochs :]
    return find_pair(place), float(np.median([json.loads(line)["seconds"] for line in lines]))


def answered(manifest: "Manifest", settings: list[Setting], options: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Share of right decisions per setting, over its channels: float64 [N] each."""
    from scrx.decoder import load_decoder
    from sctx.pipeline import TransmitChain
    from training.data import load_told
    from training.evaluate import decide, encode_all

    images = load_told(manifest, options["dataset"], options["split"])
    chain, decoder = TransmitChain(manifest), load_decoder(manifest)
    features = encode_all(chain, images.images)
    return [
        np.mean([decide(chain, decoder, features, one, stream) == images.labels for stream in range(one.seeds)], 0)
        for one in settings
    ]


def compared(row: Row, full: Row, settings: list[Setting]) -> dict[str, Any]:
    """Accuracy and paired difference to another row (`full`), in points: overall and at each setting."""
    gap = row.right.mean(0) - full.right.mean(0)
    difference, low, high = bootstrap(gap.mean(0))
    per_seed = row.right.mean((1, 2))
    return {
        "name": row.name,
        "accuracy": 100 * float(per_seed.mean()),
        "over_seeds": [100 * float(value) for value in per_seed],
        "difference": 100 * difference,
        "ci95": [100 * low, 100 * high],
        "difference_over_seeds": [100 * float(value) for value in per_seed - full.right.mean((1, 2))],
        "epoch_s": float(np.mean(row.epoch_s)),
        "parameters": row.parameters,
        "macs": row.macs,
        "clean_validation": [100 * value for value in row.clean],
        "settings": {
            f"{one.channel} {one.symbols} {one.snr_db:g}": [100 * value for value in (float(share), *bootstrap(change))]
            for one, share, change in zip(settings, row.right.mean((0, 2)), gap, strict=True)
        },
    }


def _show(report: list[dict[str, Any]], settings: list[Setting]) -> None:
    what = sorted({f"{one.channel}" for one in settings})
    snrs = ", ".join(f"{snr:g}" for snr in sorted({one.snr_db for one in settings}))
    rows = []
    for row in report:
        spread = " ".join(f"{value:.1f}" for value in row["over_seeds"])
        change = f"{row['difference']:+.2f} ({row['ci95'][0]:+.2f} .. {row['ci95'][1]:+.2f})"
        apart = " ".join(f"{value:+.1f}" for value in row["difference_over_seeds"])
        rows.append((row["name"], f"{row['accuracy']:.2f}", spread, change, apart, f"{row['epoch_s']:.3f}",
                     f"{row['macs'] / 1e6:.1f}"))  # fmt: skip
    headings = ("variant", "accuracy", "seeds", "difference (95 %)", "over seeds", "s per epoch", "MMAC")
    title = f"mean accuracy in % over {', '.join(what)}, {len(settings)} settings, {snrs} dB"
    print_table(title, headings, rows, left=headings)
    each = []
    for name in report[0]["settings"]:
        cells = [row["settings"][name] for row in report]
        rest = [f"{share:.2f}, {gap:+.2f} ({low:+.2f} .. {high:+.2f})" for share, gap, low, high in cells[1:]]
        each.append((f"{name} dB", f"{cells[0][0]:.2f}", *rest))
    headings = ("setting", *(row["name"] for row in report))
    print_table("accuracy in %, difference to the full method in points (95 %)", headings, each, left=headings)


def draw_compute(report: list[dict[str, Any]], path: Path) -> None:
    """Accuracy against the transmitter's multiply-accumulates, a curve per setting; variants by their names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = sorted(report, key=lambda row: int(row["macs"]))
    compute = [row["macs"] / 1e6 for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for setting in rows[0]["settings"]:
        channel, symbols, snr_db = setting.split()
        label = f"{channel}, {symbols} symbols, {snr_db} dB"
        axes.plot(compute, [row["settings"][setting][0] for row in rows], ".-", label=label)
    axes.set(xscale="log", xlabel="transmitter, 10^6 multiply-accumulates per image", ylabel="accuracy in %")
    axes.set_xticks(compute, [f"{mmac:.1f}" for mmac in compute])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    invoke(main, "TRAINING_ABLATE")
