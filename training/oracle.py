"""Any teacher as one function, uint8 images -> logits: image classifiers, CLIP-style zero-shot models, ensembles.

Knows nothing about stores, views or students.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as fn

from common.errors import ConfigError, ModelError
from common.manifest import user_path
from training.knowledge import TeacherId

PROMPT = "a photo of a {}."


class Oracle(Protocol):
    """A teacher ready to answer."""

    @property
    def id(self) -> TeacherId: ...

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU."""
        ...


@dataclass(frozen=True, slots=True)
class Inputs:
    """How pixels become a teacher's input: antialiased resize to its size, then (pixel/255 - mean)/std."""

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str = "bicubic"

    def __call__(self, images: Tensor) -> Tensor:
        """images: uint8 [B, H, W, C] -> float [B, channels, height, width]."""
        x = images.permute(0, 3, 1, 2).float() / 255
        if x.shape[1] != self.channels:
            x = x.expand(-1, 3, -1, -1) if self.channels == 3 else x.mean(1, keepdim=True)
        if x.shape[2:] != (self.height, self.width):
            x = fn.interpolate(x, (self.height, self.width), mode=self.resample, antialias=True).clamp(0, 1)
        mean, std = (x.new_tensor(values).expand(self.channels)[:, None, None] for values in (self.mean, self.std))
        return (x - mean) / std


