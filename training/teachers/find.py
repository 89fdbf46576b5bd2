"""A teacher by folder or Hub id: found, judged, its classes put beside the data's, and built when it is needed.

Knows nothing about stores, views or students.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.errors import ModelError
from common.files import user_path
from training.data.foreign import one_line
from training.teachers.columns import Columns, match, names_of
from training.teachers.folder import TeacherFolder, load_network, quiet, read_folder
from training.teachers.identity import TeacherId
from training.teachers.oracles import Classifier, Ensemble, Oracle, ZeroShot
from training.teachers.pixels import Pixels, load_pixels
from training.teachers.prompts import PROMPT, load_prompts, tokenizer_sha256

__all__ = ["Committee", "Oracle", "Teacher", "find_teacher", "load_oracle", "weights_sha256"]


@dataclass(frozen=True, slots=True)
class Teacher:
    """A teacher that was found, read and judged, and is not built yet."""

    folder: TeacherFolder
    pixels: Pixels
    columns: Columns
    names: int
    """How many columns its network has."""
    prompts: dict[str, Tensor] | None
    id: TeacherId

    @property
    def told(self) -> tuple[str, ...]:
        """Lines for people: how its classes became the data's, where that needs saying."""
        return (self.columns.told,) if self.columns.told else ()

    def load(self, device: torch.device) -> Classifier:
        """Build it and ask it once. ModelError where weights are missing or its parts do not fit together."""
        model = load_network(self.folder, torch.bfloat16 if self.id.dtype == "bf16" else torch.float32)
        noise = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
        remedy = "config.json, image processor, tokenizer and weights must be of one teacher"
        with quiet(), one_line(f"teacher {self.folder.path} cannot answer", ModelError, remedy):
            if self.prompts is None:
                oracle = Classifier(model, self.pixels, self.id, device, self.columns.order)
            else:
                oracle = ZeroShot(model, self.pixels, self.id, device, self.prompts)
            oracle.check(noise, self.names)
        return oracle


@dataclass(frozen=True, slots=True)
class Committee:
    """Several teachers that answer together."""

    members: tuple[Teacher, ...]

    @property
    def id(self) -> TeacherId:
        """Of all of them, in order."""
        ids = [member.id for member in self.members]
        names, preprocess = ",".join(one.name for one in ids), " | ".join(one.preprocess for one in ids)
        return TeacherId(names, _joint([one.sha256 for one in ids]), preprocess, ids[0].dtype)

    @property
    def told(self) -> tuple[str, ...]:
        """The lines of all of them."""
        return tuple(line for member in self.members for line in member.told)

    def load(self, device: torch.device) -> Ensemble:
        """Build them all."""
        return Ensemble([member.load(device) for member in self.members], self.id)


def find_teacher(
    spec: str, classes: Sequence[str], dtype: str = "fp32", by_position: bool = False
) -> Teacher | Committee:
    """A teacher by folder or Hub id; several, separated by commas, make an ensemble. No network is built.

    classes: the data set's, in the order in which answers will come. They are looked for among the teacher's by name;
    with `by_position` its columns are taken as they come. A zero-shot teacher is asked `PROMPT` about each. dtype: fp32
    or bf16.
    ConfigError or ModelError, in one line, where it cannot be used.
    """
    members = tuple(_find_one(one, classes, dtype, by_position) for one in _members(spec))
    return members[0] if len(members) == 1 else Committee(members)


def load_oracle(
    spec: str, classes: Sequence[str], device: torch.device, dtype: str = "fp32", by_position: bool = False
) -> Oracle:
    """`find_teacher`, built and ready."""
    return find_teacher(spec, classes, dtype, by_position).load(device)


def weights_sha256(spec: str) -> str:
    """Of configuration and weights of a teacher or of several, whatever the data."""
    found = [read_folder(one).sha256 for one in _members(spec)]
    return found[0] if len(found) == 1 else _joint(found)


def _joint(digests: Sequence[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _members(spec: str) -> list[str]:
    """Several with commas, unless there is a folder of that very name."""
    return [spec] if os.path.isdir(user_path(spec)) else [one.strip() for one in spec.split(",")]


def _find_one(spec: str, classes: Sequence[str], dtype: str, by_position: bool) -> Teacher:
    folder = read_folder(spec)
    who = f"teacher '{folder.name}'"
    pixels, prompts = load_pixels(folder.path, folder.channels), None
    asked: dict[str, Any] = {"processor": pixels.describe()}
    if folder.kind == "zero-shot":
        tokenizer = tokenizer_sha256(folder.path)
        prompts = load_prompts(folder.path, folder.config, classes)
        asked |= {"prompt": PROMPT, "tokenizer": tokenizer[:16]}
        columns, names = Columns(tuple(range(len(classes))), "asked"), len(classes)
    else:
        known = names_of(folder.config.id2label or {}, folder.config.label2id or {}, who)
        columns, names = match(known, classes, who, by_position), len(known)
    asked["classes"] = columns.how
    identity = TeacherId(folder.name, folder.sha256, json.dumps(asked, sort_keys=True), dtype)
    return Teacher(folder, pixels, columns, names, prompts, identity)
