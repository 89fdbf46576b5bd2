"""Run a teacher over views of a data set into a knowledge store; resumable, and shared out over processes.

Knows nothing about students or losses.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from common.console import tell
from common.errors import ModelError, StoreError
from common.files import write_atomic
from common.images.imageset import ImageSet
from common.pair.manifest import canonical
from training.data.images import fingerprint
from training.data.views import VERSION, augment, words
from training.data.views import fingerprint as view_fingerprint
from training.knowledge import encoding as codec
from training.knowledge.embedding import Projection, fit_projection, losses
from training.knowledge.plan import EMBEDDING, SHARD, Embedded, Plan
from training.knowledge.shards import (
    ASKED,
    MANIFEST,
    PROJECTION,
    Store,
    finished,
    open_store,
    projection_notes,
    read_projection,
    seal,
    write_projection,
    write_shard,
)
from training.loop.machine import process, wait
from training.recipes.specs import ViewSpec
from training.report.progress import bar
from training.teachers.identity import TeacherId
from training.teachers.oracles import Oracle, ask, ask_both

BATCH = 256
FITTED, CHECKED = 4096, 512
"""Images whose embeddings say how embeddings are projected, and further ones that say what that loses."""


def plan_for(
    images: ImageSet, split: str, teacher: TeacherId, view: ViewSpec, encoding: str, shard: int = SHARD,
    embedding: Embedded | None = None,
) -> Plan:  # fmt: skip
    """What a store of this teacher on these views is; its id names the default folder. embedding: is kept as well."""
    codec.check(encoding, len(images.classes))
    return Plan(images.name, split, fingerprint(images), len(images), len(images.classes), teacher, view, VERSION,
                encoding, shard, images.classes, embedding, images.ids)  # fmt: skip


def projected(folder: Path, images: ImageSet, oracle: Oracle, size: int) -> Embedded:
    """How a store in `folder` keeps this teacher's embeddings in `size` bytes: as FITTED of the images have them.

    A projection that lies there and is of the same is used again: stores whose shards are to be merged share the file.
    That of a complete store stays as it is, whoever asks. StoreError where that store keeps others.
    """
    kept = open_store(folder).plan.embedding if (folder / MANIFEST).is_file() else None
    if (folder / MANIFEST).is_file() and (kept is None or kept.bytes != size):
        has = kept.bytes if kept else 0
        raise StoreError(f"{folder} holds {has} bytes of embedding for each view, not {size}; use another --store")
    if kept is not None and _digest(folder) == kept.sha256:
        return kept
    of, asked, noted = f"{oracle.id.sha256} {fingerprint(images)} {size}", canonical(asdict(oracle.id)), folder / ASKED
    same = projection_notes(folder).get("of") == of and (not noted.is_file() or noted.read_bytes() == asked)
    if process()[0] == 0 and not same:
        picked = np.random.default_rng(0).permutation(len(images))[: FITTED + CHECKED]
        parts = []
        with bar(Console(stderr=True), "embeddings", len(picked)) as advance:
            for rows in np.array_split(picked, -(-len(picked) // BATCH)):
                parts.append(ask_both(oracle, images.images[rows], rows)[1])
                advance(len(rows))
        embedding, most = torch.cat(parts), max(1, len(picked) * FITTED // (FITTED + CHECKED))
        try:
            projection = fit_projection(embedding[:most], size)
        except ValueError as error:
            raise ModelError(f"teacher '{oracle.id.name}': no embedding can be kept: {error}") from error
        lost = {f"lost {how}": f"{value:.4f}" for how, value in losses(projection, embedding[most:]).items()}
        (folder / PROJECTION).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(noted, asked)
        write_projection(folder, projection.to_bytes({"of": of, **lost}))
    wait()
    projection = read_projection(folder)
    return Embedded(projection.width, projection.size, _digest(folder))


def _digest(folder: Path) -> str:
    """Of the projection that lies there; "" where there is none."""
    path = folder / PROJECTION
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def generate(
    folder: Path, plan: Plan, which: range, images: ImageSet, oracle: Oracle, console: Console
) -> Store | None:
    """Make every missing shard of these views and seal the store. Process r of n makes shards r, r + n, ...

    A plan with embeddings needs its projection in the folder (`projected`). Returns the store on process 0, None on the
    others (they wait until it is sealed).
    """
    rank, world = process()
    held: set[int] = set()
    if (folder / MANIFEST).is_file():
        found = open_store(folder)
        plan.refuse(found.plan, folder)
        held = set(found.present)
    work = [(view, start, stop) for view in which for start, stop in plan.ranges()]
    missing = [one for one in work[rank::world] if not finished(folder, plan, *one)]
    if len(missing) < len(work[rank::world]) and not console.quiet:
        tell(f"store: {len(work[rank::world]) - len(missing)} shards are there already")
    projection = read_projection(folder, plan.embedding.sha256) if plan.embedding else None
    with bar(console, "store", len(missing)) as advance:
        for view, start, stop in missing:
            _shard(folder, plan, view, start, stop, images, oracle, projection, advance)
    wait()
    store = seal(folder, plan, held.union(which)) if rank == 0 else None
    wait()
    return store


def _shard(
    folder: Path, plan: Plan, view: int, start: int, stop: int, images: ImageSet, oracle: Oracle,
    projection: Projection | None, advance: Callable[[float], None],
) -> None:  # fmt: skip
    """One shard, encoded batch by batch: what is in memory is the shard as it will lie on disk.

    advance: told after each batch which share of the shard it was.
    """
    parameters = words(plan.view, view, start, stop)
    parts: list[dict[str, Tensor]] = []
    for low in range(0, stop - start, BATCH):
        part = slice(low, min(low + BATCH, stop - start))
        pixels = augment(images.images[start:stop][part], parameters[part], plan.view)
        numbers = range(start + part.start, start + part.stop)
        if projection is None:
            parts.append(codec.encode(ask(oracle, pixels, numbers), plan.encoding))
        else:
            logits, embedding = ask_both(oracle, pixels, numbers)
            parts.append(codec.encode(logits, plan.encoding) | {EMBEDDING: projection.encode(embedding)})
        advance(len(pixels) / (stop - start))
    seen = view_fingerprint(images.images[start:stop], plan.view, view, start)
    write_shard(folder, plan, view, start, {name: torch.cat([one[name] for one in parts]) for name in parts[0]}, seen)


def agreement(store: Store, images: ImageSet, oracle: Oracle, rows: int, view: int = 0) -> tuple[float, float]:
    """Run the teacher again on `rows` samples: (mean KL to the stored row at tau 1, share with the same top class).

    Classes that are nearer to each other than the encoding tells apart are both at the top of a stored row.
    """
    picked = np.linspace(0, len(images) - 1, rows).astype(np.int64)
    pixels = augment(images.images[picked], words(store.plan.view, view, 0, len(images))[picked], store.plan.view)
    fresh, kept = ask(oracle, pixels, picked), store.view(view).logits(picked)
    top = kept.gather(-1, fresh.argmax(-1, keepdim=True)) == kept.amax(-1, keepdim=True)
    return float(codec.divergence(fresh, kept, 1.0).mean()), float(top.float().mean())
