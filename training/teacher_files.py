"""A teacher's folder, judged before anything is built of it: its kind, its weights, and whether they are all there.

Knows nothing about pixels, class names or stores. A folder is what `save_pretrained` writes: config.json, whose
`architectures` says what it is, and safetensors weights. No code of a folder is run and no pickle is read.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from common.errors import ConfigError, ModelError
from common.manifest import user_path
from training.columns import shown
from training.foreign import one_line, read_json, refuse_pointer, tensor_shapes

Kind = Literal["classifier", "zero-shot"]
WANTED = "a teacher is a ...ForImageClassification or a CLIP-style model of `transformers`, saved with save_pretrained"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
DEEPEST = 1000
"""Layers that a configuration may claim beyond one for each tensor of the file."""
HEADS = ("classifier", "cls_classifier", "distillation_classifier", "head", "fc")
BOOKKEEPING = re.compile(r"(position_ids|relative_position_index|num_batches_tracked|attn_mask)$")
"""Buffers that old checkpoints hold and that say nothing."""


@dataclass(frozen=True, slots=True)
class TeacherFolder:
    """spec: as it was typed; sha256: of config.json and the weights."""

    spec: str
    path: Path
    kind: Kind
    architecture: str
    sha256: str
    config: Any
    """The configuration object of `transformers`."""
    tensors: dict[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        """The folder's own name, or the Hub id."""
        return self.path.resolve().name if user_path(self.spec).is_dir() else self.spec

    @property
    def channels(self) -> int:
        """Channels of a picture, 1 or 3."""
        vision = getattr(self.config, "vision_config", self.config)
        return int(getattr(vision, "num_channels", 3) or 3)


def read_folder(spec: str) -> TeacherFolder:
    """ConfigError where there is no such folder or it is no teacher, ModelError where a file of it is wrong."""
    folder = find_folder(spec)
    if (folder / "adapter_config.json").is_file():
        raise ConfigError(f"{folder} is an adapter of another model: merge them (peft: merge_and_unload) and save that")
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} is no teacher: it has no config.json as `save_pretrained` writes it")
    document = read_json(folder / "config.json", ModelError, "save the teacher again with save_pretrained")
    kind, architecture = _kind(document, folder)
    tensors = _tensors(folder)
    _refuse_claims(document, folder, tensors)
    config = _config(folder)
    if (channels := getattr(getattr(config, "vision_config", config), "num_channels", 3)) not in (1, 3):
        raise ModelError(
            f"{folder / 'config.json'}: its network takes {str(channels)[:20]} channels; pictures have 1 or 3"
        )
    return TeacherFolder(spec, folder, kind, architecture, _digest(folder), config, tensors)


def find_folder(spec: str) -> Path:
    """The local folder of a teacher; a Hub id is fetched (or found in the cache) first."""
    if not spec or "\0" in spec:
        raise ConfigError("no teacher is named between two commas: give a folder or a Hub id OWNER/NAME")
    folder = user_path(spec)
    try:
        if folder.is_dir():
            next(folder.iterdir(), None)  # a folder that may not be read
            return folder
        is_file = folder.exists()
    except OSError as error:
        raise ConfigError(f"cannot read teacher {folder}: {error.strerror}") from error
    if is_file:
        raise ConfigError(f"teacher {folder} is a file: give the folder that holds it, with its config.json")
    if spec.count("/") != 1 or spec.startswith((".", "/", "~")):
        raise ConfigError(f"no teacher '{spec}': give a folder made by `save_pretrained` or a Hub id OWNER/NAME")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(spec, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except Exception as error:  # the library's own errors, httpx's, OSError
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"cannot fetch teacher '{spec}' ({reason}); without a network, give a local folder"
        ) from error


def load_network(folder: TeacherFolder, dtype: torch.dtype) -> nn.Module:
    """The network, every weight from the file. ModelError names what is missing, of another shape or left over."""
    from transformers import AutoModelForImageClassification, AutoModelForZeroShotImageClassification

    auto = AutoModelForImageClassification if folder.kind == "classifier" else AutoModelForZeroShotImageClassification
    remedy = f"{WANTED}, by a `transformers` that this version reads"
    with quiet(), one_line(f"cannot load teacher {folder.path}", ModelError, remedy):
        with torch.device("meta"):
            empty = auto.from_config(folder.config)
        _refuse_size(empty, folder)
        model, report = auto.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=dtype,
            output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
    _judge(model, report, folder)
    loaded: nn.Module = model
    return loaded


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's own bars and warnings: what it has to say is judged here and said in one line."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _kind(document: dict[str, Any], folder: Path) -> tuple[Kind, str]:
    """By `architectures` alone: a key of the configuration may be there for other reasons."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES

    path = folder / "config.json"
    if "model_type" not in document and "architecture" in document:
        raise ConfigError(
            f"{path} is of timm, not of `transformers`: load it there and save it as one of these; {WANTED}"
        )
    listed = document.get("architectures")
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], str):
        raise ConfigError(f"{path} names no architecture, so what it is would be a guess; {WANTED}")
    architecture = listed[0]
    if "ForImageClassification" in architecture:
        return "classifier", architecture
    if architecture in MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES.values():
        return "zero-shot", architecture
    raise ConfigError(f"{path}: {shown([architecture])} has no head for classes of pictures; {WANTED}")


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    import training.convnet  # noqa: F401  (a model type of our own)

    remedy = "it needs code of its own, which is not run, or another version of `transformers`"
    with quiet(), one_line(f"cannot use {folder / 'config.json'}", ModelError, remedy):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name over all of the weight files, as their headers say."""
    files = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        if not (folder / INDEX).is_file():
            raise ModelError(_no_weights(folder))
        listed = read_json(folder / INDEX, ModelError, "save the teacher again").get("weight_map")
        if not isinstance(listed, dict) or not all(_plain_name(one) for one in listed.values()):
            raise ModelError(f"{folder / INDEX}: its weight_map must name *.safetensors files of this folder")
        files = sorted(set(listed.values()))
        if missing := [name for name in files if not (folder / name).is_file()]:
            raise ModelError(f"{folder} lacks {shown(missing)}, which {INDEX} names; copy all of the teacher")
    found: dict[str, tuple[int, ...]] = {}
    for name in files:
        found |= tensor_shapes(folder / name, ModelError, "copy it again, whole")
    return found


