"""Pairs and students: a student written as a pair; a pair as the student it came from, or with other fields.

Knows nothing about how they are trained.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from common.errors import ConfigError, ModelError
from common.images.datasets import ImageSet
from common.pair.manifest import MANIFEST, Half, Manifest, read_half, write_pair
from common.pair.origin import recall, remember
from common.pair.shapes import Preprocess
from scrx.decoding.decoder import load_decoder
from sctx.encoder import load_encoder
from training.recipes.specs import Conditions
from training.student.end_to_end import Shapes, Student

TASKS = ("classify", "embedding")
HALVES: tuple[Half, Half] = ("encoder", "decoder")


def write_student(
    folder: Path, student: Student, name: str, images: ImageSet, preprocess: Preprocess,
    provenance: Mapping[str, str], measured: Mapping[str, Any],
) -> Manifest:  # fmt: skip
    """Both halves as safetensors, then the manifest. images: of training; measured: its accuracy and calibration."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}
    decoder = {
        name.removeprefix("decoder."): weights.pop(name) for name in list(weights) if name.startswith("decoder.")
    }
    shapes = student.shapes
    document: dict[str, Any] = {
        "name": name, "layout": shapes.layout, "order": shapes.order, "preprocess": preprocess, "dataset": images.name,
        "labels": images.classes, "tasks": TASKS, "encoder": shapes.encoder, "decoder": shapes.decoder,
        "provenance": provenance, **measured,
    }  # fmt: skip
    return write_pair(folder, document, save(weights), save(decoder))


def load_student(manifest: Manifest) -> Student:
    """Both halves of a pair as the one model that training sees."""
    student = Student(Shapes(manifest.layout, manifest.order, manifest.preprocess.channels, len(manifest.labels),
                             manifest.encoder, manifest.decoder))  # fmt: skip
    student.encoder, student.adapt = load_encoder(manifest)
    student.decoder = load_decoder(manifest)
    return student.eval()


def trained_under(manifest: Manifest) -> Conditions:
    """The channels that a pair was trained under, of its provenance; the usual ones where that does not say."""
    try:
        return Conditions(**json.loads(manifest.provenance.get("channel", "{}")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{manifest.path / MANIFEST}: provenance.channel is damaged: {error}") from None


def write_halved(manifest: Manifest, folder: Path) -> Manifest:
    """The same pair in half the bytes, under another model id: weights in half precision (10 bits of a number)."""
    document = json.loads((manifest.path / MANIFEST).read_bytes())
    for name in ("schema", "sha256"):
        del document[name]
    halves = []
    for half in HALVES:
        weights = load(read_half(manifest, half))
        halves.append(save({name: one.half() if one.dtype == torch.float32 else one for name, one in weights.items()}))
    return write_pair(folder, document, *halves)


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
