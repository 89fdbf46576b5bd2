"""The soft labels that a student learns from: a store that is there and fits, or one made by its teacher, or a teacher.

Knows nothing about students. The order in which things are looked for is that of `soft_labels`.
"""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.console import Console

from common.console import tell
from common.errors import ConfigError
from common.files import ROOM, writable
from common.images.imageset import ImageSet
from common.pair.manifest import canonical
from training.distillation.request import BUILD, Request
from training.distillation.reuse import own_teacher
from training.knowledge import encoding as codec
from training.knowledge.generate import generate, plan_for, projected
from training.knowledge.shards import MANIFEST, Store, open_store
from training.loop.machine import autocasts
from training.recipes.recipe import Recipe
from training.teachers.find import Committee, Teacher, find_teacher
from training.teachers.oracles import Oracle


def soft_labels(
    recipe: Recipe, request: Request, train: ImageSet, device: torch.device, console: Console
) -> Store | Oracle | None:
    """The knowledge store, made where it is missing; the teacher itself with --online-teacher; None without either."""
    if not is_taught(recipe):
        return None
    if request.online and recipe.loss.embedding:
        raise ConfigError(
            "--online-teacher gives no embeddings: set loss.embedding to 0 in the recipe, or keep a store"
        )
    codec.check(recipe.encoding, len(train.classes))
    if request.store and (request.store / MANIFEST).is_file() and not request.teacher and not request.online:
        return _ready_store(recipe, request, request.store, train)
    if not request.online:
        answers = (codec.payload(recipe.encoding, 1, len(train.classes)) + recipe.embedding) * len(train) * recipe.views
        writable(request.store or BUILD / "stores", folder=True, room=ROOM + answers)
    teacher = request.teacher or str(own_teacher(recipe, train, request.seed, device, console))
    found = teacher_of(recipe, teacher, train, device, request.by_position)
    for line in found.told:
        tell(line)
    if request.online:
        return found.load(device)
    plan = plan_for(train, "train", found.id, recipe.view, recipe.encoding)
    kept = f"-e{recipe.embedding}" if recipe.embedding else ""
    where, oracle = request.store or _place(recipe.name, f"{plan.key[:8]}{kept}"), None
    if recipe.embedding:
        oracle = found.load(device)
        plan = replace(plan, embedding=projected(where, train, oracle, recipe.embedding))
    if (where / MANIFEST).is_file():
        store = open_store(where)
        plan.refuse(store.plan, where)
        if store.views >= recipe.views:
            tell(f"store: re-using {where} ({store.views} views)")
            return store
    return generate(where, plan, range(recipe.views), train, oracle or found.load(device), console)


def is_taught(recipe: Recipe) -> bool:
    """Whether anything is learnt from a teacher; with true labels alone nobody asks one."""
    return recipe.loss.hard < 1 or recipe.loss.embedding > 0


def teacher_of(
    recipe: Recipe, spec: str, train: ImageSet, device: torch.device, by_position: bool = False
) -> Teacher | Committee:
    """The teacher of this folder or Hub id as it would answer on that device; it is not built yet."""
    dtype = "bf16" if autocasts(recipe.teacher.schedule, device) else "fp32"
    return find_teacher(spec, train.asked, dtype, by_position)


def soft_name(soft: Store | Oracle | None) -> str:
    """Where the soft labels came from, for a manifest."""
    if soft is None:
        return "true labels"
    return f"store {soft.plan.key}" if isinstance(soft, Store) else f"teacher {soft.id.sha256}"


def soft_key(soft: Store | Oracle | None) -> str:
    """The same for a checkpoint: with all that the answers depend on."""
    if isinstance(soft, Store):
        return f"store {soft.plan.key}"
    return soft_name(None) if soft is None else f"teacher {hashlib.sha256(canonical(asdict(soft.id))).hexdigest()}"


def _place(name: str, kind: str) -> Path:
    """Where a store of this kind goes: to one that another recipe made, where there is one."""
    return next(iter(sorted((BUILD / "stores").glob(f"*-{kind}"))), BUILD / "stores" / f"{name}-{kind}")


def _ready_store(recipe: Recipe, request: Request, folder: Path, train: ImageSet) -> Store:
    """A finished store is all that training needs: its teacher may be gone."""
    store = open_store(folder)
    store.check_data(train, recipe.view, request.by_position)
    if request.encoding not in (None, store.plan.encoding):
        raise ConfigError(f"{folder} holds answers as {store.plan.encoding}, not {request.encoding}; leave out "
                          "--encoding, or make another store")  # fmt: skip
    has = store.plan.embedding.bytes if store.plan.embedding else 0
    if recipe.loss.embedding and has != recipe.embedding:
        raise ConfigError(f"{folder} holds {has} bytes of embedding for each view, and the recipe needs "
                          f"{recipe.embedding}; make another store")  # fmt: skip
    if store.views < recipe.views:
        raise ConfigError(f"{folder} holds {store.views} views, not {recipe.views}; say --views {store.views}")
    tell(f"store: re-using {folder} (teacher {store.plan.teacher.name}), no teacher is loaded")
    return store
