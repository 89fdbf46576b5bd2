"""What lies there from earlier runs, and whether it fits: a teacher, a folder for the pair. What does not is left.

Knows nothing about how any of it is made. What is re-used, and what is not and why, is told in a line.

    build/teachers/NAME, NAME-ID    a teacher and made.json: recipe, classes and data that it was made of
    build/pairs/NAME, NAME-ID       a pair; its manifest says recipe, class names, data (as a hash), and how it was made
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from common.console import tell
from common.errors import ConfigError, ModelError
from common.files import writable
from common.images.imageset import ImageSet
from common.pair.manifest import MANIFEST, Manifest, canonical, read_manifest, settle
from training.data.images import fingerprint
from training.distillation.request import BUILD, Request
from training.loop.machine import wait
from training.recipes.recipe import Recipe
from training.teachers.identity import NOTE
from training.teachers.pretrain import train_teacher


def own_teacher(
    recipe: Recipe, train: ImageSet, seed: int, device: torch.device, console: Console,
    *, out: Path | None = None, this_seed: bool = False,
) -> Path:  # fmt: skip
    """Folder of the recipe's own teacher of these images; made where there is none that fits.

    out: where it must be, ConfigError where another lies there; None: build/teachers. this_seed: one of another seed
    does not fit.
    """
    made_of = teacher_made_of(recipe, train) | ({"seed": seed} if this_seed else {})
    folder, ready = teacher_place(recipe.name, made_of) if out is None else (out, _holds(out, made_of))
    if ready:
        tell(f"teacher: re-using {folder}")
        return folder
    if out is not None and (out / "config.json").is_file():
        raise ConfigError(f"--out {out} holds a teacher {_difference(_noted(out), made_of)}: give another folder")
    train_teacher(recipe, train, folder, seed, device, console, {**made_of, "seed": seed})
    wait()
    return folder


def needs_teacher(recipe: Recipe, request: Request, train: ImageSet) -> bool:
    """Whether a teacher of these images will have to be trained first."""
    if request.teacher or recipe.loss.hard == 1 or (request.store and request.store.is_dir() and not request.online):
        return False
    made_of = teacher_made_of(recipe, train)
    return not any(_holds(folder, made_of) for folder in teacher_folders(recipe.name, made_of))


def made_of_these(folder: Path, recipe: Recipe, train: ImageSet) -> bool:
    """Whether it is the recipe's own teacher of these images, of whatever seed."""
    return _holds(folder, teacher_made_of(recipe, train))


def teacher_made_of(recipe: Recipe, train: ImageSet) -> dict[str, Any]:
    """What a teacher must be made of to be re-used, as JSON has it. Any seed will do: students of several seeds, which
    are compared, share one."""
    document = {"teacher": asdict(recipe.teacher), "view": asdict(recipe.view), "classes": train.classes,
                "data": fingerprint(train)}  # fmt: skip
    plain: dict[str, Any] = json.loads(canonical(document))
    return plain


def teacher_folders(name: str, made_of: Mapping[str, Any]) -> tuple[Path, Path]:
    """Where to look for it: the first that is free or holds it."""
    first = BUILD / "teachers" / name
    return first, first.with_name(f"{name}-{hashlib.sha256(canonical(made_of)).hexdigest()[:8]}")


def teacher_place(name: str, made_of: Mapping[str, Any]) -> tuple[Path, bool]:
    """Where the teacher is, or is to be, and whether it is there: build/teachers/NAME, or NAME-ID if that is taken."""
    first, other = teacher_folders(name, made_of)
    for folder in (first, other):
        if not (folder / "config.json").is_file():
            return writable(folder, folder=True), False
        if _holds(folder, made_of):
            return folder, True
        if folder is first:
            why = _difference(_noted(folder), made_of)
            tell(f"teacher: not re-using {folder}, {why}: the one that fits goes to {other}")
    raise ConfigError(f"{other} holds a teacher that is not what its name says: remove it, or name one by --teacher")


