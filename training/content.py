"""A rate chosen by the image as well: `python -m training.content` fits a head, says whether it pays, writes the pair.

Knows nothing about sockets. A head on the encoder's features (`sctx/content.py`) says how easy an image is; validation
images fall into equal groups by it, and each group's accuracy at every rate and SNR is measured. What the head learns
is the mean worth of an image's answers over rates and SNRs, on views of training images:

    with --store    sum_c t(c) 1[answer = c], t the teacher's stored soft label of that very view
    without         1[answer = label]

Ways to choose argmax_k acc_k(gamma) - price * uses_k, compared on block Rayleigh whose gamma is known to all:

    table      the pair's accuracy table: the rate depends on the channel only
    head       the table of the image's group, measured on validation images
    hindsight  the same groups with their accuracies on the images of the comparison: no table of theirs does better
    oracle     each image's own accuracy under the very noises it is compared on: it knows the label

A rate that depends on the image is information to the receiver. Its bits, the entropy of the rate given what the table
would have chosen, are charged at one channel use each (the capacity at 0 dB).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError
from common.files import OutFile, OutFolder
from common.images.datasets import held_out
from common.manifest import ContentShape, Manifest, find_pair, load_half, write_atomic
from common.origin import dataset_of
from common.streams import say
from training.control import conditional_entropy
from training.progress import print_table

if TYPE_CHECKING:
    import torch

    from common.images.datasets import ImageSet
    from sctx.content import ContentHead
    from training.student import Student

HIDDEN, EPOCHS, BATCH, FADES, TRIALS = 32, 40, 256, 200, 8
SEEN_DB = tuple(float(snr) for snr in range(-8, 23, 4))
"""SNRs of what the head learns from and of the comparison, Es/N0 in dB."""
Tables = NDArray[np.float64]
"""Accuracy of each image and rate at SEEN_DB: float64 [N, K, J]."""
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
@click.option("--groups", default=3, show_default=True, help="Groups of images, from hard to easy.")
@click.option("--split", help="Where the ways are compared. [default: test, or validation where there is none]")
@click.option("--snr", default="0,5,10,15", show_default=True, help="Average Es/N0 in dB, with commas.")
@click.option("--price", default="0.0003,0.001,0.002,0.004", show_default=True, help="Accuracy that a use costs.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the rows here.")
@click.option("--write", type=OutFolder(), help="Write the pair with its head to this folder.")
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    import torch

    from training.calibration import load_student
    from training.data import load_told
    from training.evaluate import numbers
    from training.measure import GRID_DB, trials_for

    if not 2 <= options["groups"] <= 100:
        raise ConfigError(f"--groups {options['groups']}: give 2 to 100")
    snrs, prices = (numbers(name, options[name], float) for name in ("snr", "price"))
    manifest = find_pair(options["pair"])
    dataset, random = options["dataset"] or dataset_of(manifest), torch.Generator().manual_seed(options["seed"])
    options["split"] = options["split"] or held_out(dataset)
    student = load_student(manifest)
    train, validation, images = (
        load_told(manifest, dataset, split) for split in ("train", "validation", options["split"])
    )
    known = learnt(student, train, manifest, options, random)
    held = observed(student, validation, manifest, GRID_DB, trials_for(len(validation)), random)
    head = fit_head(known, held, ContentShape(HIDDEN, options["groups"], GRID_DB), options["seed"])
    features, found = observed(student, images, manifest, SEEN_DB, TRIALS, random)
    groups, shares = by_group(head, features, found), found.double().numpy()
    ways = {"table": own_tables(manifest, len(shares)), "head": predicted(head, features)}
    ways |= {"hindsight": groups[head.group(features).numpy()], "oracle": shares}
    rows = compare(manifest, ways, shares, snrs, prices, options["seed"])
    _show(rows, groups, manifest)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        document = {"rows": [asdict(row) for row in rows], "groups": {"snr_db": SEEN_DB, "accuracy": groups.tolist()}}
        write_atomic(options["json_file"], json.dumps(document, indent=1).encode() + b"\n")
    if options["write"]:
        written = write_with(head, manifest, options["write"])
        say(f"pair: {written.path}, id {written.id[:16]}")


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
                 manifest, SEEN_DB, 1, random, target)
        for v, target in enumerate(targets)
    ]  # fmt: skip
    return torch.cat([part for part, _ in parts]), torch.cat([part for _, part in parts])


def _targets(train: "ImageSet", store: Path | None, view: Any, views: int) -> Iterator["torch.Tensor | None"]:
    """Per view: the teacher's soft labels, float [N, C]; None without a store: the true labels."""
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
    snrs_db: Sequence[float],
    trials: int,
    random: "torch.Generator",
    target: "torch.Tensor | None" = None,
) -> Seen:
    """What each image's answers are worth over `trials` noises on AWGN at each SNR, in dB: their share of `target`.

    target: float [N, C], the weight of each answer; None: 1 for the true label.
    """
    import torch

    from training.channel import Conditions, draw
    from training.measure import ROWS, features_of

    with torch.no_grad():
        features, labels = features_of(student, images, manifest.preprocess)
        weights = torch.nn.functional.one_hot(labels, len(images.classes)).float() if target is None else target
        shares = torch.zeros(len(labels), len(manifest.layout.rates), len(snrs_db))
        for column, snr in enumerate(snrs_db):
            known = Conditions(snr, snr, rayleigh=0.0, missing=0.0, report_error_db=0.0)
            for rows in trials * torch.arange(len(labels)).split(ROWS):
                logits, _ = student.from_features(features[rows], draw(len(rows), manifest.layout, known, random))
                shares[rows, :, column] += weights[rows].gather(1, logits.argmax(-1).T) / trials
    return features, shares


