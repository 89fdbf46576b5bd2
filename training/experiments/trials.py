"""Variants trained with several seeds, and their answers to the same images over the same channels, compared in pairs.

Knows nothing about what a variant is, the command line or tables.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common.errors import ConfigError
from common.files import write_atomic
from common.images.datasets import load_for
from common.pair.device import pick_device
from common.pair.manifest import MANIFEST, Manifest, canonical, find_pair
from sctx.encoder import load_encoder
from training.data.images import fingerprint, load_data, measured_split
from training.distillation.measure import transmitter_cost
from training.distillation.request import BUILD, Request
from training.distillation.soft import is_taught, teacher_of
from training.distillation.stages import distill
from training.experiments.variants import SNRS_DB, Variant
from training.lab.evaluation import Lab, Setting, rates_asked
from training.loop.fit import CHECKPOINT
from training.loop.journal import epochs
from training.recipes.recipe import Recipe
from training.report.measured_on import code_sha256
from training.report.stats import bootstrap, scaled


def grid(recipe: Recipe, symbols: str, channels: int, snrs_db: Sequence[float] = SNRS_DB) -> list[Setting]:
    """AWGN and block Rayleigh with estimated CSI. symbols: payloads of the recipe, with commas; channels: per image.
    ConfigError names the option that is wrong."""
    counts = rates_asked(symbols, recipe.layout.rates, "recipe")
    if any(math.isnan(snr) or snr == -math.inf for snr in snrs_db):
        raise ConfigError("--snr takes numbers of dB, or inf")
    return [
        Setting(channel, "estimated", snr, n, channels, 0, 0, 7.8e-5, snr)
        for channel in ("awgn", "block-rayleigh")
        for n in counts
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
    place = variant.name.replace(" ", "-").replace("/", "-")
    right, clean, times = [], [], []
    for seed in range(options["seeds"]):
        manifest, epoch_s = trained(variant, variant.recipe, f"{place}-{seed}", seed, options)
        right.append(answered(manifest, settings, options))
        clean.append(manifest.accuracy.clean)
        times.append(epoch_s)
    cost = transmitter_cost(load_encoder(manifest), manifest.preprocess)
    return Row(variant.name, np.array(right), clean, times, *cost)


def trained(variant: Variant, recipe: Recipe, name: str, seed: int, options: dict[str, Any]) -> tuple[Manifest, float]:
    """The pair of one training run, and its median seconds per epoch. What a run before finished is not done again, and
    one that was killed goes on, where all that it depends on is the same: images, recipe, teacher, code. options:
    dataset, teacher (None: the recipe's own), device and skip_bad, where that was asked for."""
    teacher = variant.teacher or options["teacher"]
    train, validation, _ = load_data(recipe, options["dataset"], options.get("skip_bad", False))
    data = fingerprint(train)  # the same path may hold other images by now
    asked = {"code": code_sha256(), "recipe": recipe.plain(), "data": data, "seed": seed, "online": variant.online,
             "validation": fingerprint(validation), "teacher": None}  # fmt: skip
    if teacher and is_taught(recipe):
        device = pick_device(options["device"], recipe.threads)
        asked["teacher"] = asdict(teacher_of(recipe, teacher, train, device).id)
    place = BUILD / "ablate" / recipe.name / name
    if (place / MANIFEST).is_file() and find_pair(place).provenance.get("data") != data:
        place = place.with_name(f"{name}-{data[:8]}")
    beside = place.with_name(f"{place.name}.run")  # not inside: a folder that holds it and no pair yet is refused
    identity = hashlib.sha256(canonical(asked)).hexdigest()
    begun, finished = (beside / f"{when}.sha256" for when in ("begun", "finished"))
    if not _holds(finished, identity) or not (place / MANIFEST).is_file():
        finished.unlink(missing_ok=True)
        if not _holds(begun, identity):
            (beside / CHECKPOINT).unlink(missing_ok=True)  # it may be of other code
            beside.mkdir(parents=True, exist_ok=True)
            write_atomic(begun, identity.encode())
        request = Request(
            dataset=options["dataset"],
            teacher=teacher,
            store=None,
            out=place,
            run=beside,
            device=options["device"],
            seed=seed,
            online=variant.online,
            skip_bad=options.get("skip_bad", False),
        )
        distill(recipe, request, Console(stderr=True))
        write_atomic(finished, identity.encode())
    return find_pair(place), float(np.median([one["seconds"] for one in epochs(beside)]))


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def answered(manifest: Manifest, settings: list[Setting], options: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Share of right decisions per setting, over its channels: float64 [N] each."""
    images = load_for(manifest, options["dataset"], measured_split(options["dataset"], options["split"]))
    lab = Lab(manifest, images.images)
    return [np.mean([lab.decide(one, stream) == images.labels for stream in range(one.seeds)], 0) for one in settings]


def compared(row: Row, full: Row, settings: list[Setting]) -> dict[str, Any]:
    """Accuracy and paired difference to another row (`full`), in points: overall and at each setting."""
    gap = row.right.mean(0) - full.right.mean(0)
    difference, *ends = scaled(bootstrap(gap.mean(0)), 100)
    per_seed = row.right.mean((1, 2))
    return {
        "name": row.name,
        "accuracy": 100 * float(per_seed.mean()),
        "over_seeds": [100 * float(value) for value in per_seed],
        "difference": difference,
        "ci95": ends,
        "difference_over_seeds": [100 * float(value) for value in per_seed - full.right.mean((1, 2))],
        "epoch_s": float(np.mean(row.epoch_s)),
        "parameters": row.parameters,
        "macs": row.macs,
        "clean_validation": [100 * value for value in row.clean],
        "settings": {
            f"{one.channel} {one.symbols} {one.snr_db:g}": [100 * float(share), *scaled(bootstrap(change), 100)]
            for one, share, change in zip(settings, row.right.mean((0, 2)), gap, strict=True)
        },
    }
