"""The knowledge store on disk: a teacher's outputs on every view, so that training never runs the teacher again.

Knows nothing about networks or how the outputs were computed.

    STORE/v0000/s00000000-00050000.safetensors   one shard per (view, range of samples)
    STORE/projection.safetensors                 of a store with embeddings: how they became few bytes
    STORE/manifest.json                          written last: without it there is no store

A shard's header names the plan it belongs to and hashes its own payload and the pixels that the teacher saw, so work
that was killed is taken up again. The manifest holds each shard's SHA-256, checked at every read: safetensors loads a
flipped bit in silence.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from common.errors import StoreError
from common.files import write_atomic, write_json
from common.images.imageset import ImageSet
from common.pair.manifest import canonical
from common.text import safe
from common.typed import decode, parse
from training.data import views
from training.data.foreign import one_line, refuse_pointer
from training.data.images import fingerprint
from training.knowledge import encoding as codec
from training.knowledge.embedding import Projection, projection_from
from training.knowledge.mapped import AT_ONCE, Mapped
from training.knowledge.plan import EMBEDDING, Plan, Shard, read_document, shard_path
from training.recipes.specs import ViewSpec

__all__ = [
    "ASKED",
    "MANIFEST",
    "Store",
    "View",
    "finished",
    "merge",
    "open_store",
    "projection_notes",
    "read_projection",
    "seal",
    "write_projection",
    "write_shard",
]  # fmt: skip
MANIFEST, PROJECTION = "manifest.json", "projection.safetensors"
ASKED = "asked.json"
"""Of an unfinished store with embeddings: whose the projection is, in the words of its plan."""
LARGEST_PROJECTION = 1 << 28
"""Bytes of a projection's file."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What a shard says of itself."""

    plan: str
    view_sha256: str
    payload_sha256: str


def write_shard(folder: Path, plan: Plan, view: int, start: int, tensors: dict[str, Tensor], view_sha256: str) -> None:
    """Write one shard whole or not at all. tensors: of samples start..start+n-1, as the plan lays them out."""
    rows = len(next(iter(tensors.values())))
    header = asdict(_Header(plan.key, view_sha256, _payload(_arrays(tensors))))
    # One entry: safetensors writes several in an order of its own, another in each process.
    metadata = {"semlink": canonical(header).decode()}
    path = folder / shard_path(view, start, start + rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save(tensors, metadata=metadata))


def write_projection(folder: Path, raw: bytes) -> None:
    """Put a projection's file where a store has it, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / PROJECTION, raw)


def projection_notes(folder: Path) -> dict[str, str]:
    """What was noted of the projection that lies there; nothing where there is none that can be read."""
    try:
        with safe_open(folder / PROJECTION, "np") as file:
            found = parse((file.metadata() or {}).get("semlink", "{}").encode())
    except (SafetensorError, OSError, ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def read_projection(folder: Path, sha256: str | None = None) -> Projection:
    """The projection of a store; StoreError where there is none, or it is not the one with this SHA-256."""
    path = folder / PROJECTION
    remedy = "make the store again"
    refuse_pointer(path, StoreError, remedy)
    if (size := path.stat().st_size) > LARGEST_PROJECTION:
        raise StoreError(f"{path} has {size:,} bytes, too many for what it should be; {remedy}")
    raw = path.read_bytes()
    if sha256 is not None and hashlib.sha256(raw).hexdigest() != sha256:
        raise StoreError(f"{path} is not the one that the store was made with (SHA-256 differs); {remedy}")
    with one_line(f"{path} is damaged", StoreError, remedy):
        return projection_from(raw)


def finished(folder: Path, plan: Plan, view: int, start: int, stop: int) -> bool:
    """True where a whole shard of this plan exists; a damaged one counts as missing, another plan's is refused."""
    path = folder / shard_path(view, start, stop)
    if not path.is_file():
        return False
    try:
        header = _header(path)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
        return False
    if header.plan != plan.key:
        raise StoreError(
            f"{path} belongs to another plan (data set, ids, teacher or views); use another --store or remove it"
        )
    try:
        return header.payload_sha256 == _payload(Mapped(path, plan.layout(stop - start)).arrays())
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
        return False


