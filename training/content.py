"""Whether a rate chosen by the image would pay: `python -m training.content`, for any pair, without changing it.

Knows nothing about sockets. A head of two layers on the encoder's features predicts, for one image, the accuracy of
every rate at every SNR; it is trained on training images under augmentation and starts from the pair's own table. Three
ways to choose argmax_k acc_k(gamma) - price * uses_k are compared on block Rayleigh whose gamma is known to all:

    table    the pair's accuracy table: the rate depends on the channel only
    head     the head's prediction for the image
    oracle   the image's own measured accuracy: what a perfect head would reach, and more, since it was measured there

A rate that depends on the image is information to the receiver. Its bits, the entropy of the rate given what the table
would have chosen, are charged at one channel use each (the capacity at 0 dB), and what is reported is after the charge.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from common.cli import begin, invoke, shared_options
from common.manifest import Manifest, find_pair, write_atomic

if TYPE_CHECKING:
    import torch

    from common.data import ImageSet
    from training.student import Student

GRID_DB = tuple(float(snr) for snr in range(-8, 23, 4))
HIDDEN, EPOCHS, BATCH, FADES = 32, 40, 128, 200
Tables = NDArray[np.float64]
"""Accuracy of each image, rate and SNR of the grid: float64 [N, K, G]."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to choose. uses: with pilots; control: charged bits; value: accuracy - price * (uses + control)."""

    snr_db: float
    price: float
    way: str
    accuracy: float
    uses: float
    control: float
    value: float


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--recipe", default="digits", show_default=True, help="Whose augmentation the head is trained under.")
@click.option("--views", default=3, show_default=True, help="Augmented views per training image.")
@click.option("--snr", default="0,5,10,15", show_default=True, help="Average Es/N0 in dB, with commas.")
@click.option("--price", default="0.0003,0.001,0.002,0.004", show_default=True, help="Accuracy that a use costs.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the rows here.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    manifest = find_pair(options["pair"])
    own, predicted, measured = tables(manifest, options)
    snrs, prices = ([float(one) for one in options[name].split(",")] for name in ("snr", "price"))
    rows = compare(manifest, own, predicted, measured, snrs, prices, options["seed"])
    console = Console()
    _show(rows, console if console.is_terminal else Console(width=120))
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options["json_file"], json.dumps({"rows": [asdict(r) for r in rows]}, indent=1).encode() + b"\n")


def tables(manifest: Manifest, options: dict[str, Any]) -> tuple[Tables, Tables, Tables]:
    """Accuracies of the test images: the same for all (from validation images), predicted, and measured."""
    import torch

    from common.data import load_images
    from training.calibration import load_student
    from training.recipe import load_recipe
    from training.views import augment, words

    dataset, view = options["dataset"] or manifest.dataset, load_recipe(options["recipe"]).view
    train, validation, test = (
        load_images(dataset, split, manifest.preprocess) for split in ("train", "validation", "test")
    )
    student, random = load_student(manifest), torch.Generator().manual_seed(options["seed"])
    views = [augment(train.images, words(view, v, 0, len(train)), view) for v in range(options["views"])]
    seen = [measured(student, replace(train, images=pixels), manifest, 1, random) for pixels in views]
    held = measured(student, validation, manifest, 4, random)
    features, found = measured(student, test, manifest, 8, random)
    known = torch.cat([part for part, _ in seen]), torch.cat([part for _, part in seen])
    predicted = fit_head(known, held, options["seed"])(features)
    return held[1].mean(0, keepdim=True).double().numpy(), predicted.double().numpy(), found.double().numpy()