def _plain_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*\.safetensors", name) is not None


def _no_weights(folder: Path) -> str:
    text = f"{folder} holds no *.safetensors weights"
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".h5", ".msgpack",
                                                                             ".pt", ".pth", ".ckpt"))  # fmt: skip
    if any(name.endswith(".safetensors") for name in others):
        return f"{folder} holds {shown(others)} and no {WEIGHTS}; give the file that name, or save the teacher again"
    if others:
        return (f"{text}, only {shown(others)}, which is not read (a pickle can run code): where you trust it, load it "
                "with `transformers` and save it with save_pretrained")  # fmt: skip
    return f"{text}; save the teacher with `save_pretrained`"


def _digest(folder: Path) -> str:
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        refuse_pointer(path, ModelError, "copy it again")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _refuse_claims(document: dict[str, Any], folder: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    """ModelError where a number of the configuration cannot be true of these weights: it is told before it is built."""
    most = max(1 << 22, _count(tensors))
    layers = DEEPEST + len(tensors)

    def look(key: str, value: object) -> None:
        deep = any(word in key for word in ("layer", "depth", "block"))
        if isinstance(value, dict):
            for name, one in value.items():
                look(str(name), one)
        elif isinstance(value, list):
            if len(value) > DEEPEST:
                raise ModelError(f"{folder / 'config.json'}: {key} has {len(value):,} entries; save the teacher again")
            for one in value:
                look(key, one)
        elif isinstance(value, int) and value > (layers if deep else most):
            raise ModelError(f"{folder / 'config.json'}: {key} = {str(value)[:20]} cannot be true of weights of "
                             f"{_count(tensors):,} numbers; copy config.json and weights of one teacher")  # fmt: skip

    look("config", document)


def _refuse_size(empty: nn.Module, folder: TeacherFolder) -> None:
    asked, held = sum(one.numel() for one in empty.parameters()), _count(folder.tensors)
    if asked > 2 * held + 10**7:
        raise ModelError(f"{folder.path / 'config.json'} describes a network of {asked:,} numbers, and the weights are "
                         f"{held:,}; copy config.json and weights of one teacher")  # fmt: skip


def _count(tensors: dict[str, tuple[int, ...]]) -> int:
    total = 0
    for shape in tensors.values():
        size = 1
        for side in shape:
            size *= side
        total += size
    return total


def _judge(model: Any, report: dict[str, Any], folder: TeacherFolder) -> None:
    """What `output_loading_info` says. Left over, a tensor of a stack of layers or of a head matters; another part (a
    text tower, a pooler, a mask token) does not."""
    who = f"teacher {folder.path}"
    if type(model).__name__ != folder.architecture:
        raise ModelError(f"{who}: config.json says {shown([folder.architecture])}, and its model_type makes a "
                         f"{type(model).__name__}; save the teacher again")  # fmt: skip
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{who} lacks weights that would be random: {shown(missing)}; take a teacher that was trained "
                         "with this head, or train it")  # fmt: skip
    if wrong := sorted(report["mismatched_keys"]):
        name, file, net = wrong[0]
        raise ModelError(f"{who}: {name} is {list(file)} in the file and {list(net)} by config.json ({len(wrong)} such "
                         "tensors); copy config.json and weights of one teacher")  # fmt: skip
    stacks = {name for name, _ in model.named_modules()}
    left = [name for name in sorted(report["unexpected_keys"]) if not BOOKKEEPING.search(name)]
    if over := [one for one in left if re.split(r"\.\d+", one)[0] in stacks or one.split(".")[0] in HEADS]:
        raise ModelError(f"{who}: config.json leaves no place for weights of the file: {shown(over)}; copy config.json "
                         "and weights of one teacher")  # fmt: skip
    if report.get("error_msgs"):
        raise ModelError(f"{who}: {' '.join(str(report['error_msgs'][0]).split())[:200]}")
