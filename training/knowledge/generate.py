"""Run a teacher over views of a data set into a knowledge store; resumable, and shared out over processes.

Knows nothing about students or losses.
"""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from common.console import tell
from common.images.datasets import ImageSet
from training.data.images import fingerprint
from training.data.views import VERSION, augment, words
from training.data.views import fingerprint as view_fingerprint
from training.knowledge import encoding as codec
from training.knowledge.plan import SHARD, Plan
from training.knowledge.shards import MANIFEST, Store, finished, open_store, seal, write_shard
from training.loop.machine import process, wait
from training.recipes.specs import ViewSpec
from training.report.progress import bar
from training.teachers.identity import TeacherId
from training.teachers.oracles import Oracle, ask

BATCH = 256


def plan_for(
    images: ImageSet, split: str, teacher: TeacherId, view: ViewSpec, encoding: str, shard: int = SHARD
) -> Plan:
    """What a store of this teacher on these views is; its id names the default folder."""
    codec.check(encoding, len(images.classes))
    return Plan(images.name, split, fingerprint(images), len(images), len(images.classes), teacher, view, VERSION,
                encoding, shard, images.classes)  # fmt: skip


def generate(
    folder: Path, plan: Plan, which: range, images: ImageSet, oracle: Oracle, console: Console
) -> Store | None:
    """Make every missing shard of these views and seal the store. Process r of n makes shards r, r + n, ...

    Returns the store on process 0, None on the others (they wait until it is sealed).
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
    with bar(console, "store", len(missing)) as advance:
        for view, start, stop in missing:
            _shard(folder, plan, view, start, stop, images, oracle)
            advance()
    wait()
    store = seal(folder, plan, held.union(which)) if rank == 0 else None
    wait()
    return store


def _shard(folder: Path, plan: Plan, view: int, start: int, stop: int, images: ImageSet, oracle: Oracle) -> None:
    parameters = words(plan.view, view, start, stop)
    parts = []
    for low in range(0, stop - start, BATCH):
        part = slice(low, min(low + BATCH, stop - start))
        pixels = augment(images.images[start:stop][part], parameters[part], plan.view)
        parts.append(ask(oracle, pixels, range(start + part.start, start + part.stop)))
    seen = view_fingerprint(images.images[start:stop], plan.view, view, start)
    write_shard(folder, plan, view, start, torch.cat(parts), seen)


def agreement(store: Store, images: ImageSet, oracle: Oracle, rows: int, view: int = 0) -> tuple[float, float]:
    """Run the teacher again on `rows` samples: (mean KL to the stored row at tau 1, share with the same top class).

    Classes that are nearer to each other than the encoding tells apart are both at the top of a stored row.
    """
    picked = np.linspace(0, len(images) - 1, rows).astype(np.int64)
    pixels = augment(images.images[picked], words(store.plan.view, view, 0, len(images))[picked], store.plan.view)
    fresh, kept = ask(oracle, pixels, picked), store.logits(view)[picked]
    top = kept.gather(-1, fresh.argmax(-1, keepdim=True)) == kept.amax(-1, keepdim=True)
    return float(codec.divergence(fresh, kept, 1.0).mean()), float(top.float().mean())
