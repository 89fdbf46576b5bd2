"""An encoder written as a pair: what its symbols say is fitted to its features; a pair with other fields.

Knows nothing about how an encoder is trained.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from common.errors import ConfigError, ModelError
from common.images.imageset import ImageSet
from common.pair.manifest import MANIFEST, Half, Manifest, write_pair
from common.pair.origin import recall, remember
from common.pair.shapes import EncoderShape, Preprocess
from common.pair.speech import load_speech, tensors_of
from common.pair.tensors import SPEECH, load_half
from common.phy.layout import Layout
from sctx.encoder import Encoder, load_encoder
from training.distillation.measure import said_of
from training.words.arrivals import class_shares, tables
from training.words.fitting import fit_speech

TASKS = ("classify", "embedding")
HALVES: tuple[Half, Half] = ("encoder", "decoder")


def write_encoder(
    folder: Path, encoder: Encoder, shape: EncoderShape, layout: Layout, order: int, name: str,
    train: ImageSet, validation: ImageSet, preprocess: Preprocess, provenance: Mapping[str, str], seed: int,
    meant: torch.nn.Linear | None = None,
) -> Manifest:  # fmt: skip
    """Fit what symbols say to the features of train, measure it on validation, write both halves and the manifest.
    ModelError before anything is written where one of them would hold what is no number.

    meant: features -> the teacher's embedding; where there is one, what of the features counts is what it takes up.
    """
    classes = len(train.classes)
    metric = None if meant is None else meant.weight.detach().double().cpu().numpy()
    speech = fit_speech(*said_of(encoder, train, preprocess), classes, layout, order, metric)
    decided, _ = said_of(encoder, validation, preprocess)
    shares = class_shares(decided, validation.labels, classes)
    words, accuracy = tables(speech.words, layout, decided, validation.labels, shares, seed)
    said = {SPEECH + part: np.ascontiguousarray(tensor) for part, tensor in tensors_of(speech).items()}
    weights = {part: one.detach().cpu().numpy().copy(order="C") for part, one in encoder.state_dict().items()}
    if odd := [part for part, one in {**weights, **said}.items() if not np.isfinite(one).all()]:
        raise ModelError(f"tensor '{odd[0]}' holds what is no number, so no pair is written: train it again")
    document: dict[str, Any] = {
        "name": name, "layout": layout, "order": order, "preprocess": preprocess, "dataset": train.name,
        "labels": train.classes, "tasks": TASKS, "encoder": shape, "features": speech.means.shape[1], "words": words,
        "accuracy": accuracy, "provenance": provenance,
    }  # fmt: skip
    return write_pair(folder, document, save({**weights, **said}), save({**said, "classes": shares}))


def write_halved(manifest: Manifest, folder: Path) -> Manifest:
    """The same pair in half the bytes, under another model id: weights in half precision (10 bits of a number), but for
    tensors with numbers that are beyond it."""
    document = json.loads((manifest.path / MANIFEST).read_bytes())
    for name in ("schema", "sha256"):
        del document[name]
    halves = []
    for half in HALVES:
        weights = load_half(manifest, half)
        halves.append(save({name: _halved(one) for name, one in weights.items()}))
    return write_pair(folder, document, *halves)


def _halved(tensor: NDArray[Any]) -> NDArray[Any]:
    fits = tensor.dtype == np.float32 and np.abs(tensor).max(initial=0.0) <= np.finfo(np.float16).max
    return tensor.astype(np.float16) if fits else tensor


def measured_again(manifest: Manifest, layout: Layout, validation: ImageSet, folder: Path) -> Manifest:
    """The same weights with tables measured now, on its own validation images, for frames of that layout."""
    decided, _ = said_of(load_encoder(manifest), validation, manifest.preprocess)
    shares = class_shares(decided, validation.labels, len(manifest.labels))
    words, accuracy = tables(load_speech(manifest, "encoder").words, layout, decided, validation.labels, shares, seed=0)
    return write_changed(manifest, folder, layout=asdict(layout), accuracy=accuracy, words=words)


def write_changed(manifest: Manifest, folder: Path, decoder: bytes | None = None, **fields: Any) -> Manifest:
    """The same weights under a manifest with other `fields`, and so another model id; decoder: that half instead."""
    if folder.resolve() == manifest.path.resolve():
        raise ConfigError(f"{folder} is the pair's own folder; give another, for others may hold the pair by its id")
    document = json.loads((manifest.path / MANIFEST).read_bytes())
    for name in ("schema", "sha256"):
        del document[name]
    halves = [(manifest.path / f"{half}.safetensors").read_bytes() for half in ("encoder", "decoder")]
    written = write_pair(folder, {**document, **fields}, halves[0], decoder or halves[1])
    if known := recall(manifest.id):
        remember(written.id, known)
    return written