class Classifier:
    """One `transformers` model. A batch that does not fit into memory is halved and tried again."""

    def __init__(self, model: nn.Module, inputs: Inputs, identity: TeacherId, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self.inputs = inputs
        self.id = identity
        self.device = device
        self._largest = 4096

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU."""
        done: list[Tensor] = []
        start = 0
        while start < len(images):
            part = torch.from_numpy(images[start : start + self._largest]).to(self.device)
            try:
                done.append(self._answer(part).float().cpu())
            except torch.OutOfMemoryError:
                if self._largest == 1:
                    raise
                self._largest = max(1, min(self._largest, len(part)) // 2)
                torch.cuda.empty_cache()
                continue
            start += len(part)
        return torch.cat(done)

    def _answer(self, images: Tensor) -> Tensor:
        dtype = torch.bfloat16 if self.id.dtype == "bf16" else torch.float32
        answer: Tensor = self.model(pixel_values=self.inputs(images).to(dtype)).logits
        return answer


class ZeroShot(Classifier):
    """A CLIP-style model: logits = scale * cosine(image embedding, embedding of each class prompt)."""

    def __init__(
        self, model: Any, inputs: Inputs, identity: TeacherId, device: torch.device, prompts: dict[str, Tensor]
    ) -> None:
        super().__init__(model, inputs, identity, device)
        with torch.inference_mode():
            text = _pooled(model.get_text_features(**{name: tensor.to(device) for name, tensor in prompts.items()}))
        self._text = fn.normalize(text.float(), dim=-1)
        self._scale = float(model.logit_scale.detach().exp())

    def _answer(self, images: Tensor) -> Tensor:
        dtype = torch.bfloat16 if self.id.dtype == "bf16" else torch.float32
        image = _pooled(self.model.get_image_features(pixel_values=self.inputs(images).to(dtype)))  # type: ignore[operator]
        return self._scale * fn.normalize(image.float(), dim=-1) @ self._text.T


class Ensemble:
    """The mean of several teachers' log-probabilities (their geometric mean, renormalised)."""

    def __init__(self, members: Sequence[Oracle]) -> None:
        self.members = members
        self.id = _joint([member.id for member in members])

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU."""
        return torch.stack([member.logits(images).log_softmax(-1) for member in self.members]).mean(0)


def load_oracle(spec: str, classes: Sequence[str], device: torch.device, dtype: str = "fp32") -> Oracle:
    """A teacher by folder or Hub id; several, separated by commas, make an ensemble.

    classes: the data set's, in its order; the teacher must have as many, and a zero-shot teacher is asked `PROMPT` with
    each of them. dtype: fp32 or bf16.
    """
    members = [_load_one(one, classes, device, dtype) for one in _members(spec)]
    return members[0] if len(members) == 1 else Ensemble(members)


def identify(spec: str, dtype: str = "fp32") -> TeacherId:
    """What `load_oracle(spec, ...).id` will be, without building a network."""
    ids = [_identity(_folder(one), one, dtype) for one in _members(spec)]
    return ids[0] if len(ids) == 1 else _joint(ids)


def _members(spec: str) -> list[str]:
    return [one.strip() for one in spec.split(",")]


def _joint(ids: Sequence[TeacherId]) -> TeacherId:
    digest = hashlib.sha256("".join(one.sha256 for one in ids).encode()).hexdigest()
    return TeacherId(",".join(one.name for one in ids), digest, " | ".join(one.preprocess for one in ids), ids[0].dtype)


def _folder(spec: str) -> Path:
    """The local folder of a teacher; a Hub id is fetched (or found in the cache) first."""
    folder = user_path(spec)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"{folder} is no teacher: it has no config.json as `save_pretrained` writes it")
        return folder
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


def _identity(folder: Path, spec: str, dtype: str) -> TeacherId:
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder} holds no *.safetensors weights; save the teacher with `save_pretrained`")
    for path in weights:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    name = spec if not user_path(spec).is_dir() else folder.resolve().name
    zero_shot = "text_config" in json.loads((folder / "config.json").read_text())
    preprocess = {**asdict(_inputs(folder)), **({"prompt": PROMPT} if zero_shot else {})}
    return TeacherId(name, digest.hexdigest(), json.dumps(preprocess, sort_keys=True), dtype)


def _inputs(folder: Path) -> Inputs:
    """Size, mean and std from preprocessor_config.json; where there is none, the model's size and mean = std = 0.5."""
    path, config = folder / "preprocessor_config.json", json.loads((folder / "config.json").read_text())
    vision = config.get("vision_config", config)
    channels = int(vision.get("num_channels", 3))
    given = json.loads(path.read_text()) if path.is_file() else {}
    size = given.get("crop_size") or given.get("size") or vision.get("image_size", 224)
    if isinstance(size, dict):
        height = int(size.get("height", size.get("shortest_edge", 224)))
        width = int(size.get("width", height))
    else:
        height = width = int(size)
    mean, std = (tuple(float(v) for v in given.get(key, [0.5])) for key in ("image_mean", "image_std"))
    return Inputs(height, width, channels, mean, std, "bilinear" if given.get("resample", 3) == 2 else "bicubic")


def _load_one(spec: str, classes: Sequence[str], device: torch.device, dtype: str) -> Classifier:
    from transformers import AutoModel, AutoModelForImageClassification
    from transformers.utils import logging

    import training.convnet  # noqa: F401  (a model type of our own)

    logging.disable_progress_bar()  # ours are enough
    folder = _folder(spec)
    identity = _identity(folder, spec, dtype)
    zero_shot = "text_config" in json.loads((folder / "config.json").read_text())
    kind = AutoModel if zero_shot else AutoModelForImageClassification
    try:
        model = kind.from_pretrained(
            folder, local_files_only=True, dtype=torch.bfloat16 if dtype == "bf16" else torch.float32
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot load teacher '{spec}': {' '.join(str(error).split())[:200]}") from error
    if zero_shot:
        return ZeroShot(model, _inputs(folder), identity, device, _prompts(folder, classes))
    if model.config.num_labels != len(classes):
        raise ConfigError(
            f"teacher '{spec}' knows {model.config.num_labels} classes and the data set {len(classes)}; "
            "take one trained on these classes, or make one with `python -m training.teacher`"
        )
    return Classifier(model, _inputs(folder), identity, device)


def _prompts(folder: Path, classes: Sequence[str]) -> dict[str, Tensor]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = [PROMPT.format(name.replace("_", " ")) for name in classes]
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def _pooled(features: Any) -> Tensor:
    """`get_*_features` returns a tensor or, since transformers 5, an output whose pooler_output it is."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found
