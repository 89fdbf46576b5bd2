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
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from common.errors import StoreError
from common.images.datasets import ImageSet
from common.manifest import canonical, write_atomic
from training import encoding as codec
from training import views
from training.views import ViewSpec

SCHEMA = 2
"""1, still read, had no class names."""
MANIFEST = "manifest.json"
SHARD = 50_000
"""Samples per shard."""


@dataclass(frozen=True, slots=True)
class TeacherId:
    """Which teacher, in enough detail to refuse another one."""

    name: str
    sha256: str
    preprocess: str
    dtype: str


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

    @property
    def id(self) -> str:
        return hashlib.sha256(canonical(self.document())).hexdigest()

    def document(self) -> dict[str, Any]:
        """As a manifest holds it."""
        plain = asdict(self)
        return plain if self.names else {key: value for key, value in plain.items() if key != "names"}

    def ranges(self) -> list[tuple[int, int]]:
        """Sample ranges of one view's shards."""
        return [(start, min(start + self.shard, self.samples)) for start in range(0, self.samples, self.shard)]

    def refuse(self, other: "Plan", where: Path) -> None:
        """StoreError that names the first field in which `other`, found at `where`, is not this plan."""
        for key, mine in asdict(self).items():
            theirs = asdict(other)[key]
            if isinstance(mine, dict):
                key, mine, theirs = next(
                    ((f"{key}.{k}", mine[k], theirs[k]) for k in mine if mine[k] != theirs[k]), (key, 0, 0)
                )
            if mine != theirs:
                raise StoreError(f"{where} was made for {key} = {theirs}, not {mine}; use another --store or remove it")


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


def fingerprint(images: ImageSet) -> str:
    """SHA-256 of a data set's pixels, labels and class names."""
    digest = hashlib.sha256(images.images.tobytes())
    digest.update(images.labels.astype("<i8").tobytes())
    digest.update(json.dumps([list(images.images.shape), images.classes]).encode())
    return digest.hexdigest()


def shard_path(view: int, start: int, stop: int) -> str:
    """Path of a shard inside its store."""
    return f"v{view:04d}/s{start:08d}-{stop:08d}.safetensors"


def write_shard(folder: Path, plan: Plan, view: int, start: int, logits: Tensor, view_sha256: str) -> None:
    """Write one shard whole or not at all. logits: float32 [n, C] of samples start..start+n-1."""
    tensors = codec.encode(logits, plan.encoding)
    header = {"plan": plan.id, "view_sha256": view_sha256, "payload_sha256": _payload(tensors)}
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
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["semlink"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, KeyError, ValueError):
        return False
    if header.get("plan") != plan.id:
        raise StoreError(
            f"{path} belongs to another plan (data set, teacher or views); use another --store or remove it"
        )
    return header.get("payload_sha256") == _payload(tensors)


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
            with safe_open(folder / name, "pt") as file:
                seen = json.loads(file.metadata()["semlink"])["view_sha256"]
            shards.append(Shard(name, view, start, stop, len(raw), hashlib.sha256(raw).hexdigest(), seen))
    lines = [asdict(shard) for shard in shards]
    document = {"schema": SCHEMA if plan.names else 1, "plan": plan.document(), "shards": lines}
    write_atomic(folder / MANIFEST, json.dumps(document, indent=1).encode() + b"\n")
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
        return torch.cat([self._read(shard, images) for shard in self._of(view)])

    def verify(self, images: ImageSet | None = None) -> Iterator[Shard]:
        """Check every shard in turn (and with `images` every pixel); StoreError at the first that is wrong."""
        for shard in self.shards:
            self._read(shard, images)
            yield shard

    def payload_bytes(self) -> float:
        """Bytes per image and view, without headers."""
        first = self.shards[0]
        return codec.bytes_per_row(load((self.folder / first.file).read_bytes()))

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

    def _read(self, shard: Shard, images: ImageSet | None) -> Tensor:
        path = self.folder / shard.file
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}; make the store again") from error
        if hashlib.sha256(raw).hexdigest() != shard.sha256:
            raise StoreError(f"{path} is damaged (SHA-256 differs from the manifest's); remove it and make it again")
        if images is not None:
            pixels = images.images[shard.start : shard.stop]
            if views.fingerprint(pixels, self.plan.view, shard.view, shard.start) != shard.view_sha256:
                raise StoreError(
                    f"{path}: the teacher saw other pixels than view {shard.view} gives here; make it again"
                )
        return codec.decode(load(raw), self.plan.encoding, self.plan.classes)


def open_store(folder: Path) -> Store:
    """Read a store's manifest. StoreError where there is none or it is damaged."""
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] not in (1, SCHEMA):
            raise StoreError(f"{path} has another schema than {SCHEMA}; make the store again")
        shards = tuple(Shard(**shard) for shard in document["shards"])
        return Store(folder, _plan(document["plan"]), shards)
    except OSError as error:
        raise StoreError(f"no complete store at {folder} ({error.strerror}); run training.store build again") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{path} is damaged ({type(error).__name__}: {error}); make the store again") from error


def _plan(document: dict[str, Any]) -> Plan:
    return Plan(**{**document, "teacher": TeacherId(**document["teacher"]), "view": ViewSpec(**document["view"]),
                   "names": tuple(document.get("names", ()))})  # fmt: skip


def _payload(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
