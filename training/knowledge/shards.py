"""The knowledge store on disk: a teacher's outputs on every view, so that training never runs the teacher again.

Knows nothing about networks or how the outputs were computed.

    STORE/v0000/s00000000-00050000.safetensors   one shard per (view, range of samples)
    STORE/manifest.json                          written last: without it there is no store

A shard's header names the plan it belongs to and hashes its own payload and the pixels that the teacher saw, so work
that was killed is taken up again. The manifest holds each shard's SHA-256, checked at every read: safetensors loads a
flipped bit in silence.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from common.errors import StoreError
from common.files import write_atomic, write_json
from common.images.datasets import ImageSet
from common.pair.manifest import canonical
from common.typed import decode
from training.data import views
from training.data.foreign import one_line
from training.data.images import fingerprint
from training.knowledge import encoding as codec
from training.knowledge.plan import SCHEMA, Plan, Shard, read_document, shard_path
from training.recipes.specs import ViewSpec

__all__ = [
    "MANIFEST",
    "Store",
    "finished",
    "merge",
    "open_store",
    "seal",
    "write_shard",
]  # fmt: skip
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class _Header:
    """What a shard says of itself."""

    plan: str
    view_sha256: str
    payload_sha256: str


def write_shard(folder: Path, plan: Plan, view: int, start: int, logits: Tensor, view_sha256: str) -> None:
    """Write one shard whole or not at all. logits: float32 [n, C] of samples start..start+n-1."""
    tensors = codec.encode(logits, plan.encoding)
    header = asdict(_Header(plan.id, view_sha256, _payload(tensors)))
    # One entry: safetensors writes several in an order of its own, another in each process.
    metadata = {"semlink": canonical(header).decode()}
    path = folder / shard_path(view, start, start + len(logits))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save(tensors, metadata=metadata))


def finished(folder: Path, plan: Plan, view: int, start: int, stop: int) -> bool:
    """True where a whole shard of this plan exists; a damaged one counts as missing, another plan's is refused."""
    path = folder / shard_path(view, start, stop)
    if not path.is_file():
        return False
    try:
        header = _header(path)
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
        return False
    if header.plan != plan.id:
        raise StoreError(
            f"{path} belongs to another plan (data set, teacher or views); use another --store or remove it"
        )
    return header.payload_sha256 == _payload(tensors)


