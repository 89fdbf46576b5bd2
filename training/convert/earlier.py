"""A pair of before words and features -> one that has them: its encoder's body, a new head, what symbols say.

Knows nothing about the command line. What such a pair held beside its body was of another method.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from common.errors import ConfigError, DataError, ModelError
from common.images.datasets import load_splits
from common.images.imageset import ImageSet
from common.pair.manifest import LARGEST_HALF, LARGEST_MANIFEST, MANIFEST, Manifest, canonical, read_file
from common.pair.shapes import EncoderShape, Preprocess
from common.phy.layout import Layout
from common.text import safe
from common.typed import decode, parse
from sctx.encoder import Encoder, check_cost, make_encoder
from training.distillation.last_layer import fit_head
from training.distillation.measure import said_of, transmitter_cost
from training.distillation.pairs import write_encoder


@dataclass(frozen=True, slots=True)
class Old:
    """What is of use of a manifest of schema 1."""

    name: str
    layout: Layout
    order: int
    preprocess: Preprocess
    labels: tuple[str, ...]
    encoder: EncoderShape
    provenance: dict[str, str]
    id: str


def convert(folder: Path, dataset: str, out: Path, skip_bad: bool = False) -> Manifest:
    """The pair of schema 1 in `folder`, with the images it was trained on, as a new pair in `out`.

    ModelError where it is none, or damaged; DataError where the images are of other classes.
    """
    old = read_old(folder)
    train, validation = (
        _in_order(one, old.labels)
        for one in load_splits(dataset, ("train", "validation"), old.preprocess, skip_bad=skip_bad)
    )
    encoder = body_of(folder, old)
    encoder.head = fit_head(encoder.head, said_of(encoder, train, old.preprocess)[1], train.labels)
    parameters, macs = transmitter_cost(encoder, old.preprocess)
    notes = {
        **old.provenance, "transmitter": f"{parameters:,} parameters, {macs / 1e6:.1f} MMAC", "body_of": old.id,
        "command": "python -m training.convert, of a pair by " + old.provenance.get("command", "an unknown command"),
    }  # fmt: skip
    return write_encoder(out, encoder, old.encoder, old.layout, old.order, old.name, train, validation, old.preprocess,
                         notes, seed=0)  # fmt: skip


def read_old(folder: Path) -> Old:
    """ModelError unless a manifest of schema 1 lies there."""
    path = folder / MANIFEST
    try:
        document = parse(read_file(path, LARGEST_MANIFEST))
        if not isinstance(document, dict) or document.pop("schema", None) != 1:
            raise ModelError("it is no manifest of a pair of before words and features (schema 1)")
        identity = hashlib.sha256(canonical(document)).hexdigest()
        known = {key: document[key] for key in ("name", "layout", "order", "preprocess", "labels", "provenance")}
        shape = {key: value for key, value in document["encoder"].items() if key != "adaptive"}
        old = decode(Old, {**known, "encoder": shape, "id": identity}, "")
        old.layout.require_pilots()
        return old
    except (ValueError, TypeError, KeyError, ModelError, ConfigError) as error:
        raise ModelError(f"{path}: {safe(error, 300)}") from None


def body_of(folder: Path, old: Old) -> Encoder:
    """Its encoder; the head is as it is made."""
    path = folder / "encoder.safetensors"
    check_cost(old.encoder, old.preprocess)
    encoder = make_encoder(old.encoder, old.preprocess.channels, len(old.labels))
    try:
        weights = {
            name.removeprefix("encoder."): one.float() if one.dtype == torch.float16 else one
            for name, one in load(read_file(path, LARGEST_HALF)).items()
            if name.startswith("encoder.") and not name.startswith("encoder.head.")
        }
        head = {f"head.{name}": one for name, one in encoder.head.state_dict().items()}
        encoder.load_state_dict({**weights, **head})
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path} does not belong to this manifest ({safe(' '.join(str(error).split()), 200)})"
        ) from None
    return encoder.eval()


def _in_order(images: ImageSet, labels: tuple[str, ...]) -> ImageSet:
    """The same with labels as indices into the pair's own classes."""
    found = images.labels_among(labels)
    if None in found:
        raise DataError(f"'{images.name}' has classes that the pair does not know; give what it was trained on")
    return ImageSet(images.name, images.images, np.array(found, np.int64), labels)
