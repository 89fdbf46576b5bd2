"""A teacher's own image processor, batched: uint8 images -> what its network takes.

Knows nothing about networks, classes or stores. The processor of `transformers` decides everything, in its Pillow form
whether torchvision is there or not.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import ModelError
from training.data.foreign import one_line, read_json

FILES = ("processor_config.json", "preprocessor_config.json")
SIDE = 4096
"""Largest side that a processor may ask for."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """channels: 1 or 3, as the network takes them; grey is repeated, colour becomes ITU-R 601-2 luma."""

    processor: Any
    channels: int

    def __call__(self, images: NDArray[np.uint8]) -> dict[str, Tensor]:
        """images: uint8 [B, H, W, C] -> the network's arguments by name: `pixel_values` float32 [B, channels, h, w]."""
        fitted = list(_with_channels(images, self.channels))
        made = self.processor(fitted, return_tensors="pt", input_data_format="channels_last")
        return {name: value for name, value in made.items() if isinstance(value, Tensor)}

    def describe(self) -> dict[str, Any]:
        """What the processor does, for a store to remember: its settings without those that are unset."""
        found = {key: value for key, value in self.processor.to_dict().items() if value is not None}
        plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
        return {key: plain[key] for key in sorted(plain) if not key.startswith("_") and key != "processor_class"}


def load_pixels(folder: Path, channels: int) -> Pixels:
    """The image processor of a teacher's folder. ModelError where there is none or it cannot be made."""
    from transformers import AutoImageProcessor

    remedy = "copy it from where the teacher was published, or save its AutoImageProcessor there with save_pretrained"
    there = [folder / name for name in FILES if (folder / name).is_file()]
    if not there:
        raise ModelError(f"{folder} has no image processor ({' or '.join(FILES)}); {remedy}")
    for path in there:
        _refuse_sizes(read_json(path, ModelError, remedy), path)
    with one_line(f"cannot make the image processor of {there[0]}", ModelError, remedy):
        made = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil", trust_remote_code=False)
    return Pixels(made, channels)


def _refuse_sizes(settings: dict[str, Any], path: Path) -> None:
    for name, value in settings.items():
        if isinstance(value, dict) and name == "image_processor":
            _refuse_sizes(value, path)
        elif name.endswith("size") and name not in ("patch_size", "temporal_patch_size"):
            sides = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            for side in sides:
                if side is not None and not (isinstance(side, int | float) and 0 <= side <= SIDE):
                    raise ModelError(f"{path}: {name} = {str(value)[:60]}; sides are numbers of pixels, 1 to {SIDE}")


def _with_channels(images: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    from PIL import Image

    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    return np.stack([np.array(Image.fromarray(one).convert("L"))[..., None] for one in images])
