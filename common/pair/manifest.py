"""A model pair on disk: two safetensors files and a manifest; the manifest's SHA-256 is the model id.

Knows nothing about networks, sockets or data sets; what is in the files of weights is read by `halves.py`.

    DIRECTORY/encoder.safetensors     transmitter half
    DIRECTORY/decoder.safetensors     receiver half
    DIRECTORY/manifest.json           written last: without it there is no pair
    DIRECTORY/NAME.onnx               made of these later, not needed, no part of the id (`graphs.py`)
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from common.console import tell
from common.errors import ConfigError, ModelError
from common.files import user_path, write_atomic
from common.flags import was_said
from common.pair.agreement import Agreement
from common.pair.shapes import Accuracy, EncoderShape, WordTable, without_default_kind
from common.phy.constellation import ORDERS
from common.text import safe
from common.typed import decode, parse

Half = Literal["encoder", "decoder"]
SCHEMA = 2
MANIFEST = "manifest.json"
LARGEST_MANIFEST, LARGEST_HALF = 4 << 20, 256 << 20
"""Bytes of the files of a pair that are read at all."""
MOST_FEATURES = 16_384
SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the pairs that come with the project, one folder per name."""
NEW = ".new.tmp"
"""Folder in that of a pair in which the next one is written."""
FILES = (MANIFEST, "encoder.safetensors", "decoder.safetensors")
MORE_FILES = ("space.safetensors", "*.onnx", "README.md")
"""What a pair is made of, and what may lie beside it: this goes to the Hub and comes from there."""


@dataclass(frozen=True, slots=True)
class Manifest(Agreement):
    """Everything that both ends must know about a pair. `id` is the SHA-256 of the canonical manifest bytes."""

    accuracy: Accuracy
    path: Path
    order: int
    dataset: str
    encoder: EncoderShape
    features: int
    """Numbers that the encoder gives beside its decision, and the receiver estimates."""
    words: WordTable
    provenance: Mapping[str, str]
    sha256: Mapping[str, str]

    def __post_init__(self) -> None:
        Agreement.__post_init__(self)  # not super(): slots make the class anew
        self.layout.require_pilots()
        if len(self.provenance) > 1000:
            raise ModelError(f"it has {len(self.provenance)} notes on where it comes from, and 1000 are the most")
        if self.order not in ORDERS:
            raise ModelError(f"QAM order {self.order} is not one of {ORDERS}")
        if set(self.sha256) != {"encoder", "decoder"}:
            raise ModelError("the manifest must hold the SHA-256 of encoder and decoder")
        if not 1 <= self.features <= MOST_FEATURES:
            raise ModelError(f"its encoder gives {self.features} features, not 1 to {MOST_FEATURES}")
        if len(self.words.right) != self.layout.max_symbols:
            have, need = len(self.words.right), self.layout.max_symbols
            raise ModelError(f"the table of words has {have} lengths, not {need}")


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one byte string of a manifest document: JSON, keys sorted, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def shipped_pairs() -> tuple[str, ...]:
    """Names that `find_pair` knows without a path."""
    return tuple(sorted(found.parent.name for found in SHIPPED.glob(f"*/{MANIFEST}")))


def find_pair(name_or_dir: str | Path) -> Manifest:
    """Read the manifest of a shipped pair (by name), of a directory, or of one on the Hub (OWNER/NAME[@REVISION]).

    ConfigError where there is none; ModelError where what came from the Hub is not what its manifest says.
    """
    text = str(name_or_dir)
    own, shipped = user_path(text), SHIPPED / text if text in shipped_pairs() else None
    with suppress(OSError):  # where nothing can be written, there is none
        settle(own)
    if shipped is not None and (own / MANIFEST).is_file() and _differ(own / MANIFEST, shipped / MANIFEST):
        if isinstance(name_or_dir, Path):
            shipped = None
        elif was_said(text, "model", "pair"):
            raise ConfigError(
                f"'{text}' is a pair that ships, and a folder here is another: say ./{text} for the folder, {shipped} "
                "for the pair that ships"
            )
        else:
            _tell(f"note: '{text}' is the pair that ships; the folder here is another: ./{text}")
    for folder in (shipped, own):
        if folder is not None and (folder / MANIFEST).is_file():
            return read_manifest(folder)
    from common.hub.snapshot import fetched, is_repository, place_of

    if is_repository(text):
        manifest = read_manifest(fetched(text, FILES, MORE_FILES, 2 * LARGEST_HALF))
        try:
            for half in get_args(Half):
                read_half(manifest, half)
        except ModelError as error:
            told, again = str(error).partition(";")[0], place_of(manifest.path)
            raise ModelError(
                f"{told}; remove {again} and it is fetched anew, and if it is refused then, too, tell who published it"
            ) from error
        return manifest
    known = ", ".join(shipped_pairs()) or "none"
    raise ConfigError(
        f"no model pair '{text}': give a directory with a {MANIFEST}, a shipped name ({known}) or OWNER/NAME of the Hub"
    )


