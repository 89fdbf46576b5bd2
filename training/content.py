"""A rate chosen by the image as well: `python -m training.content` fits a head, says whether it pays, writes the pair.

Knows nothing about sockets. A head on the encoder's features (`sctx/content.py`) predicts, for one image, the accuracy
of every rate at every SNR. It is trained on views of images, and what an answer is worth there is

    with --store    sum_c t(c) 1[answer = c], t the teacher's stored soft label of that very view
    without         1[answer = label]; the encoder has learnt those of the training images by heart

Other validation images decide when to stop; its mean over them is held at the pair's own table. Three ways to choose
argmax_k acc_k(gamma) - price * uses_k are compared on block Rayleigh whose gamma is known to all:

    table    the pair's accuracy table: the rate depends on the channel only
    head     the head's prediction for the image
    oracle   the image's own measured accuracy: what a perfect head would reach, and more, since it was measured there

A rate that depends on the image is information to the receiver. Its bits, the entropy of the rate given what the table
would have chosen, are charged at one channel use each (the capacity at 0 dB), and what is reported is after the charge.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from common.cli import begin, invoke, shared_options
from common.manifest import ContentShape, Manifest, find_pair, load_half, write_atomic
from training.control import conditional_entropy

if TYPE_CHECKING:
    import torch

    from common.data import ImageSet
    from sctx.content import ContentHead
    from training.student import Student

SHAPE = ContentShape(hidden=32, snr_db=tuple(float(snr) for snr in range(-8, 23, 4)))
EPOCHS, BATCH, FADES = 40, 256, 200
TRIALS_HELD, TRIALS_TEST = 4, 8
Tables = NDArray[np.float64]
"""Accuracy of each image and rate at the SNRs of SHAPE: float64 [N, K, J]."""
Seen = tuple["torch.Tensor", "torch.Tensor"]
"""Features of images, float [N, 2 S], and their accuracies, float [N, K, J]."""


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
@click.option("--store", type=click.Path(path_type=Path), help="Knowledge store of the pair. [default: true labels]")
@click.option(
    "--learn-from",
    type=click.Choice(["train", "validation"]),
    default="train",
    show_default=True,
    help="validation: four fifths of images that the encoder has not seen, the rest to decide when to stop.",
)
@click.option("--split", default="test", show_default=True, help="Where the ways to choose are compared.")
@click.option("--snr", default="0,5,10,15", show_default=True, help="Average Es/N0 in dB, with commas.")
@click.option("--price", default="0.0003,0.001,0.002,0.004", show_default=True, help="Accuracy that a use costs.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the rows here.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the pair with its head to this folder.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    import torch

    from common.data import load_images
    from training.calibration import load_student

    manifest = find_pair(options["pair"])
    dataset, random = options["dataset"] or manifest.dataset, torch.Generator().manual_seed(options["seed"])
    student, validation = load_student(manifest), load_images(dataset, "validation", manifest.preprocess)
    if options["learn_from"] == "validation":
        fifth = np.arange(len(validation)) % 5 == 0
        train, validation = (validation.take(np.flatnonzero(part)) for part in (~fifth, fifth))
    else:
        train = load_images(dataset, "train", manifest.preprocess)
    known = learnt(student, train, manifest, options, random)
    held = observed(student, validation, manifest, TRIALS_HELD, random)
    head = fit_head(known, held, manifest, options["seed"])
    features, found = observed(
        student, load_images(dataset, options["split"], manifest.preprocess), manifest, TRIALS_TEST, random
    )
    snrs, prices = ([float(one) for one in options[name].split(",")] for name in ("snr", "price"))
    ways = [tables(one, features, manifest) for one in (None, head)]
    rows = compare(manifest, *ways, found.double().numpy(), snrs, prices, options["seed"])
    console = Console()
    _show(rows, console if console.is_terminal else Console(width=120))
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options["json_file"], json.dumps({"rows": [asdict(r) for r in rows]}, indent=1).encode() + b"\n")
    if options["write"]:
        written = write_with(head, manifest, options["write"])
        console.print(f"pair: {written.path}, id {written.id[:16]}")


# -- what there is to learn from


def learnt(
    student: "Student", train: "ImageSet", manifest: Manifest, options: dict[str, Any], random: "torch.Generator"
) -> Seen:
    """Views of the training images and what they are worth, one noise each."""
    import torch

    from training.recipe import load_recipe
    from training.views import augment, words

    view = load_recipe(options["recipe"]).view
    targets = _targets(train, options["store"], view, options["views"])
    parts = [
        observed(student, replace(train, images=augment(train.images, words(view, v, 0, len(train)), view)),
                 manifest, 1, random, target)
        for v, target in enumerate(targets)
    ]  # fmt: skip
    return torch.cat([part for part, _ in parts]), torch.cat([part for _, part in parts])


def _targets(train: "ImageSet", store: Path | None, view: Any, views: int) -> Iterator["torch.Tensor | None"]:
    """Per view: the teacher's soft labels, float [N, C]; None without a store: the true labels."""
    from common.errors import ConfigError
    from training.knowledge import open_store

    if store is None:
        yield from [None] * views
        return
    kept = open_store(store)
    kept.check_data(train, view)
    if kept.views < views:
        raise ConfigError(f"{store} holds {kept.views} views, not {views}; say --views {kept.views}")
    yield from (kept.logits(one).softmax(-1) for one in range(views))


