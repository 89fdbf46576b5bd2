"""What a store is, in words: the rows of `training.store info`, and the page that `training.store card` writes.

Knows nothing about teachers or students.
"""

from typing import Any

from common.text import safe
from training.knowledge.shards import Store, projection_notes

CARD = """# Knowledge store: {teacher} on {data}

What a teacher answers about each view of each training image, so that students are trained without it. It holds no
image; what may be done with it follows from the terms of its data and of its teacher.

| | |
| --- | --- |
{table}

Is it whole, are the pixels the teacher's, and does the teacher still say the same?

    python -m training.store verify STORE --dataset DATA --teacher TEACHER

To train from it, without its teacher:

    python -m training.distill --store STORE --dataset DATA --recipe RECIPE
"""
SHOWN = 5
"""Class names that are listed before it is said how many more there are."""


def rows(store: Store) -> dict[str, Any]:
    """What it holds, by name."""
    plan = store.plan
    return {
        "store": store.folder,
        "plan": plan.id,
        "data": f"{plan.dataset} {plan.split}, {plan.samples} images, {plan.classes} classes, {plan.data_sha256[:16]}",
        "names": _names(plan.names) if plan.names else "none: it was made before stores held class names",
        "teacher": f"{plan.teacher.name}, {plan.teacher.dtype}, {plan.teacher.sha256[:16]}",
        "views": f"{len(store.present)} ({', '.join(map(str, store.present))}), {plan.view}",
        "encoding": f"{plan.encoding}, {store.payload_bytes():g} bytes per image and view",
        "embedding": _embedding(store),
        "size": f"{sum(shard.bytes for shard in store.shards):,} bytes in {len(store.shards)} shards",
    }


def written(store: Store) -> str:
    """The card, in Markdown."""
    plan = store.plan
    told = rows(store) | {
        "teacher's weights": f"SHA-256 {plan.teacher.sha256}",
        "what it was shown": plan.teacher.preprocess,
        "images, labels and names": f"SHA-256 {plan.data_sha256}",
    }
    del told["store"]
    table = "\n".join(f"| {name} | {safe(value, 1000).replace('|', '/')} |" for name, value in told.items())
    return CARD.format(teacher=safe(plan.teacher.name, 60), data=safe(plan.dataset, 60), table=table)


def _names(names: tuple[str, ...]) -> str:
    more = f" ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(safe(one, 60) for one in names[:SHOWN]) + more


def _embedding(store: Store) -> str:
    kept, notes = store.plan.embedding, projection_notes(store.folder)
    if kept is None:
        return "none"
    lost = ", ".join(f"{name.removeprefix('lost ')} {value}" for name, value in sorted(notes.items()) if name != "of")
    return f"{kept.bytes} of those bytes, for {kept.width} numbers; cosine error {lost or 'not noted'}"