def measured(
    student: "Student", images: "ImageSet", manifest: Manifest, trials: int, random: "torch.Generator"
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Features, float [N, 2 S], and each image's share of right answers over `trials` noises, float [N, K, G]."""
    import torch

    from training.channel import Conditions, draw
    from training.measure import ROWS, features_of

    with torch.no_grad():
        features, labels = features_of(student, images, manifest.preprocess)
        shares = torch.zeros(len(labels), len(manifest.layout.rates), len(GRID_DB))
        for column, snr in enumerate(GRID_DB):
            known = Conditions(snr, snr, rayleigh=0.0, missing=0.0, report_error_db=0.0)
            for rows in trials * torch.arange(len(labels)).split(ROWS):
                logits, _ = student.from_features(features[rows], draw(len(rows), manifest.layout, known, random))
                shares[rows, :, column] += (logits.argmax(-1) == labels[rows]).float().T / trials
    return features, shares


def fit_head(
    known: tuple["torch.Tensor", "torch.Tensor"], held: tuple["torch.Tensor", "torch.Tensor"], seed: int
) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    """A function features float [N, 2 S] -> accuracies float [N, K, G], trained with cross-entropy.

    known, held: features and accuracies of images to train on, and of others that give the table to start from and
    decide when to stop: the encoder has seen the former, so that they are easier than any image on the air.
    """
    import torch
    from torch import nn
    from torch.nn import functional as fn

    torch.manual_seed(seed)
    features, right = known
    mean, spread = features.mean(0), features.std(0) + 1e-3
    base = held[1].mean(0).clamp(0.01, 0.995).logit()
    head = nn.Sequential(nn.Linear(features.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, base.numel()))
    nn.init.zeros_(head[2].weight)
    nn.init.zeros_(head[2].bias)

    def logits(rows: torch.Tensor) -> torch.Tensor:
        return base + head((rows - mean) / spread).unflatten(1, base.shape)

    optimiser = torch.optim.AdamW(head.parameters(), 3e-3, weight_decay=0.05)
    best, weights = float("inf"), head.state_dict()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(features)).split(BATCH):
            loss = fn.binary_cross_entropy_with_logits(logits(features[rows]), right[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            now = float(fn.binary_cross_entropy_with_logits(logits(held[0]), held[1]))
        if now < best:
            best, weights = now, {name: tensor.clone() for name, tensor in head.state_dict().items()}
    head.load_state_dict(weights)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return logits(rows).sigmoid()

    return predict


def compare(
    manifest: Manifest, own: Tables, predicted: Tables, found: Tables, snrs: list[float], prices: list[float], seed: int
) -> list[Row]:
    """Every way to choose at every SNR and price, over the same fades."""
    uses = np.array(manifest.layout.rates) + manifest.layout.pilots
    everyone = np.broadcast_to(own, found.shape)
    rows = []
    for snr_db in snrs:
        power = np.random.default_rng(seed).exponential(size=(FADES, len(found)))
        gamma_db = snr_db + 10 * np.log10(power)
        column = np.abs(gamma_db[..., None] - np.array(GRID_DB)).argmin(-1)
        image = np.broadcast_to(np.arange(len(found)), column.shape)
        for price in prices:
            chosen = {
                way: (table[image, :, column] - price * uses).argmax(-1)
                for way, table in (("table", everyone), ("head", predicted), ("oracle", found))
            }
            for way, rate in chosen.items():
                accuracy, spent = float(found[image, rate, column].mean()), float(uses[rate].mean())
                bits = conditional_entropy(rate, chosen["table"])
                rows.append(Row(snr_db, price, way, accuracy, spent, bits, accuracy - price * (spent + bits)))
    return rows


def conditional_entropy(what: NDArray[np.int64], given: NDArray[np.int64]) -> float:
    """H(what | given) in bits, from how often each pair occurs."""
    joint = np.zeros((what.max() + 1, given.max() + 1))
    np.add.at(joint, (what.ravel(), given.ravel()), 1.0 / what.size)
    apart = joint / np.maximum(joint.sum(0), 1e-300)
    return abs(float(-(joint * np.log2(np.where(apart > 0, apart, 1.0))).sum()))


def _show(rows: list[Row], console: Console) -> None:
    table = Table(title="choosing the rate, block Rayleigh with known SNR; value = accuracy - price * (uses + control)")
    for heading in ("SNR dB", "price", "way", "accuracy %", "uses", "control", "value"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for row in rows:
        table.add_row(f"{row.snr_db:g}", f"{row.price:g}", row.way, f"{100 * row.accuracy:.2f}", f"{row.uses:.2f}",
                      f"{row.control:.2f}", f"{row.value:.4f}", end_section=row.way == "oracle")  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    invoke(main, "TRAINING_CONTENT")