def observed(
    student: "Student",
    images: "ImageSet",
    manifest: Manifest,
    trials: int,
    random: "torch.Generator",
    target: "torch.Tensor | None" = None,
) -> Seen:
    """What each image's answers are worth over `trials` noises on AWGN: their share of `target`.

    target: float [N, C], the weight of each answer; None: 1 for the true label.
    """
    import torch

    from training.channel import Conditions, draw
    from training.measure import ROWS, features_of

    with torch.no_grad():
        features, labels = features_of(student, images, manifest.preprocess)
        weights = torch.nn.functional.one_hot(labels, len(images.classes)).float() if target is None else target
        shares = torch.zeros(len(labels), len(manifest.layout.rates), len(SHAPE.snr_db))
        for column, snr in enumerate(SHAPE.snr_db):
            known = Conditions(snr, snr, rayleigh=0.0, missing=0.0, report_error_db=0.0)
            for rows in trials * torch.arange(len(labels)).split(ROWS):
                logits, _ = student.from_features(features[rows], draw(len(rows), manifest.layout, known, random))
                shares[rows, :, column] += weights[rows].gather(1, logits.argmax(-1).T) / trials
    return features, shares


# -- the head


def fit_head(known: Seen, held: Seen, manifest: Manifest, seed: int) -> "ContentHead":
    """The head that predicts the accuracies best, in cross-entropy, on images that it was not trained on.

    known, held: images to train on, and others that decide when to stop and what the mean is: the encoder has seen the
    former, so that they are easier than any image on the air.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

    from sctx.content import ContentHead, base_logits

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features, right = known
        head, base = ContentHead(SHAPE, features.shape[1], right.shape[1]), base_logits(manifest.accuracy, SHAPE.snr_db)
        head.mean.copy_(features.mean(0))
        head.spread.copy_(features.std(0) + 1e-3)
        optimiser = torch.optim.AdamW(head.parameters(), 3e-3, weight_decay=0.05)
        best = float(loss_of(base.expand_as(held[1]), held[1]))  # of the table: what is worse is not learnt
        weights = {name: tensor.clone() for name, tensor in head.state_dict().items()}
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(features)).split(BATCH):
                loss = loss_of(base + head(features[rows]), right[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                shifts = head(held[0])
                centre = centred(base + shifts, base.sigmoid())
                now = float(loss_of(base + shifts + centre, held[1]))
            if now < best:
                best = now
                weights = {name: tensor.clone() for name, tensor in head.state_dict().items()}
                weights["outer.bias"] += centre.flatten()
        head.load_state_dict(weights)
    return head.eval()


def centred(logits: "torch.Tensor", mean: "torch.Tensor") -> "torch.Tensor":
    """What to add so that the mean of sigmoid(logits), float [N, K, J], is `mean`, float [K, J]; by Newton's method."""
    import torch

    shift = torch.zeros_like(mean)
    for _ in range(30):
        p = (logits + shift).sigmoid()
        shift -= ((p.mean(0) - mean) / (p * (1 - p)).mean(0).clamp(min=1e-5)).clamp(-1.0, 1.0)
    return shift


def write_with(head: "ContentHead", manifest: Manifest, folder: Path) -> Manifest:
    """The pair with this head in its transmitter half, under a model id of its own."""
    from safetensors.torch import save

    from training.calibration import write_changed

    weights = {f"content.{name}": tensor.contiguous() for name, tensor in head.state_dict().items()}
    return write_changed(
        manifest, folder, encoder=save({**load_half(manifest, "encoder"), **weights}), content=asdict(head.shape)
    )


# -- what it is worth


def tables(head: "ContentHead | None", features: "torch.Tensor", manifest: Manifest) -> Tables:
    """What a head says of images by their features, float [N, 2 S]; None: what the pair's table says of all."""
    import torch

    from sctx.content import base_logits

    with torch.no_grad():
        if head is None:
            said = base_logits(manifest.accuracy, SHAPE.snr_db).sigmoid().expand(len(features), -1, -1)
        else:
            said = head.accuracies(features, manifest.accuracy, SHAPE.snr_db)
    return said.double().numpy()


def compare(
    manifest: Manifest, own: Tables, predicted: Tables, found: Tables, snrs: list[float], prices: list[float], seed: int
) -> list[Row]:
    """Every way to choose at every SNR and price, over the same fades."""
    uses = np.array(manifest.layout.rates) + manifest.layout.pilots
    rows = []
    for snr_db in snrs:
        power = np.random.default_rng(seed).exponential(size=(FADES, len(found)))
        gamma_db = snr_db + 10 * np.log10(power)
        column = np.abs(gamma_db[..., None] - np.array(SHAPE.snr_db)).argmin(-1)
        image = np.broadcast_to(np.arange(len(found)), column.shape)
        for price in prices:
            chosen = {
                way: (table - price * uses[:, None]).argmax(1)[image, column]
                for way, table in (("table", own), ("head", predicted), ("oracle", found))
            }
            for way, rate in chosen.items():
                accuracy, spent = float(found[image, rate, column].mean()), float(uses[rate].mean())
                bits = conditional_entropy(rate, chosen["table"])
                rows.append(Row(snr_db, price, way, accuracy, spent, bits, accuracy - price * (spent + bits)))
    return rows


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
