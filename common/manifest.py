"""A model pair on disk: two safetensors files and a manifest; the manifest's SHA-256 is the model id.

Knows nothing about networks, sockets or data sets; imports torch only to hand out weights.

    DIRECTORY/encoder.safetensors     transmitter half
    DIRECTORY/decoder.safetensors     receiver half
    DIRECTORY/manifest.json           written last: without it there is no pair
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.errors import ConfigError, ModelError
from common.phy.constellation import ORDERS
from common.phy.layout import Layout

if TYPE_CHECKING:
    import torch

Half = Literal["encoder", "decoder"]
SCHEMA = 1
MANIFEST = "manifest.json"
OPTIONAL = {"calibration", "content"}
"""Fields that a pair may do without."""
SHIPPED = Path(__file__).parent / "pairs"
"""Folder of the pairs that come with the project, one folder per name."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What the encoder expects: uint8 [height, width, channels], then (pixel/255 - mean)/std per channel.

    A photograph of another size is cropped at its centre to the same aspect ratio and resized bicubically.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.channels not in (1, 3) or min(self.height, self.width) < 1:
            raise ModelError(f"no image is {self.height} x {self.width} x {self.channels}; channels are 1 or 3")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ModelError(f"mean and std need {self.channels} numbers each: {self.mean}, {self.std}")


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """Transmitter: a plain 3x3 ResNet of three stages (width, 2 width, 4 width), `blocks` residual blocks each."""

    width: int = 16
    blocks: int = 1
    stem_stride: int = 1
    adaptive: bool = True


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Receiver: a residual MLP of `blocks` blocks, `hidden` wide, ending in an embedding."""

    hidden: int = 128
    blocks: int = 2
    embedding: int = 64


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Validation accuracy of rate k at instantaneous SNR g, with pilots and estimated CSI.

    snr_db: dB, ascending [G]; acc: 0..1 [K][G], made monotone in SNR (running maximum of a 3-point mean);
    clean: 0..1, without noise, full ladder.
    """

    snr_db: tuple[float, ...]
    acc: tuple[tuple[float, ...], ...]
    clean: float

    def __post_init__(self) -> None:
        if not self.acc or any(len(row) != len(self.snr_db) for row in self.acc):
            raise ModelError(f"each row of the accuracy table needs {len(self.snr_db)} entries, one per SNR")
        if sorted(self.snr_db) != list(self.snr_db) or len(self.snr_db) < 2:
            raise ModelError("the SNR grid of the accuracy table must ascend and have at least 2 entries")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperatures by which logits are divided before the softmax, fitted on validation data.

    temperature: [K][len(edges_db) + 1], by rate and by the mean SNR of the received symbols; edges_db: dB, ascending.
    """

    edges_db: tuple[float, ...]
    temperature: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.edges_db) + 1 for row in self.temperature):
            raise ModelError(
                f"each row of the calibration needs {len(self.edges_db) + 1} temperatures, one per SNR bin"
            )
        if sorted(self.edges_db) != list(self.edges_db):
            raise ModelError(f"the SNR bins of the calibration must ascend: {self.edges_db}")
        if not all(0.01 <= value <= 100.0 for row in self.temperature for value in row):
            raise ModelError("a temperature of the calibration is outside 0.01 to 100")


@dataclass(frozen=True, slots=True)
class ContentShape:
    """Head that tells easy images from hard ones: `hidden` units, `groups`, whose tables are at these SNRs in dB."""

    hidden: int
    groups: int
    snr_db: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = len(self.snr_db) > 1 and sorted(set(self.snr_db)) == list(self.snr_db)
        if self.hidden < 1 or self.groups < 1 or not rising:
            raise ModelError(f"the content head needs hidden units, groups and 2 SNRs or more that ascend: {self}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that both ends must know about a pair. `id` is the SHA-256 of the canonical manifest bytes."""

    name: str
    path: Path
    id: str
    layout: Layout
    order: int
    preprocess: Preprocess
    dataset: str
    labels: tuple[str, ...]
    tasks: tuple[str, ...]
    encoder: EncoderShape
    decoder: DecoderShape
    accuracy: Accuracy
    provenance: Mapping[str, str]
    sha256: Mapping[str, str]
    calibration: Calibration | None = None
    """None: none was fitted, confidence is the softmax of the logits as they are."""
    content: ContentShape | None = None
    """None: the encoder's file has no head that tells easy images from hard ones."""

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ModelError(f"QAM order {self.order} is not one of {ORDERS}")
        if len(self.accuracy.acc) != len(self.layout.increments):
            have, need = len(self.accuracy.acc), len(self.layout.increments)
            raise ModelError(f"the accuracy table has {have} rates, not {need}")
        if set(self.sha256) != {"encoder", "decoder"}:
            raise ModelError("the manifest must hold the SHA-256 of encoder and decoder")
        if self.calibration is not None and len(self.calibration.temperature) != len(self.layout.increments):
            have, need = len(self.calibration.temperature), len(self.layout.increments)
            raise ModelError(f"the calibration has {have} rates, not {need}")


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one byte string of a manifest document: JSON, keys sorted, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def shipped_pairs() -> tuple[str, ...]:
    """Names that `find_pair` knows without a path."""
    return tuple(sorted(found.parent.name for found in SHIPPED.glob(f"*/{MANIFEST}")))


