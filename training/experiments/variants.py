"""The method, and what is left of it without a part: variants of a recipe, trained, and answering the same images.

Knows nothing about the command line or tables.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common import __version__
from common.errors import ConfigError
from common.files import write_atomic
from common.pair.manifest import MANIFEST, Manifest, canonical, find_pair
from training.lab.evaluation import Setting
from training.recipes.recipe import Recipe
from training.report.stats import bootstrap

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
    "beta 0.01", "dedicated to one SNR and rate",
)  # fmt: skip

OPTIONAL = "without auxiliary classifier", "without second stage"
"""Of recipes that have them."""


def variant(recipe: "Recipe", name: str) -> Variant:
    """The method, what is left of it without a part, or with another number in it. Raises ConfigError."""
    from training.recipes.recipe import adjusted

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
    from training.distillation.measure import transmitter_cost
    from training.distillation.pairs import load_student

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
    from training.data.images import fingerprint, load_data
    from training.distillation.request import Request
    from training.distillation.reuse import BUILD
    from training.distillation.stages import distill
    from training.teachers.find import weights_sha256

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
                          variant.online)  # fmt: skip
        distill(recipe, request, Console(stderr=True))
        write_atomic(finished, identity.encode())
    lines = (place / "run" / "metrics.jsonl").read_text().splitlines()[-recipe.schedule.epochs :]
    return find_pair(place), float(np.median([json.loads(line)["seconds"] for line in lines]))


def answered(manifest: "Manifest", settings: list[Setting], options: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Share of right decisions per setting, over its channels: float64 [N] each."""
    from training.data.images import load_told
    from training.lab.evaluation import Lab

    images = load_told(manifest, options["dataset"], options["split"])
    lab = Lab(manifest, images.images)
    return [
        np.mean([lab.decide(one, stream) == images.labels for stream in range(one.seeds)], 0) for one in settings
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