def seal(folder: Path, plan: Plan, which: Iterable[int]) -> "Store":
    """Check that all shards of these views are there, hash them and write the manifest; clear what a kill left."""
    for left in (*folder.glob("v*/.*.tmp"), *folder.glob(ASKED)):
        left.unlink()
    shards = []
    for view in sorted(which):
        for start, stop in plan.ranges():
            name = shard_path(view, start, stop)
            if not finished(folder, plan, view, start, stop):
                raise StoreError(f"{folder / name} is missing or damaged; run the same command again to make it")
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
            shards.append(Shard(name, view, start, stop, size, digest, _header(folder / name).view_sha256))
    lines = [asdict(shard) for shard in shards]
    write_json(folder / MANIFEST, {"schema": plan.schema, "plan": plan.document(), "shards": lines})
    return Store(folder, plan, tuple(shards))


@dataclass(frozen=True, slots=True)
class Store:
    """A complete store. Every read checks the shard's SHA-256."""

    folder: Path
    plan: Plan
    shards: tuple[Shard, ...]

    @property
    def present(self) -> tuple[int, ...]:
        """Which views it holds; a part of a store, made to be merged, may begin anywhere."""
        return tuple(sorted({shard.view for shard in self.shards}))

    @property
    def views(self) -> int:
        """How many views training can use: 0, 1, 2 ... without a gap."""
        return next((k for k, view in enumerate(self.present) if view != k), len(self.present))

    def view(self, view: int, images: ImageSet | None = None) -> "View":
        """One view, its shards checked; `images` checks that the pixels agree."""
        shards = sorted((one for one in self.shards if one.view == view), key=lambda one: one.start)
        kept = self.plan.embedding
        projection = read_projection(self.folder, kept.sha256) if kept else None
        return View(self.plan, [self._open(one, images) for one in shards], projection)

    def logits(self, view: int, images: ImageSet | None = None) -> Tensor:
        """The teacher's logits of all images in one view, up to a constant, float32 [N, C]."""
        return self.view(view, images).logits(np.arange(self.plan.samples))

    def verify(self, images: ImageSet | None = None) -> Iterator[Shard]:
        """Check every shard in turn (and with `images` every pixel); StoreError at the first that is wrong."""
        if self.plan.embedding:
            read_projection(self.folder, self.plan.embedding.sha256)
        for shard in self.shards:
            self._open(shard, images)
            yield shard

    def refuse_cut(self) -> None:
        """StoreError where a shard is not there or has another size than it should; quick, `verify` reads them."""
        for shard in self.shards:
            self._sized(shard)

    def payload_bytes(self) -> int:
        """Bytes per image and view, without headers."""
        return self.plan.payload(1)

    def check_data(self, images: ImageSet, view: ViewSpec, by_position: bool = False) -> None:
        """StoreError that names what differs between this store and the data and views that training wants to use.

        by_position: columns of a store without class names, or ids of theirs, are the data's classes in their order.
        """
        plan = self.plan
        if not plan.names and not by_position:
            raise StoreError(
                f"{self.folder} was made before stores held class names, so which column is which class is not known: "
                "make it again, or say --by-position if its teacher had the data's order"
            )
        if not by_position:
            plan.refuse_ids(images.ids, self.folder)
        for what, have, want in (
            ("classes", plan.classes, len(images.classes)),
            ("class names", plan.names or images.classes, images.classes),
            ("WordNet ids", plan.ids or images.ids, images.ids or (plan.ids if by_position else ())),
            ("samples", plan.samples, len(images)),
            ("data set fingerprint", plan.data_sha256, fingerprint(images)),
            ("view version", plan.view_version, views.VERSION),
            ("views", plan.view, view),
        ):
            if have != want:
                said = f"{what} = {safe(have, 200)}, not {safe(want, 200)}"
                raise StoreError(f"{self.folder} was made for {said}; use another --store")

    def _open(self, shard: Shard, images: ImageSet | None) -> Mapped:
        """A shard: its size, its hash, then what its tensors are, before anything is made of them."""
        path = self.path(shard)
        if images is not None:
            pixels = images.images[shard.start : shard.stop]
            if max(self.plan.view.shift, self.plan.view.shear, self.plan.view.cutout) > 2 * max(pixels.shape[1:3]):
                raise StoreError(f"{self.folder}: its views move images by more than their size; make the store again")
            if views.fingerprint(pixels, self.plan.view, shard.view, shard.start) != shard.view_sha256:
                raise StoreError(
                    f"{path}: the teacher saw other pixels than view {shard.view} gives here; make it again"
                )
        with one_line(f"{path} is damaged", StoreError, "remove it and make it again"):
            mapped = Mapped(path, self.plan.layout(shard.stop - shard.start))
            for part in mapped.parts():
                codec.refuse_unsound(mapped.take(part), self.plan.classes)
        return mapped

    def path(self, shard: Shard) -> Path:
        """A shard's file, of the size and the hash that the manifest names and inside the store's own folder."""
        path = self._sized(shard)
        with _reading(path), path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != shard.sha256:
            raise StoreError(f"{path} is damaged (SHA-256 differs from the manifest's); remove it and make it again")
        return path

    def _sized(self, shard: Shard) -> Path:
        path = self.folder / shard.file
        with _reading(path):
            if not path.resolve().is_relative_to(self.folder.resolve()) or not path.is_file():
                raise StoreError(f"cannot read {path}: no file of this store; make the store again")
            if (size := path.stat().st_size) != shard.bytes:
                raise StoreError(f"{path} is damaged ({size} bytes, not {shard.bytes}, and another SHA-256); "
                                 "remove it and make it again")  # fmt: skip
        return path