@cache
def _tell(line: str) -> None:
    """Once."""
    tell(line)


def _differ(one: Path, other: Path) -> bool:
    return read_file(one, LARGEST_MANIFEST) != read_file(other, LARGEST_MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Read and check FOLDER/manifest.json, whoever wrote it. ModelError says what is wrong with it."""
    path = folder / MANIFEST
    try:
        document = parse(read_file(path, LARGEST_MANIFEST))
        if not isinstance(document, dict):
            raise ValueError("it is no object")
        schema = document.pop("schema", None)
        if schema == 1:
            how = f"python -m training.convert --pair {folder} --dataset DATA --out NEW"
            raise ModelError(f"a pair of before words and features; {how} makes a new one of its encoder")
        if schema != SCHEMA:
            raise ModelError(f"another schema than {SCHEMA}: it needs another version of semlink")
        return _from_document(document, folder)
    except ModelError as error:
        raise ModelError(f"{path}: {safe(error, 300)}") from error
    except (ConfigError, ValueError, OverflowError) as error:
        raise ModelError(f"{path} is damaged ({_one_line(error)}); restore or train the pair again") from error


def read_half(manifest: Manifest, half: Half) -> bytes:
    """The file of one half. ModelError where it is not the one that the manifest names."""
    path = manifest.path / f"{half}.safetensors"
    raw = read_file(path, LARGEST_HALF)
    if hashlib.sha256(raw).hexdigest() != manifest.sha256[half]:
        raise ModelError(f"{path} is not the file its manifest names (SHA-256 differs); restore or train it again")
    return raw


def write_pair(folder: Path, document: Mapping[str, Any], encoder: bytes, decoder: bytes) -> Manifest:
    """Write a pair so that a crash leaves the old one or the new one, but no mixture: all of it lies there before the
    old one goes, and who looks for it after a crash has what was left to do done (`find_pair`).

    document: the fields of `Manifest` but `path`, `id` and `sha256`; both halves: safetensors bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halves = {"encoder": encoder, "decoder": decoder}
    full = _plain({**document, "sha256": {half: hashlib.sha256(raw).hexdigest() for half, raw in halves.items()}})
    manifest = _from_document(json.loads(canonical(full)), folder)
    text = json.dumps({"schema": SCHEMA, **full}, indent=1, sort_keys=True, ensure_ascii=False)
    files = {**{f"{half}.safetensors": raw for half, raw in halves.items()}, MANIFEST: text.encode() + b"\n"}
    beside = folder / NEW
    shutil.rmtree(beside, ignore_errors=True)
    for left in folder.glob(".*.tmp"):  # by a write that was killed
        left.unlink()
    beside.mkdir()
    for name, raw in files.items():
        write_atomic(beside / name, raw)
    for old in [*folder.glob("*.onnx"), folder / MANIFEST]:  # graphs of other weights; from here on the new one counts
        old.unlink(missing_ok=True)
    settle(folder)
    return manifest


def settle(folder: Path) -> None:
    """Where there is no pair any more, what lies whole in NEW takes its place; a move that was cut short ends so."""
    beside = folder / NEW
    if (folder / MANIFEST).is_file() or not (beside / MANIFEST).is_file():  # which was written last, and goes last
        return
    for name in (*FILES[1:], MANIFEST):  # another process may be doing the same
        with suppress(FileNotFoundError):
            (beside / name).replace(folder / name)
    with suppress(OSError):
        beside.rmdir()


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: asdict(value) if hasattr(value, "__dataclass_fields__") else value for key, value in document.items()}
    return {key: without_default_kind(value) if key == "encoder" else value for key, value in plain.items()}


def _from_document(document: Mapping[str, Any], folder: Path) -> Manifest:
    hints = get_type_hints(Manifest)
    known = {field.name for field in fields(Manifest)} - {"path", "id"}
    if wrong := set(document) ^ known:
        raise ModelError(f"fields missing or unknown: {', '.join(sorted(safe(one, 40) for one in wrong)[:10])}")
    values = {key: decode(hints[key], value, key) for key, value in document.items()}
    return Manifest(path=folder, id=hashlib.sha256(canonical(document)).hexdigest(), **values)


def read_file(path: Path, most: int) -> bytes:
    """A regular file of at most so many bytes; ModelError for anything else. A pipe is not waited for."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ModelError(f"{path} is no regular file")
            if found.st_size > most:
                raise ModelError(f"{path} has {found.st_size >> 20} MiB, and {most >> 20} are the most")
            return file.read(found.st_size)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def _one_line(error: BaseException) -> str:
    return safe(" ".join(str(error).split()), 200) or type(error).__name__