# -- the head


def fit_head(known: Seen, held: Seen, shape: ContentShape, seed: int) -> "ContentHead":
    """Ease is learnt on `known`, in cross-entropy with the mean over rates and SNRs; edges and tables are of `held`.

    held: at the SNRs of `shape`, images that the encoder has not seen: those it has are easier than any on the air.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

    from sctx.content import ContentHead
    from training.measure import monotone

    features, right = known[0], known[1].mean((1, 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = ContentHead(shape, features.shape[1], held[1].shape[1])
        head.mean.copy_(features.mean(0))
        head.spread.copy_(features.std(0) + 1e-3)
        optimiser = torch.optim.AdamW(head.parameters(), 3e-3, weight_decay=0.05)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(features)).split(BATCH):
                loss = loss_of(head(features[rows]), right[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    with torch.no_grad():
        inner = torch.arange(1, shape.groups) / shape.groups
        head.edges.copy_(torch.quantile(head(held[0]), inner))
        for group, table in enumerate(by_group(head, *held)):
            head.table[group] = torch.tensor([monotone(row) for row in table.tolist()])
    return head.eval()


def by_group(head: "ContentHead", features: "torch.Tensor", shares: "torch.Tensor") -> Tables:
    """Mean accuracies of the images of each group, of all where it has none: float [N, K, J] -> float64 [G, K, J]."""
    members = [head.group(features) == group for group in range(head.shape.groups)]
    return np.stack([(shares[m] if m.any() else shares).double().mean(0).numpy() for m in members])


def write_with(head: "ContentHead", manifest: Manifest, folder: Path) -> Manifest:
    """The pair with this head in its transmitter half, under a model id of its own."""
    from safetensors.torch import save

    from training.calibration import write_changed

    weights = {f"content.{name}": tensor.contiguous() for name, tensor in head.state_dict().items()}
    return write_changed(
        manifest, folder, encoder=save({**load_half(manifest, "encoder"), **weights}), content=asdict(head.shape)
    )


# -- what it is worth


def own_tables(manifest: Manifest, images: int) -> Tables:
    """What the pair's table says of all images."""
    table = manifest.accuracy
    rows = np.stack([np.interp(SEEN_DB, table.snr_db, row) for row in table.acc])
    return np.broadcast_to(rows, (images, *rows.shape))


def predicted(head: "ContentHead", features: "torch.Tensor") -> Tables:
    """What a head says of images by their features, float [N, 2 S]."""
    import torch

    with torch.no_grad():
        said: Tables = head.accuracies(features, SEEN_DB).double().numpy()
    return said


def compare(
    manifest: Manifest, ways: dict[str, Tables], found: Tables, snrs: list[float], prices: list[float], seed: int
) -> list[Row]:
    """Every way to choose, by the tables it goes by, at every SNR and price over the same fades; "table" is one."""
    uses = np.array(manifest.layout.rates) + manifest.layout.pilots
    rows = []
    for snr_db in snrs:
        power = np.random.default_rng(seed).exponential(size=(FADES, len(found)))
        gamma_db = snr_db + 10 * np.log10(power)
        column = np.abs(gamma_db[..., None] - np.array(SEEN_DB)).argmin(-1)
        image = np.broadcast_to(np.arange(len(found)), column.shape)
        for price in prices:
            chosen = {way: (one - price * uses[:, None]).argmax(1)[image, column] for way, one in ways.items()}
            for way, rate in chosen.items():
                accuracy, spent = float(found[image, rate, column].mean()), float(uses[rate].mean())
                bits = conditional_entropy(rate, chosen["table"])
                rows.append(Row(snr_db, price, way, accuracy, spent, bits, accuracy - price * (spent + bits)))
    return rows


def _show(rows: list[Row], groups: Tables, manifest: Manifest) -> None:
    print_table(
        "choosing the rate, block Rayleigh with known SNR; value = accuracy - price * (uses + control)",
        ("SNR dB", "price", "way", "accuracy %", "uses", "control", "value"),
        [(f"{row.snr_db:g}", f"{row.price:g}", row.way, f"{100 * row.accuracy:.2f}", f"{row.uses:.2f}",
          f"{row.control:.2f}", f"{row.value:.4f}") for row in rows],
        left=("way",),
    )  # fmt: skip
    print_table(
        "accuracy in % by group of images, hard to easy",
        ("SNR dB", "group", *(f"{rate} symbols" for rate in manifest.layout.rates)),
        [(f"{snr:g}", group, *(f"{100 * share:.1f}" for share in shares))
         for column, snr in enumerate(SEEN_DB) for group, shares in enumerate(groups[:, :, column], 1)],
    )  # fmt: skip


if __name__ == "__main__":
    invoke(main, "TRAINING_CONTENT")