def find_pair(name_or_dir: str | Path) -> Manifest:
    """Read the manifest of a shipped pair (by name) or of a directory. ConfigError where there is none."""
    text = str(name_or_dir)
    for folder in (SHIPPED / text if text in shipped_pairs() else None, user_path(text)):
        if folder is not None and (folder / MANIFEST).is_file():
            return read_manifest(folder)
    known = ", ".join(shipped_pairs()) or "none"
    raise ConfigError(f"no model pair '{text}': give a directory with a {MANIFEST}, or a shipped name ({known})")


def user_path(text: str) -> Path:
    """A path as it was typed, `~` and `~USER` put in full. ConfigError where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text}: there is no such user here") from None


def read_manifest(folder: Path) -> Manifest:
    """Read and check FOLDER/manifest.json. ModelError says what is wrong with it."""
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_bytes())
        if document.pop("schema") != SCHEMA:
            raise ModelError(f"another schema than {SCHEMA}: it needs another version of semlink")
        return _from_document(document, folder)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise ModelError(f"{path} is damaged ({detail}); restore or train the pair again") from error


def read_half(manifest: Manifest, half: Half) -> bytes:
    """The file of one half. ModelError where it is not the one that the manifest names."""
    path = manifest.path / f"{half}.safetensors"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(raw).hexdigest() != manifest.sha256[half]:
        raise ModelError(f"{path} is not the file its manifest names (SHA-256 differs); restore or train it again")
    return raw


def load_half(manifest: Manifest, half: Half) -> dict[str, "torch.Tensor"]:
    """Weights of one half by name; raises as `read_half`."""
    from safetensors.torch import load

    tensors: dict[str, torch.Tensor] = load(read_half(manifest, half))
    return tensors


def write_pair(folder: Path, document: Mapping[str, Any], encoder: bytes, decoder: bytes) -> Manifest:
    """Write a pair so that a crash leaves the old one, the new one or none, but no mixture: the manifest comes last.

    document: the fields of `Manifest` but `path`, `id` and `sha256`, and those of OPTIONAL that there are; both halves:
    safetensors bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halves = {"encoder": encoder, "decoder": decoder}
    full = _plain({**document, "sha256": {half: hashlib.sha256(raw).hexdigest() for half, raw in halves.items()}})
    manifest = _from_document(json.loads(canonical(full)), folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    for left in folder.glob(".*.tmp"):  # by a write that was killed
        left.unlink()
    for half, raw in halves.items():
        write_atomic(folder / f"{half}.safetensors", raw)
    text = json.dumps({"schema": SCHEMA, **full}, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomic(folder / MANIFEST, text.encode() + b"\n")
    return manifest


def write_atomic(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all: temporary file beside it, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: asdict(value) if hasattr(value, "__dataclass_fields__") else value for key, value in document.items()}


def _from_document(document: Mapping[str, Any], folder: Path) -> Manifest:
    known = {field.name for field in fields(Manifest)} - {"path", "id"}
    if wrong := (set(document) ^ known) - OPTIONAL:
        raise ModelError(f"fields missing or unknown: {', '.join(sorted(wrong))}")
    table = document["accuracy"]
    image = document["preprocess"]
    fitted, head = document.get("calibration"), document.get("content")
    return Manifest(
        name=str(document["name"]),
        path=folder,
        id=hashlib.sha256(canonical(document)).hexdigest(),
        layout=Layout(**{**document["layout"], "increments": tuple(document["layout"]["increments"])}),
        order=int(document["order"]),
        preprocess=Preprocess(**{**image, "mean": tuple(image["mean"]), "std": tuple(image["std"])}),
        dataset=str(document["dataset"]),
        labels=tuple(document["labels"]),
        tasks=tuple(document["tasks"]),
        encoder=EncoderShape(**document["encoder"]),
        decoder=DecoderShape(**document["decoder"]),
        accuracy=Accuracy(tuple(table["snr_db"]), tuple(map(tuple, table["acc"])), float(table["clean"])),
        provenance=dict(document["provenance"]),
        sha256=dict(document["sha256"]),
        calibration=None if fitted is None else _calibration(fitted),
        content=None if head is None else _content(head),
    )


def _content(head: Mapping[str, Any]) -> ContentShape:
    return ContentShape(int(head["hidden"]), int(head["groups"]), tuple(map(float, head["snr_db"])))


def _calibration(fitted: Mapping[str, Any]) -> Calibration:
    return Calibration(tuple(map(float, fitted["edges_db"])), tuple(map(tuple, fitted["temperature"])))
