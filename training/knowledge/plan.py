"""What a knowledge store is for, and what its manifest says: every field checked before anything is read or allocated.

Knows nothing about shards' contents, networks or training. A manifest may come from anybody: types and ranges are
checked first, and a shard has the name that the store itself would have given it.
"""

import hashlib
import json
import math
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from common.errors import StoreError
from common.pair.manifest import canonical
from common.text import safe
from common.typed import decode
from training.data.foreign import one_line, read_json
from training.knowledge import encoding as codec
from training.knowledge.embedding import MOST_BYTES, WIDEST
from training.recipes.specs import VIEWS, ViewSpec
from training.teachers.identity import TeacherId

SCHEMA = 4
"""Of a store whose classes have WordNet ids. 3 and 2, still read and written, have none, and 2 has no embeddings; 1,
still read, had no class names either."""
SHARD = 50_000
"""Samples per shard."""
MOST = {"samples": 10**9, "classes": 10**6, "shard": 10**6, "view_version": 10**6}
"""Largest numbers that a plan may hold."""
HEADER = 1 << 16
"""Most bytes of a shard beside its payload."""
SHA256, WNID = re.compile(r"[0-9a-f]{64}"), re.compile(r"n\d{8}", re.ASCII)
EMBEDDING = "embedding"
"""Name of the tensor that holds them."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What is kept of embeddings of `width` numbers: `bytes` for each, by the projection of this SHA-256."""

    width: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a store is for. Two stores with the same plan hold shards of the same whole."""

    dataset: str
    split: str
    data_sha256: str
    samples: int
    classes: int
    teacher: TeacherId
    view: ViewSpec
    view_version: int
    encoding: str
    shard: int = SHARD
    names: tuple[str, ...] = ()
    """Of the classes, in the order of the columns; none in a store of schema 1, whose id does without them."""
    embedding: Embedded | None = None
    """None: answers alone are kept, and the id is that of a store of schema 2."""
    ids: tuple[str, ...] = ()
    """WordNet ids by which the teacher was asked for the classes as well, where they have any. The id does without
    them: it is what it was before stores held them."""

    @property
    def id(self) -> str:
        """What a pair remembers of its store, and the name of the default folder."""
        return replace(self, ids=()).key

    @property
    def key(self) -> str:
        """Of all that the answers depend on: what shards and checkpoints are held to."""
        return hashlib.sha256(canonical(self.document())).hexdigest()

    def document(self) -> dict[str, Any]:
        """As a manifest holds it."""
        unset = [key for key in ("names", "embedding", "ids") if not getattr(self, key)]
        return {key: value for key, value in asdict(self).items() if key not in unset}

    @property
    def schema(self) -> int:
        """Of its manifest."""
        return SCHEMA if self.ids else 3 if self.embedding else 2 if self.names else 1

    def refuse_ids(self, ids: tuple[str, ...], where: Path) -> None:
        """StoreError where classes have WordNet ids, and this plan, found at `where`, does not say whether by these."""
        if ids and not self.ids:
            raise StoreError(
                f"{where} does not hold the WordNet ids of its classes, so by which of them its teacher was asked is "
                "not known: make it again, or say --store and --by-position, without --teacher, if it was by these"
            )

    def layout(self, rows: int) -> dict[str, tuple[torch.dtype, tuple[int, int]]]:
        """Type and shape of each tensor of a shard of `rows` samples."""
        answers = codec.layout(self.encoding, rows, self.classes)
        kept = {EMBEDDING: (torch.uint8, (rows, self.embedding.bytes))} if self.embedding else {}
        return answers | kept

    def payload(self, rows: int) -> int:
        """Bytes of those tensors."""
        return sum(kind.itemsize * math.prod(shape) for kind, shape in self.layout(rows).values())

    def ranges(self) -> list[tuple[int, int]]:
        """Sample ranges of one view's shards."""
        return [(start, min(start + self.shard, self.samples)) for start in range(0, self.samples, self.shard)]

    def refuse(self, other: "Plan", where: Path) -> None:
        """StoreError that names the first field in which `other`, found at `where`, is not this plan."""
        if self != other:
            other.refuse_ids(self.ids, where)
            key, mine, theirs = _differing("", asdict(self), asdict(other))
            raise StoreError(
                f"{where} was made for {key} = {safe(theirs, 200)}, not {safe(mine, 200)}; use another --store or "
                "remove it"
            )


def _differing(key: str, mine: Any, theirs: Any) -> tuple[str, Any, Any]:
    """The innermost first difference, also inside of what is JSON as text: (its key, here, there)."""
    if isinstance(mine, str) and isinstance(theirs, str) and mine[:1] == theirs[:1] == "{":
        with suppress(ValueError, RecursionError):
            mine, theirs = json.loads(mine), json.loads(theirs)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        keys = dict.fromkeys((*mine, *theirs))
        inner = next((one for one in keys if mine.get(one) != theirs.get(one)), None)
        if inner is not None:
            return _differing(f"{key}.{inner}".lstrip("."), mine.get(inner), theirs.get(inner))
    return key, mine, theirs