def seal(folder: Path, plan: Plan, which: Iterable[int]) -> "Store":
    """Check that all shards of these views are there, hash them and write the manifest; clear what a kill left."""
    for left in folder.glob("v*/.*.tmp"):
        left.unlink()
    shards = []
    for view in sorted(which):
        for start, stop in plan.ranges():
            name = shard_path(view, start, stop)
            if not finished(folder, plan, view, start, stop):
                raise StoreError(f"{folder / name} is missing or damaged; run the same command again to make it")
            raw = (folder / name).read_bytes()
            seen = _header(folder / name).view_sha256
            shards.append(Shard(name, view, start, stop, len(raw), hashlib.sha256(raw).hexdigest(), seen))
    lines = [asdict(shard) for shard in shards]
    document = {"schema": SCHEMA if plan.names else 1, "plan": plan.document(), "shards": lines}
    write_json(folder / MANIFEST, document)
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

    def logits(self, view: int, images: ImageSet | None = None) -> Tensor:
        """The teacher's logits of one view, up to a constant, float32 [N, C]; `images` checks that the pixels agree."""
        plan = self.plan
        return torch.cat(
            [codec.decode(self._read(shard, images), plan.encoding, plan.classes) for shard in self._of(view)]
        )

    def verify(self, images: ImageSet | None = None) -> Iterator[Shard]:
        """Check every shard in turn (and with `images` every pixel); StoreError at the first that is wrong."""
        for shard in self.shards:
            self._read(shard, images)
            yield shard

    def payload_bytes(self) -> int:
        """Bytes per image and view, without headers."""
        return codec.payload(self.plan.encoding, 1, self.plan.classes)

    def check_data(self, images: ImageSet, view: ViewSpec, by_position: bool = False) -> None:
        """StoreError that names what differs between this store and the data and views that training wants to use.

        by_position: columns of a store without class names are the data's classes in their order.
        """
        plan = self.plan
        if not plan.names and not by_position:
            raise StoreError(
                f"{self.folder} was made before stores held class names, so which column is which class is not known: "
                "make it again, or say --by-position if its teacher had the data's order"
            )
        for what, have, want in (
            ("classes", plan.classes, len(images.classes)),
            ("class names", plan.names or images.classes, images.classes),
            ("samples", plan.samples, len(images)),
            ("data set fingerprint", plan.data_sha256, fingerprint(images)),
            ("view version", plan.view_version, views.VERSION),
            ("views", plan.view, view),
        ):
            if have != want:
                raise StoreError(f"{self.folder} was made for {what} = {have}, not {want}; use another --store")

    def _of(self, view: int) -> list[Shard]:
        return [shard for shard in self.shards if shard.view == view]

    def _read(self, shard: Shard, images: ImageSet | None) -> dict[str, Tensor]:
        """What a shard holds: its size, its hash, then what its tensors are, before anything is made of them."""
        path, raw = self.folder / shard.file, self.raw(shard)
        if images is not None:
            pixels = images.images[shard.start : shard.stop]
            if max(self.plan.view.shift, self.plan.view.shear, self.plan.view.cutout) > 2 * max(pixels.shape[1:3]):
                raise StoreError(f"{self.folder}: its views move images by more than their size; make the store again")
            if views.fingerprint(pixels, self.plan.view, shard.view, shard.start) != shard.view_sha256:
                raise StoreError(
                    f"{path}: the teacher saw other pixels than view {shard.view} gives here; make it again"
                )
        with one_line(f"{path} is damaged", StoreError, "remove it and make it again"):
            tensors: dict[str, Tensor] = load(raw)
            codec.refuse_unsound(tensors, self.plan.encoding, shard.stop - shard.start, self.plan.classes)
        return tensors

    def raw(self, shard: Shard) -> bytes:
        """A shard's file, of the size and the hash that the manifest names and inside the store's own folder."""
        path = self.folder / shard.file
        try:
            if not path.resolve().is_relative_to(self.folder.resolve()) or not path.is_file():
                raise StoreError(f"cannot read {path}: no file of this store; make the store again")
            if (size := path.stat().st_size) != shard.bytes:
                raise StoreError(f"{path} is damaged ({size} bytes, not {shard.bytes}, and another SHA-256); "
                                 "remove it and make it again")  # fmt: skip
            raw = path.read_bytes()
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to one another
            reason = getattr(error, "strerror", None) or "its links lead nowhere"
            raise StoreError(f"cannot read {path}: {reason}; make the store again") from error
        if hashlib.sha256(raw).hexdigest() != shard.sha256:
            raise StoreError(f"{path} is damaged (SHA-256 differs from the manifest's); remove it and make it again")
        return raw


def open_store(folder: Path) -> Store:
    """Read a store's manifest. StoreError where there is none or it is damaged."""
    if not (folder / MANIFEST).is_file():
        raise StoreError(f"no complete store at {folder} (it has no {MANIFEST}); run training.store build again")
    return Store(folder, *read_document(folder / MANIFEST))


def merge(folder: Path, parts: Sequence[Store]) -> Store:
    """Put the shards of stores of one plan into one, each under the name that the store gives it, and seal it."""
    plan = parts[0].plan
    for part in parts:
        plan.refuse(part.plan, part.folder)
        for shard in part.verify():
            target = folder / shard.file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.parent.resolve().is_relative_to(folder.resolve()):
                raise StoreError(f"{target.parent} leads out of {folder}; use another folder")
            if not target.exists():
                write_atomic(target, part.raw(shard))
            elif hashlib.sha256(target.read_bytes()).hexdigest() != shard.sha256:
                raise StoreError(f"{target} is there and differs from {part.folder / shard.file}; merge what one "
                                 "teacher said on one machine, or remove one of them")  # fmt: skip
    return seal(folder, plan, {view for part in parts for view in part.present})


def _header(path: Path) -> _Header:
    with safe_open(path, "pt") as file:
        return decode(_Header, json.loads((file.metadata() or {})["semlink"]), "header")


def _payload(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