def pair_place(name: str, made_of: Mapping[str, Any], asked: Path | None, keep: bool = True) -> Path:
    """Folder for the pair: `asked`, or build/pairs/NAME, or NAME-ID where that holds a pair that was made otherwise.

    made_of: of what and how it is made, as `pair_made_of` gives it. keep: in `asked`, too; else a pair of the same
    recipe, classes and data is replaced. Raises ConfigError where `asked` is taken, or no place can be written to.
    """
    if asked is not None:
        if why := _taken(asked, made_of if keep else {key: made_of[key] for key in ("recipe", "classes", "data")}):
            raise ConfigError(f"--out {asked}: {why}; give another folder, or remove that one")
        return writable(asked, folder=True)
    first = BUILD / "pairs" / name
    if not (why := _taken(first, made_of)):
        return writable(first, folder=True)
    other = first.with_name(f"{name}-{hashlib.sha256(canonical(made_of)).hexdigest()[:8]}")
    tell(f"pair: not writing to {first}, {why}: this one goes to {other}")
    if why := _taken(other, made_of):
        raise ConfigError(f"{other}: {why}; remove it, or give --out")
    return writable(other, folder=True)


def pair_made_of(recipe: Recipe, train: ImageSet, seed: int) -> dict[str, Any]:
    """Of what a pair is made and how, but for its soft labels: another run with the same may replace it."""
    return {
        "recipe": recipe.name, "classes": list(train.classes), "data": fingerprint(train), "seed": str(seed),
        "epochs": str(recipe.schedule.epochs), "fraction": f"{recipe.fraction:g}", "encoder": asdict(recipe.encoder),
        "loss": f"{recipe.loss}",
    }  # fmt: skip


def made_of_pair(manifest: Manifest) -> dict[str, Any]:
    """The same of a pair that is there, and its `soft_labels`; None for what was not noted when it was made."""
    noted = manifest.provenance
    return {
        **{key: noted.get(key) for key in ("recipe", "data", "seed", "epochs", "loss", "soft_labels")},
        "classes": list(manifest.labels), "fraction": noted.get("fraction", "1"), "encoder": asdict(manifest.encoder),
    }  # fmt: skip


def _taken(folder: Path, made_of: Mapping[str, Any]) -> str:
    """Why a pair made of this must not be written there; "" where it may."""
    if not folder.is_dir():
        return ""
    settle(folder)
    if not (folder / MANIFEST).is_file():
        strange = [one.name for one in folder.iterdir() if one.suffix not in (".safetensors", ".tmp")]
        return f"it is no pair, and holds {strange[0]}" if strange else ""
    try:
        found = made_of_pair(read_manifest(folder))
    except ModelError:
        return "it holds a pair that cannot be read"
    if found["data"] is None:
        return "it holds a pair of before it was noted of which data they are made"
    return "" if made_of.items() <= found.items() else _difference(found, made_of)


def _holds(folder: Path, made_of: Mapping[str, Any]) -> bool:
    """Whether a teacher lies there that is made of this, whatever else is noted of it."""
    noted = _noted(folder)
    return (folder / "config.json").is_file() and all(noted.get(key) == value for key, value in made_of.items())


def _noted(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _difference(found: Mapping[str, Any], made_of: Mapping[str, Any]) -> str:
    """The first thing in which they differ, in words."""
    if not found:
        return f"which has no {NOTE} to say of what it is made"
    for key, mine in made_of.items():
        theirs = found.get(key)
        if theirs == mine:
            continue
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            return _difference(theirs, mine)
        if isinstance(mine, list) and key == "classes":
            return "made for other classes"
        if key in ("loss", "soft_labels"):
            return "made with other soft labels, or without any"
        return "made for other images" if key == "data" else f"made with {key} {theirs}, not {mine}"
    return "made for something else"