@dataclass(frozen=True, slots=True)
class Shard:
    """One line of the manifest."""

    file: str
    view: int
    start: int
    stop: int
    bytes: int
    sha256: str
    view_sha256: str
    """Of the augmented uint8 pixels that the teacher saw."""


def shard_path(view: int, start: int, stop: int) -> str:
    """Path of a shard inside its store."""
    return f"v{view:04d}/s{start:08d}-{stop:08d}.safetensors"


def read_document(path: Path) -> tuple[Plan, tuple[Shard, ...]]:
    """A store's manifest. StoreError, in one line, where it is damaged or says what cannot be."""
    remedy = "make the store again"
    document = read_json(path, StoreError, remedy)
    if document.get("schema") not in range(1, SCHEMA + 1):
        raise StoreError(f"{path} has another schema than {SCHEMA}; {remedy}")
    with one_line(f"{path} is damaged", StoreError, remedy):
        if set(document) != {"schema", "plan", "shards"} or not isinstance(document["shards"], list):
            raise ValueError(f"it holds {safe(sorted(document))}, not schema, plan and a list of shards")
        plan = decode(Plan, document["plan"], "plan")
        if plan.schema != document["schema"]:
            have = (
                f"{len(plan.names)} class names, {'an' if plan.embedding else 'no'} embedding and {len(plan.ids)} ids"
            )
            raise ValueError(f"schema {document['schema']} and {have} do not go together")
        _check_plan(plan)
        shards = tuple(decode(Shard, one, f"shards[{k}]") for k, one in enumerate(document["shards"]))
        _check_shards(plan, shards)
        return plan, shards


def _check_plan(plan: Plan) -> None:
    for key, most in MOST.items():
        if not 0 < getattr(plan, key) <= most:
            raise ValueError(f"plan.{key} = {getattr(plan, key)} is not 1 to {most}")
    for key, digest in (("plan.data_sha256", plan.data_sha256), ("plan.teacher.sha256", plan.teacher.sha256)):
        if not SHA256.fullmatch(digest):
            raise ValueError(f"{key} = '{safe(digest, 70)}' is no SHA-256")
    if plan.names and (len(plan.names) != plan.classes or "" in plan.names):
        raise ValueError(f"plan.names are {len(plan.names)}, not one for each of {plan.classes} classes")
    if plan.ids and (len(plan.ids) != len(plan.names) or not all(map(WNID.fullmatch, plan.ids))):
        raise ValueError(f"plan.ids are {len(plan.ids)}, not a WordNet id for each of {len(plan.names)} class names")
    codec.check(plan.encoding, plan.classes)
    if (kept := plan.embedding) and not (0 < kept.width <= WIDEST and 0 < kept.bytes <= MOST_BYTES
                                         and SHA256.fullmatch(kept.sha256)):  # fmt: skip
        raise ValueError("plan.embedding needs a width, its bytes and the SHA-256 of a projection")


def _check_shards(plan: Plan, shards: tuple[Shard, ...]) -> None:
    """Each of a range that the plan makes, under the name that the store gives it, once; each view whole."""
    seen: dict[int, set[int]] = {}
    for k, one in enumerate(shards):
        where = f"shards[{k}]"
        stop = min(one.start + plan.shard, plan.samples)
        if not 0 <= one.view < VIEWS or one.start % plan.shard or not 0 <= one.start < one.stop == stop:
            raise ValueError(f"{where}: view {one.view}, samples {one.start} to {one.stop} are no range of the plan")
        if one.file != shard_path(one.view, one.start, one.stop):
            raise ValueError(f"{where}.file = '{safe(one.file)}' is not the name that a store gives it")
        if not SHA256.fullmatch(one.sha256) or not SHA256.fullmatch(one.view_sha256):
            raise ValueError(f"{where} has no SHA-256 of its file and of its view")
        most = plan.payload(one.stop - one.start) + HEADER
        if not 0 < one.bytes <= most:
            raise ValueError(f"{where}.bytes = {one.bytes}, and no such shard has more than {most}")
        if one.start in seen.setdefault(one.view, set()):
            raise ValueError(f"{where} holds view {one.view} from sample {one.start} on, as another one does")
        seen[one.view].add(one.start)
    whole = -(-plan.samples // plan.shard)
    if not seen or (short := [view for view, starts in seen.items() if len(starts) != whole]):
        raise ValueError(f"view {short[0]} is not whole" if seen else "it names no shards")