class View:
    """What a teacher said of every image in one view. Rows are read and decoded when they are asked for."""

    def __init__(self, plan: Plan, shards: Sequence[Mapped], projection: Projection | None) -> None:
        self._plan, self._shards, self.projection = plan, shards, projection

    def logits(self, index: NDArray[np.int64]) -> Tensor:
        """The answers to these images, up to a constant: int64 [B] -> float32 [B, C]."""
        plan = self._plan
        return self._rows(index, plan.classes, lambda kept: codec.decode(kept, plan.encoding, plan.classes))

    def embedding(self, index: NDArray[np.int64]) -> Tensor:
        """Components of the embeddings of these images: int64 [B] -> float32 [B, d]. See `Projection`."""
        projection = self.projection
        assert projection is not None
        return self._rows(index, projection.dims, lambda kept: projection.decode(kept[EMBEDDING]))

    def _rows(self, index: NDArray[np.int64], width: int, decoded: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
        found = torch.empty(len(index), width)
        which = index // self._plan.shard
        for shard in np.unique(which):
            rows = np.flatnonzero(which == shard)
            for part in np.array_split(rows, max(1, -(-len(rows) // AT_ONCE))):
                found[part] = decoded(self._shards[shard].take(index[part] % self._plan.shard))
        return found


def open_store(folder: Path) -> Store:
    """Read a store's manifest. StoreError where there is none or it is damaged."""
    if not (folder / MANIFEST).is_file():
        raise StoreError(f"no complete store at {folder} (it has no {MANIFEST}); run training.store build again")
    return Store(folder, *read_document(folder / MANIFEST))


def merge(folder: Path, parts: Sequence[Store]) -> Store:
    """Put the shards of stores of one plan into one, each under the name that the store gives it, and seal it."""
    plan = parts[0].plan
    if plan.embedding:
        read_projection(parts[0].folder, plan.embedding.sha256)
        write_projection(folder, (parts[0].folder / PROJECTION).read_bytes())
    for part in parts:
        plan.refuse(part.plan, part.folder)
        for shard in part.verify():
            target = folder / shard.file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.parent.resolve().is_relative_to(folder.resolve()):
                raise StoreError(f"{target.parent} leads out of {folder}; use another folder")
            if not target.exists():
                write_atomic(target, part.path(shard).read_bytes())
            elif hashlib.sha256(target.read_bytes()).hexdigest() != shard.sha256:
                raise StoreError(f"{target} is there and differs from {part.folder / shard.file}; merge what one "
                                 "teacher said on one machine, or remove one of them")  # fmt: skip
    return seal(folder, plan, {view for part in parts for view in part.present})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to one another
        reason = getattr(error, "strerror", None) or "its links lead nowhere"
        raise StoreError(f"cannot read {path}: {reason}; make the store again") from error


def _header(path: Path) -> _Header:
    with safe_open(path, "pt") as file:
        return decode(_Header, json.loads((file.metadata() or {})["semlink"]), "header")


def _payload(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _arrays(tensors: dict[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}
