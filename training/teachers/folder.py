"""A teacher's folder, judged before anything is built of it: its kind, its weights, and whether they are all there.

Knows nothing about pixels, class names or stores. A folder is what `save_pretrained` writes: config.json, whose
`architectures` says what it is, and safetensors weights. No code of a folder is run and no pickle is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from common.errors import ConfigError, ModelError
from common.files import user_path
from common.hub.library import in_our_form, refusal
from training.data.foreign import one_line, read_json
from training.teachers.columns import shown
from training.teachers.weights import QUANTISED, Shapes, digest, judge, refuse_claims, refuse_size, tensor_files

Kind = Literal["classifier", "zero-shot"]
WANTED = "a teacher is a ...ForImageClassification or a CLIP-style model of `transformers`, saved with save_pretrained"


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
    tensors: Shapes

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
        inside = sorted(path.parent.name for path in folder.glob("*/config.json"))
        hint = f"; {shown(inside)} in it have one: give one of them" if inside else ""
        raise ConfigError(f"{folder} is no teacher: it has no config.json as `save_pretrained` writes it{hint}")
    document = read_json(folder / "config.json", ModelError, "save the teacher again with save_pretrained")
    if document.get("quantization_config"):
        raise ModelError(f"{folder / 'config.json'} has a quantization_config; {QUANTISED}")
    if (problem := document.get("problem_type")) not in (None, "single_label_classification"):
        raise ConfigError(
            f"{folder / 'config.json'}: a teacher of one label for a picture is needed, and its problem_type is "
            f"{shown([problem])}: its answers are no shares that add up to one"
        )
    kind, architecture = _kind(document, folder)
    tensors = tensor_files(folder)
    refuse_claims(document, folder, tensors)
    config = _config(folder)
    if (channels := getattr(getattr(config, "vision_config", config), "num_channels", 3)) not in (1, 3):
        raise ModelError(
            f"{folder / 'config.json'}: its network takes {str(channels)[:20]} channels; pictures have 1 or 3"
        )
    return TeacherFolder(spec, folder, kind, architecture, digest(folder), config, tensors)


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
        with in_our_form():
            return Path(snapshot_download(spec, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except Exception as error:  # the library's own errors, httpx's, OSError
        raise ConfigError(f"cannot fetch teacher '{spec}' {refusal(error)}") from error


def load_network(folder: TeacherFolder, dtype: torch.dtype) -> nn.Module:
    """The network, every weight from the file. ModelError names what is missing, of another shape or left over."""
    from transformers import AutoModelForImageClassification, AutoModelForZeroShotImageClassification

    auto = AutoModelForImageClassification if folder.kind == "classifier" else AutoModelForZeroShotImageClassification
    remedy = f"{WANTED}, by a `transformers` that this version reads"
    with quiet(), one_line(f"cannot load teacher {folder.path}", ModelError, remedy):
        with torch.device("meta"):
            empty = auto.from_config(folder.config)
        refuse_size(empty, folder.path, folder.tensors)
        model, report = auto.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=dtype,
            output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
    judge(model, report, folder.path, folder.architecture)
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
    if document.get("model_type", "timm_wrapper") == "timm_wrapper" and "architecture" in document:
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

    import training.teachers.convnet  # noqa: F401  (a model type of our own)

    remedy = "it needs code of its own, which is not run, or another version of `transformers`"
    with quiet(), one_line(f"cannot use {folder / 'config.json'}", ModelError, remedy):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
